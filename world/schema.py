"""The schema: a world as a set of named, typed features and named actions.

Everything above speaks in these names: rules are typed against them, models predict them, memory stores them.
A *base* feature is stored and predicted; a *derived* one is read off the base features by a vectorised getter and,
where rules may write it, written back by a setter. A *grid* says which arrays share cells and which features
point into them, so that a model can look where the agent stands.

Shapes: N rows, `*shape` a feature's own shape, A action features, W x H cells.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError, nearest

if TYPE_CHECKING:
    import gymnasium

    from .sight import Sight

Kind = Literal["real", "integer", "boolean", "category"]
Features = Mapping[str, Tensor]
"""Name -> tensor `[N, *shape]`, base features only; `Schema.value` reads the derived ones."""

_DTYPES: dict[str, tuple[torch.dtype, str]] = {
    "real": (torch.float32, "float32"),
    "integer": (torch.int32, "int32"),
    "boolean": (torch.bool, "bool"),
    "category": (torch.int16, "int16"),
}


@dataclass(frozen=True)
class Feature:
    """One named quantity. `low` and `high` are inclusive bounds; `values` are the names of a category's values, and
    `glosses`, where given, say in a few words what each of them means."""

    name: str
    kind: Kind = "real"
    shape: tuple[int, ...] = ()
    low: float = -math.inf
    high: float = math.inf
    values: tuple[str, ...] = ()
    unit: str = ""
    description: str = ""
    glosses: tuple[str, ...] = ()

    @property
    def dtype(self) -> torch.dtype:
        return torch.uint8 if self.is_image else _DTYPES[self.kind][0]

    @property
    def numpy_dtype(self) -> str:
        return "uint8" if self.is_image else _DTYPES[self.kind][1]

    @cached_property
    def is_image(self) -> bool:
        """Whether this is a picture `(height, width[, channels])`: at least 1,024 whole numbers from 0 to 255."""
        bytes_ = self.kind == "integer" and (self.low, self.high) == (0, 255)
        return bytes_ and len(self.shape) in (2, 3) and math.prod(self.shape) >= 1_024

    @property
    def is_discrete(self) -> bool:
        return self.kind != "real"

    @property
    def cardinality(self) -> int | None:
        """How many values the feature can take, or None where it is real, unbounded, or an image: its brightness is a
        quantity, not a choice."""
        if self.kind == "category":
            return len(self.values)
        if self.kind == "boolean":
            return 2
        if self.kind == "integer" and not self.is_image and math.isfinite(self.low) and math.isfinite(self.high):
            return int(self.high - self.low) + 1
        return None

    @property
    def offset(self) -> int:
        """The value that has code 0: an integer's lower bound, else 0."""
        return int(self.low) if self.kind == "integer" and self.cardinality is not None else 0

    def describe(self) -> str:
        """One line for people and language models: name, type, bounds or values, unit, description."""
        if self.kind == "category":
            kind = "{" + ", ".join(self.values) + "}"
        elif self.kind == "boolean":
            kind = "true or false"
        else:
            bounds = f" from {self.low:g} to {self.high:g}" if math.isfinite(self.low + self.high) else ""
            kind = self.kind + bounds + (f" {self.unit}" if self.unit else "")
        shape = f"[{', '.join(map(str, self.shape))}]" if self.shape else ""
        description = f" - {self.description}" if self.description else ""
        return " ".join(f"{self.name}{shape}: {kind}{description}".split())


@dataclass(frozen=True)
class Derived:
    """A feature read off others: `get(features) -> [N]`; `put(features, value [N]) -> the base features it changes`."""

    feature: Feature
    get: Callable[[Features], Tensor]
    put: Callable[[Features, Tensor], dict[str, Tensor]] | None = None


@dataclass(frozen=True)
class Pointed:
    """A derived feature that is one cell of the array `of`; `at(features) -> flat index [N]`, -1 off the board.

    Reading off the board gives `outside`; writing there does nothing. Because the cell is known, a rule can
    correct its whole distribution, not only its value.
    """

    feature: Feature
    of: str
    at: Callable[[Features], Tensor]
    outside: int = 0

    def get(self, features: Features) -> Tensor:
        cells = features[self.of].flatten(1)
        index = self.at(features)
        value = cells.gather(1, index.clamp_min(0)[:, None])[:, 0]
        return torch.where(index >= 0, value, torch.full_like(value, self.outside))


@dataclass(frozen=True)
class Pose:
    """A pointer into a grid: the features that are its `x`, `y` and, if it turns, its `heading`."""

    x: str
    y: str
    heading: str | None = None


@dataclass(frozen=True)
class Grid:
    """Which arrays `[W, H]` share cells, and the agent's pointer into them: `x`, `y` and, if it turns, its `heading`.
    `others` are further pointers (a second agent, a truck).

    `steps[k]` is the (dx, dy) of one step when the heading has its k-th value.
    """

    arrays: tuple[str, ...]
    x: str
    y: str
    heading: str | None = None
    steps: tuple[tuple[int, int], ...] = ((1, 0), (0, 1), (-1, 0), (0, -1))
    others: tuple[Pose, ...] = ()

    @property
    def poses(self) -> tuple[Pose, ...]:
        """Every pointer, the agent's first."""
        return (Pose(self.x, self.y, self.heading), *self.others)


Perceive = Callable[[Any, "gymnasium.Env | None"], dict[str, Any]]
Act = Callable[[np.ndarray], Any]
Restore = Callable[["gymnasium.Env", Mapping[str, np.ndarray]], bool | None]


@dataclass(frozen=True)
class Schema:
    """A world's features and actions, with perception (`perceive`) and action (`act`) at its two ends.

    Actions are a row `[A]`: one category for a Discrete space, one real a dimension for a Box.

    `restore(env, features)`, where there is one, puts the environment into a state that shows the features `[*shape]`
    (all of them are given), so that rules can correct a simulator. It returns whether the episode is over there, None
    where that stays as it was, and raises `UserError` for features that it cannot write.

    `sight` says how the sensor sees where an observation shows only a part of the world: the features are then a map of
    what was seen, `perceive` makes one of a first view, and `observe` brings it up to date.
    """

    name: str
    features: tuple[Feature, ...]
    actions: tuple[Feature, ...]
    perceive: Perceive = field(repr=False, compare=False)
    act: Act = field(repr=False, compare=False)
    derived: tuple[Derived | Pointed, ...] = field(default=(), repr=False, compare=False)
    grid: Grid | None = None
    restore: Restore | None = field(default=None, repr=False, compare=False)
    sight: Sight | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = [f.name for f in self.features + self.actions] + [d.feature.name for d in self.derived]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise UserError(f"schema '{self.name}' names {', '.join(map(repr, twice))} more than once; rename one")
        for f in (*self.features, *self.actions, *(d.feature for d in self.derived)):
            if not f.name.isidentifier():
                raise UserError(f"schema '{self.name}': '{f.name}' is not a name; use letters, digits and '_'")
            if f.kind == "category" and not f.values:
                raise UserError(f"schema '{self.name}': category '{f.name}' lists no values")
            for value in f.values:
                if not value.isprintable() or not value.strip() or '"' in value:
                    raise UserError(f"schema '{self.name}': '{f.name}' has the value {value!r}; no rule can name it: "
                                    "use printable characters other than '\"'")
            if f.glosses and len(f.glosses) != len(f.values):
                raise UserError(f"schema '{self.name}': '{f.name}' has {len(f.values)} values and {len(f.glosses)} "
                                "glosses; give one a value ('' for none)")

    @staticmethod
    def from_env(env: gymnasium.Env, view: str = "full", size: tuple[int, int] | None = None) -> Schema:
        """Return the schema of a Gymnasium environment: of a known family by name, else from its spaces.

        With `view="partial"` that of what the agent itself sees of it (MiniGrid), on a map with room for a world of at
        most `size` (W, H) cells; the environment's own by default. Raises `UserError` where there is no such view.
        """
        from .families import schema_of

        return schema_of(env, view, size)

    @cached_property
    def base(self) -> dict[str, Feature]:
        return {f.name: f for f in self.features}

    @cached_property
    def derivations(self) -> dict[str, Derived | Pointed]:
        return {d.feature.name: d for d in self.derived}

    @cached_property
    def named(self) -> dict[str, Feature]:
        """Every name a rule may use: base, derived and action features."""
        return self.base | {n: d.feature for n, d in self.derivations.items()} | {a.name: a for a in self.actions}

    def extended(self, *derived: Derived | Pointed) -> Schema:
        """The same world with further derived features. Its `identity` is the same. Raises `UserError` for a name
        that is taken."""
        return replace(self, derived=(*self.derived, *derived)) if derived else self

    @property
    def discrete_actions(self) -> bool:
        return all(a.is_discrete for a in self.actions)

    @cached_property
    def action_dtype(self) -> torch.dtype:
        return torch.int64 if self.discrete_actions else torch.float32

    def feature(self, name: str) -> Feature:
        """Return the feature called `name`; raise `UserError` with the nearest name if there is none."""
        try:
            return self.named[name]
        except KeyError:
            raise UserError(f"unknown feature '{name}'{nearest(name, self.named)}") from None

    def value(self, name: str, features: Features) -> Tensor:
        """Read a base or derived feature: `[N, *shape]`."""
        return features[name] if name in features else self.derivations[name].get(features)

    def all_actions(self, device: torch.device | None = None) -> Tensor:
        """Every joint action of a discrete world: `[M, A]`. Raises `UserError` for a continuous one."""
        if not self.discrete_actions:
            raise UserError(f"'{self.name}' has continuous actions, which cannot be listed; plan with CEM")
        counts = [torch.arange(a.cardinality or 0, device=device) for a in self.actions]
        return torch.cartesian_prod(*counts).view(-1, len(counts))

    def batch(self, rows: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> dict[str, Tensor]:
        """Stack perceived features (one mapping a row, or one mapping of stacked arrays) to tensors `[N, *shape]`."""
        if isinstance(rows, Mapping):
            return {f.name: torch.as_tensor(np.asarray(rows[f.name]), dtype=f.dtype) for f in self.features}
        return {
            f.name: torch.as_tensor(np.stack([np.asarray(r[f.name], f.numpy_dtype) for r in rows]), dtype=f.dtype)
            for f in self.features
        }

    def observe(
        self,
        observation: Any,
        env: gymnasium.Env | None = None,
        last: tuple[Mapping[str, np.ndarray], np.ndarray] | None = None,
    ) -> dict[str, np.ndarray]:
        """Perceive one observation: name -> array `[*shape]` of the feature's own type.

        `last` is what was perceived before and the action `[A]` since (None where an episode begins): with a partial
        view what was seen stays. Raises `UserError` where a feature is missing, has another shape, or is not a number.
        """
        if self.sight is not None and last is not None:
            seen = self.sight.follow(*last, observation)
        else:
            seen = self.perceive(observation, env)
        out: dict[str, np.ndarray] = {}
        for f in self.features:
            if f.name not in seen:
                raise UserError(f"perception of '{self.name}' gave no feature '{f.name}'{nearest(f.name, seen)}")
            value = np.asarray(seen[f.name])
            if value.dtype.kind not in "biuf":
                raise UserError(f"feature '{f.name}' of '{self.name}' is not numeric: {seen[f.name]!r}")
            if value.shape != f.shape:
                raise UserError(f"feature '{f.name}' of '{self.name}' has shape {value.shape}, expected {f.shape}")
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                raise UserError(f"feature '{f.name}' of '{self.name}' is not finite: {value!r}; mend the environment")
            out[f.name] = value.astype(f.numpy_dtype)
        return out

    def clamp(self, action: Tensor) -> Tensor:
        """Clamp actions `[..., A]` to their bounds (a discrete one to its codes)."""
        low = [0.0 if a.is_discrete else a.low for a in self.actions]
        high = [a.cardinality - 1 if a.cardinality else a.high for a in self.actions]
        return action.clamp(action.new_tensor(low), action.new_tensor(high))

    def describe(self) -> str:
        """The whole schema in words, a line a feature: what a language model and `gedanken rules` show."""
        lines = [f.describe() for f in self.features] + [d.feature.describe() for d in self.derived]
        return "\n".join([*lines, *("action " + a.describe() for a in self.actions)])

    def identity(self) -> dict[str, Any]:
        """What must agree for a saved agent or memory to belong to this world, as JSON data (sizes included)."""
        def plain(f: Feature) -> list[Any]:
            return [f.name, f.kind, list(f.shape), repr(f.low), repr(f.high), list(f.values)]

        return {"features": [plain(f) for f in self.features], "actions": [plain(a) for a in self.actions]}

    def difference(self, saved: Mapping[str, Any], sizes: bool = True) -> str:
        """Say how a saved `identity` differs from this schema ('' if it does not); `sizes=False` ignores sizes."""
        own = self.identity()
        for part in ("features", "actions"):
            mine, theirs = {f[0]: f for f in own[part]}, {f[0]: f for f in saved[part]}
            for name in mine.keys() | theirs.keys():
                if name not in theirs:
                    return f"'{name}' is new here"
                if name not in mine:
                    return f"'{name}' is missing here"
                a, b = (json.loads(json.dumps(x[name])) for x in (mine, theirs))
                if not sizes:
                    a[2], b[2] = len(a[2]), len(b[2])
                    a[3:5] = b[3:5] = []
                if a != b:
                    return f"'{name}' differs: {a[1:]} here, {b[1:]} there"
        return ""


def check_schema(schema: Schema, env: gymnasium.Env, steps: int = 50, seed: int = 0) -> list[str]:
    """Try a schema on its environment and return what is wrong, each with its remedy (empty: all is well).

    Perceives `steps` random interactions, compares every feature with its type and bounds, and checks that derived
    features read, and that those with a setter read back what was written.
    """
    problems: dict[str, None] = {}
    observation, _ = env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        try:
            seen = schema.observe(observation, env)
        except UserError as error:
            return [*problems, str(error)]
        for f in schema.features:
            _check_value(f, seen[f.name], problems)
        rows = schema.batch([seen])
        for name, d in schema.derivations.items():
            _check_derived(name, d, rows, problems)
        action = _random_action(schema, rng)
        observation, _, terminated, truncated, _ = env.step(schema.act(action))
        if terminated or truncated:
            observation, _ = env.reset()
    return list(problems)


def _check_value(f: Feature, value: np.ndarray, problems: dict[str, None]) -> None:
    low, high = (0, len(f.values) - 1) if f.kind == "category" else (f.low, f.high)
    if value.size and f.kind != "boolean" and (value.min() < low - 1e-6 or value.max() > high + 1e-6):
        problems[f"feature '{f.name}' went to {value.min():g} .. {value.max():g}, outside {low:g} .. {high:g}: "
                 "widen its bounds (or add the missing value)"] = None


def _check_derived(name: str, d: Derived | Pointed, rows: Features, problems: dict[str, None]) -> None:
    try:
        value = d.get(rows)
    except Exception as error:
        problems[f"derived feature '{name}' cannot be read: {error}; its getter takes features [N, ...]"] = None
        return
    if value.shape != (1, *d.feature.shape):
        problems[f"derived feature '{name}' has shape {tuple(value.shape)} for one row, expected "
                 f"{(1, *d.feature.shape)}: return one value a row"] = None
    elif isinstance(d, Derived) and d.put is not None:
        back = d.get({**rows, **d.put(rows, value)})
        if not torch.allclose(back.float(), value.float(), atol=1e-5):
            problems[f"derived feature '{name}' does not read back what its setter wrote"] = None


def _random_action(schema: Schema, rng: np.random.Generator) -> np.ndarray:
    return np.array([
        rng.integers(a.cardinality) if a.cardinality else rng.uniform(max(a.low, -1e3), min(a.high, 1e3))
        for a in schema.actions
    ])
