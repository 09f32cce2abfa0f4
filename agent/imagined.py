"""Imagination as a Gymnasium environment: any reinforcement learning library trains in it, or a person plays.

`ImaginedEnv` steps N imagined worlds at once; `ImaginedSingle` is one of them, for libraries that want a plain `Env`.
Both start from real features and never touch the real environment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from ..errors import UserError, nearest
from ..world import tree
from ..world.model import State, WorldModel, begin
from ..world.rules.compile import Compiled
from ..world.rules.text import to_text
from ..world.schema import Feature, Features, Schema

if TYPE_CHECKING:
    from .agent import Agent

Arrays = dict[str, np.ndarray]


class ImaginedEnv(VectorEnv):
    """`num_envs` imagined worlds under `model` (refined or not), batched in one step.

    Episodes begin at rows of `starts [M, ...]`, drawn at random, or at those given to `reset`. They terminate as the
    model predicts: drawn with the predicted probability, as are the features, or, with `stochastic=False`, the most
    likely. They are truncated after `horizon` steps, and where the model's uncertainty exceeds `max_uncertainty`
    nats: what comes then is not to be learned from. An infeasible action (one that a rule forbids) is not executed:
    nothing changes, nothing is paid.

    `infos`: `uncertainty [N]` in nats, `feasible [N]`, and `fired [N, R]`, which of `rules` applied, where the model
    has rules. An ended episode begins anew at the next step (`AutoresetMode.NEXT_STEP`). Everything is drawn from the
    seed given to `reset`.
    """

    def __init__(self, model: WorldModel, starts: Features | None = None, num_envs: int = 16, *, horizon: int = 64,
                 max_uncertainty: float = float("inf"), stochastic: bool = True) -> None:
        if num_envs < 1 or horizon < 1:
            raise UserError(f"num_envs is {num_envs} and horizon {horizon}; give at least 1 of each")
        self.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP, "render_modes": []}
        self.model, self.num_envs, self.horizon = model, num_envs, horizon
        self.max_uncertainty, self.stochastic = max_uncertainty, stochastic
        compiled = rules_of(model)
        self.rules = tuple(to_text(r) for r in compiled.rules) if compiled else ()
        self.single_observation_space = observation_space(model.schema)
        self.single_action_space = action_space(model.schema)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._starts = None if starts is None else checked(model.schema, starts)
        self._rng = torch.Generator()
        self._seeded = False
        self._state: State = None
        self._t = torch.zeros(num_envs, dtype=torch.int64)
        self._over = torch.zeros(num_envs, dtype=torch.bool)

    @staticmethod
    def of(agent: Agent, num_envs: int = 16, **options: Any) -> ImaginedEnv:
        """The worlds that an agent imagines, beginning wherever it has been. Raises `UserError` where it has been
        nowhere yet."""
        been = agent.mind.memory.transitions()
        if not len(been):
            raise UserError("the agent remembers nothing to start from; let it interact first: agent.learn(1_000)")
        return ImaginedEnv(agent.mind.imagining, agent.schema.batch(been.features), num_envs, **options)

    @torch.no_grad()
    def reset(self, *, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None
              ) -> tuple[Arrays, dict[str, Any]]:
        """Begin all episodes; `options["features"]` gives where: one row for all or one each, real features.

        Raises `UserError` for features that do not fit the schema, or where there is nothing to begin at.
        """
        if seed is not None and not isinstance(seed, int | np.integer):
            seed = int(np.random.SeedSequence(list(seed)).generate_state(1)[0])
        super().reset(seed=None if seed is None else int(seed))
        if seed is not None or not self._seeded:
            self._rng.manual_seed(int(self.np_random.integers(2**62)))
            self._seeded = True
        given = (options or {}).get("features")
        if given is None:
            chosen = self._drawn()
        else:
            rows = checked(self.model.schema, given)
            m = len(next(iter(rows.values())))
            if m not in (1, self.num_envs):
                raise UserError(f"{m} rows of features for {self.num_envs} environments; give one row, or one each")
            chosen = {k: v.expand(self.num_envs, *v.shape[1:]).clone() for k, v in rows.items()}
            self._starts = rows if self._starts is None else self._starts
        self._state = begin(self.model, chosen)
        self._t = torch.zeros_like(self._t)
        self._over = torch.zeros_like(self._over)
        return self._observation(), {}

    @torch.no_grad()
    def step(self, actions: Any) -> tuple[Arrays, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Imagine one step of every world; the rows that ended at the last one begin anew instead, and pay nothing."""
        if self._state is None:
            raise UserError("call reset() before step()")
        rng = self._rng if self.stochastic else None
        stepped, out = self.model.step(self._state, rows_of(self.model.schema, actions, self.num_envs), rng)
        live, running = out.feasible & ~self._over, ~self._over
        ended = torch.rand(self.num_envs, generator=rng) >= out.cont if rng is not None else out.cont < 0.5
        terminated = ended & live
        state = tree.choose(live, stepped, self._state)
        if bool(self._over.any()):
            state = tree.choose(running, state, begin(self.model, self._drawn()))
        self._state, self._t = state, torch.where(running, self._t + 1, 0)
        truncated = running & ~terminated & ((self._t >= self.horizon) | (out.uncertainty > self.max_uncertainty))
        infos = {"uncertainty": (out.uncertainty * running).double().numpy(),
                 "feasible": (out.feasible | self._over).numpy()}
        if out.fired is not None:
            infos["fired"] = (out.fired & live[:, None]).numpy()
        infos |= {f"_{k}": running.numpy() for k in infos}
        self._over = terminated | truncated
        reward = torch.where(live, out.reward, torch.zeros_like(out.reward)).double().numpy()
        return self._observation(), reward, terminated.numpy(), truncated.numpy(), infos

    def _drawn(self) -> dict[str, Tensor]:
        """Where episodes begin, a row each."""
        if self._starts is None:
            raise UserError("nothing to begin at: give ImaginedEnv `starts`, or reset(options={'features': ...})")
        count = len(next(iter(self._starts.values())))
        index = torch.randint(count, (self.num_envs,), generator=self._rng)
        return {k: v[index] for k, v in self._starts.items()}

    def _observation(self) -> Arrays:
        spaced = self.observation_space
        assert isinstance(spaced, spaces.Dict)
        return {name: _fitted(value, spaced[name]) for name, value in self.model.decode(self._state).items()}


class ImaginedSingle(gymnasium.Env):
    """One imagined world as a plain environment; takes what `ImaginedEnv` takes."""

    def __init__(self, model: WorldModel, starts: Features | None = None, **options: Any) -> None:
        self.vector = ImaginedEnv(model, starts, 1, **options)
        self.observation_space = self.vector.single_observation_space
        self.action_space = self.vector.single_action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Arrays, dict[str, Any]]:
        super().reset(seed=seed)
        seen, _ = self.vector.reset(seed=seed, options=options)
        return self._one(seen), {}

    def step(self, action: Any) -> tuple[Arrays, float, bool, bool, dict[str, Any]]:
        one = action if isinstance(action, Mapping) else np.asarray(action)[None]
        seen, reward, terminated, truncated, infos = self.vector.step(one)
        kept = {k: v[0] for k, v in infos.items() if not k.startswith("_")}
        return self._one(seen), float(reward[0]), bool(terminated[0]), bool(truncated[0]), kept

    def _one(self, seen: Arrays) -> Arrays:
        spaced = self.observation_space
        assert isinstance(spaced, spaces.Dict)
        return {k: v[0] if isinstance(spaced[k], spaces.Discrete) else np.asarray(v[0]) for k, v in seen.items()}


def observation_space(schema: Schema) -> spaces.Dict:
    """A space a feature: Discrete for what has few single values, Box for numbers and arrays."""
    return spaces.Dict({f.name: _space(f) for f in schema.features})


def action_space(schema: Schema) -> spaces.Space:
    """Discrete for one action feature, MultiDiscrete for several, Box for real ones, a Dict by name for a mixture.
    Discrete actions are their codes from 0, as in `Schema.all_actions`."""
    actions = schema.actions
    if schema.discrete_actions:
        counts = [a.cardinality or 0 for a in actions]
        return spaces.Discrete(counts[0]) if len(counts) == 1 else spaces.MultiDiscrete(counts)
    if all(a.kind == "real" for a in actions):
        low, high = (np.array([getattr(a, side) for a in actions], np.float32) for side in ("low", "high"))
        return spaces.Box(low, high)
    return spaces.Dict({a.name: spaces.Discrete(a.cardinality) if a.cardinality else _space(a) for a in actions})


def rows_of(schema: Schema, actions: Any, n: int) -> Tensor:
    """Actions of the batched `action_space` as rows `[N, A]`, clamped to their bounds."""
    if isinstance(actions, Mapping):
        actions = np.stack([np.asarray(actions[a.name]).reshape(n) for a in schema.actions], 1)
    rows = np.asarray(actions).reshape(n, len(schema.actions))
    return schema.clamp(torch.as_tensor(rows).to(schema.action_dtype))


def rules_of(model: WorldModel) -> Compiled | None:
    """The compiled rules that correct a model, however it is wrapped; None where none do."""
    inner: Any = model
    while inner is not None:
        if isinstance(found := getattr(inner, "rules", None), Compiled):
            return found
        inner = getattr(inner, "inner", None)
    return None


def checked(schema: Schema, features: Mapping[str, Any]) -> dict[str, Tensor]:
    """Features given from outside, one row `[*shape]` or many `[M, *shape]`, as tensors `[M, *shape]`.

    Raises `UserError` where a feature is missing or has another shape.
    """
    rows = {}
    for f in schema.features:
        if f.name not in features:
            raise UserError(f"the features to start from have no '{f.name}'{nearest(f.name, features)}")
        value = torch.as_tensor(np.asarray(features[f.name])).to(f.dtype)
        value = value[None] if value.dim() == len(f.shape) else value
        if tuple(value.shape[1:]) != f.shape or value.dim() != len(f.shape) + 1:
            raise UserError(f"feature '{f.name}' has shape {tuple(value.shape)}, expected {f.shape} or (M, *{f.shape})")
        rows[f.name] = value
    counts = {len(v) for v in rows.values()}
    if len(counts) > 1 or 0 in counts:
        raise UserError(f"the features to start from have {sorted(counts)} rows; give equally many of each")
    return rows


def _space(f: Feature) -> spaces.Space:
    if f.kind == "real":
        return spaces.Box(np.float32(f.low), np.float32(f.high), f.shape, np.float32)
    if f.cardinality and not f.shape:
        return spaces.Discrete(f.cardinality, start=f.offset)
    whole = np.iinfo(np.int32)
    low, high = (0, f.cardinality - 1) if f.kind != "integer" and f.cardinality else (
        int(max(f.low, whole.min)), int(min(f.high, whole.max)))
    return spaces.Box(low, high, f.shape, np.int32)


def _fitted(value: Tensor, space: spaces.Space) -> np.ndarray:
    """Imagined values in the type and the bounds of their space."""
    array = value.detach().numpy()
    if isinstance(space, spaces.Box):
        array = np.clip(array, space.low, space.high)
    return array.astype(space.dtype)
