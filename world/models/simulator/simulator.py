"""A simulator: any environment that can be cloned, as an exact world model.

A state holds a clone of the environment a row (see `handles`), beside the features it shows. A step steps a clone, so
that reward, end and features are the environment's own. Where rules correct a step, the correction is made the
clone's: by drawing the step again until chance brings what the rules say (the clone is then conditioned on them,
reward and end included), else by writing the features into it through the schema's `restore`.

The model is bound to the live environment by perception: what its `schema` perceives of that environment is cloned
there and then, and `observe` finds the clone by its features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ....errors import UserError
from ... import tree
from ...distributions import certain
from ...fingerprint import fingerprint
from ...model import Batch, Outcome
from ...schema import Features, Schema
from ...trial import random_actions
from .cloning import Cloning, cloning_of
from .handles import Handles, things_of
from .randomness import Path, follow, generators, position, reseed

if TYPE_CHECKING:
    import gymnasium

_STRIDE = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio: seeds of repeated draws lie far apart
_SEEDS = 2**63 - 1
_REFUSALS = (ValueError, AssertionError)
TRIED = 32


@dataclass(frozen=True)
class Clone:
    """An environment saved at one moment; `random` are the ways to its generators."""

    saved: Any
    random: tuple[Path, ...]


@dataclass(frozen=True)
class Clones:
    """N cloned environments, and what the last step into them brought."""

    clone: Tensor  # Handles [N]
    features: dict[str, Tensor]
    reward: Tensor  # [N]
    over: Tensor  # [N] bool: the episode has ended there
    before: Tensor  # Handles [N]: where the last step began
    action: Tensor  # [N, A]: its action
    drew: Tensor  # [N] bool: it was random


@dataclass(frozen=True)
class _Seen:
    """What was perceived of the live environment last, `[1, ...]`, and its clone."""

    features: dict[str, Tensor]
    clone: Clone


@dataclass(frozen=True)
class _Step:
    """What one step of one clone brought."""

    clone: Clone
    features: dict[str, np.ndarray]
    reward: float
    over: bool
    feasible: bool
    drew: bool


class Simulator:
    """`env` as a world model: `Agent(env, model=Simulator(env))`, or `Agent(env, model="simulator")`.

    A step draws its randomness from `rng`: the clone's generators are begun anew, so that nobody sees the future the
    live environment has in store. Without `rng` they are begun from the state and the action, so that one step from
    one state is always the same (of a random step, one possible outcome). `peek=True` leaves the clone its own
    generators: without `rng` its future is then the live environment's very future. Whether it is "stochastic" is tried
    in a copy, over `TRIED` random steps.

    A step that raises `ValueError` or `AssertionError` is infeasible: nothing changes, nothing is paid. An episode
    that has ended stays where it ended and pays nothing. A truncation is no end. `redraws` is how often a random step
    is drawn again for what rules say of it.
    """

    needs_env = True

    def __init__(
        self,
        env: gymnasium.Env,
        schema: Schema | None = None,
        *,
        cloning: Cloning | None = None,
        peek: bool = False,
        redraws: int = 64,
    ) -> None:
        self.env, self.cloning, self.peek, self.redraws = env, cloning or cloning_of(env), peek, redraws
        self._world = schema or Schema.from_env(env)
        if self._world.sight is not None:
            raise UserError("clones of the environment show what a partial view does not: with view='partial' choose "
                            "another model than 'simulator'")
        self.schema = replace(self._world, perceive=self._perceive)
        self._seen: _Seen | None = None
        self.provides = frozenset({"reward", "end", "exact"}) | ({"stochastic"} if self._is_random() else set())

    def initial(self, n: int) -> Clones:
        """Nothing was seen: there is no clone yet, and no step can be taken."""
        none = Handles.of([None] * n)
        features = {f.name: torch.full((n, *f.shape), f.offset, dtype=f.dtype) for f in self.schema.features}
        action = torch.zeros(n, len(self.schema.actions), dtype=self.schema.action_dtype)
        no = torch.zeros(n, dtype=torch.bool)
        return Clones(none, features, torch.zeros(n), no, none, action, no)

    def observe(
        self,
        state: Clones,
        action: Tensor | None,
        features: Features,
        reset: Tensor | None = None,
        rng: torch.Generator | None = None,
    ) -> Clones:
        """A row with the features of the live environment becomes its clone; one that shows what was imagined keeps
        its own; any other is written into a clone by the schema's `restore`.

        Raises `UserError` where that is needed and the schema has none.
        """
        n = len(next(iter(features.values())))
        given = {f.name: features[f.name] for f in self.schema.features}
        live = torch.zeros(n, dtype=torch.bool)
        clones, over = things_of(state.clone), state.over.clone()
        if self._seen is not None:
            live = ~tree.differ({k: v.expand(n, *v.shape[1:]) for k, v in self._seen.features.items()}, given)
        kept = ~tree.differ(state.features, given) & ~live & torch.tensor([c is not None for c in clones])
        if reset is not None:
            kept &= ~reset
        for i in range(n):
            if live[i]:
                assert self._seen is not None
                clones[i], over[i] = self._seen.clone, False
            elif not kept[i]:
                base = self._seen.clone if self._seen is not None else self._clone(self.env)
                clones[i], ended = self._restored(base, {k: v[i] for k, v in given.items()}, list(given))
                over[i] = bool(ended)
        nothing = self.initial(n)
        return Clones(Handles.of(clones), given, nothing.reward, over, nothing.before, nothing.action, nothing.drew)

    def step(self, state: Clones, action: Tensor, rng: torch.Generator | None = None) -> tuple[Clones, Outcome]:
        """Step every clone, each in an environment of its own. Raises `UserError` before anything was observed."""
        n = len(action)
        clones = things_of(state.clone)
        if None in clones:
            raise UserError("a simulator steps from where an environment is: `observe` the environment's features "
                            "first (or `begin(model, features)`)")
        seeds = self._seeds(state.features, action, rng)
        natives = action.detach().cpu().numpy()
        over = state.over.tolist()
        live = [i for i in range(n) if not over[i]]
        taken = [self._step(clones[i], natives[i], seeds[i], state, i) for i in live]
        after = {k: v.clone() for k, v in state.features.items()}
        reward, drew, feasible = torch.zeros(n), torch.zeros(n, dtype=torch.bool), torch.ones(n, dtype=torch.bool)
        ended = state.over.clone()
        if live:
            rows = torch.tensor(live)
            for k, v in self.schema.batch([s.features for s in taken]).items():
                after[k][rows] = v
            reward[rows] = torch.tensor([s.reward for s in taken])
            ended[rows] = torch.tensor([s.over for s in taken])
            drew[rows] = torch.tensor([s.drew for s in taken])
            feasible[rows] = torch.tensor([s.feasible for s in taken])
            for i, s in zip(live, taken, strict=True):
                clones[i] = s.clone
        new = Clones(Handles.of(clones), after, reward, ended, state.clone, action, drew)
        distributions = {f.name: certain(f, after[f.name]) for f in self.schema.features}
        return new, Outcome(distributions, reward, (~ended).float(), feasible, torch.zeros(n))

    def assimilate(
        self, state: Clones, features: Features, rows: Tensor, rng: torch.Generator | None = None
    ) -> Clones:
        """Make `features` true of the clones on `rows`: by drawing a random step again until it brings them, else by
        writing them into the clone. Raises `UserError` where the schema cannot write what changed."""
        given = {f.name: features[f.name].to(f.dtype) for f in self.schema.features}
        wrong = (rows & tree.differ(given, state.features)).nonzero()[:, 0].tolist()
        if not wrong:
            return state
        clones, before = things_of(state.clone), things_of(state.before)
        reward, over = state.reward.clone(), state.over.clone()
        wanted = {k: v.clone() for k, v in state.features.items()}
        for k in wanted:
            wanted[k][wrong] = given[k][wrong]
        seeds = self._seeds(given, state.action, rng)
        natives = state.action.detach().cpu().numpy()
        for i in wrong:
            row = {k: v[i] for k, v in wanted.items()}
            again = self._redrawn(before[i], natives[i], row, seeds[i]) if state.drew[i] else None
            if again is not None:
                clones[i], reward[i], over[i] = again.clone, again.reward, again.over
                continue
            changed = [k for k, v in row.items() if not torch.equal(v, state.features[k][i])]
            clones[i], ended = self._restored(clones[i], row, changed)
            over[i] = over[i] if ended is None else ended
        return replace(state, clone=Handles.of(clones), features=wanted, reward=reward, over=over)

    def reconsider(self, state: Clones, outcome: Outcome) -> Outcome:
        """The outcome with the reward and the end of the step as it was assimilated."""
        return replace(outcome, reward=state.reward, cont=(~state.over).float())

    def decode(self, state: Clones) -> dict[str, Tensor]:
        """The features that the clones show."""
        return state.features

    def loss(self, batch: Batch, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        """There is nothing to learn."""
        return {}

    # --- inside ---------------------------------------------------------------------------------------------------

    def _perceive(self, observation: Any, env: gymnasium.Env | None) -> dict[str, Any]:
        """Perception; what it is shown of the live environment is cloned."""
        seen = self._world.observe(observation, env)
        if env is not None and env.unwrapped is self.env.unwrapped:
            self._seen = _Seen(self._world.batch([seen]), self._clone(self.env))
        return dict(seen)

    def _is_random(self) -> bool:
        """Whether random steps of a copy draw from its generators."""
        env = self.cloning.load(self.cloning.save(self.env))
        env.reset(seed=0)
        sources = [follow(env, path) for path in generators(env)]
        for action in random_actions(self.schema, (TRIED,), torch.Generator().manual_seed(0)):
            stood = [position(s) for s in sources]
            try:
                _, _, terminated, truncated, _ = env.step(self.schema.act(action.numpy()))
            except _REFUSALS:
                continue
            if stood != [position(s) for s in sources]:
                return True
            if terminated or truncated:
                env.reset()
        return False

    def _clone(self, env: gymnasium.Env) -> Clone:
        return Clone(self.cloning.save(env), tuple(generators(env)))

    def _step(self, clone: Clone, action: np.ndarray, seed: int | None, state: Clones | None, row: int) -> _Step:
        env = self.cloning.load(clone.saved)
        sources = [follow(env, path) for path in clone.random]
        if seed is not None:
            for source in sources:
                reseed(source, seed)
        stood = [position(s) for s in sources]
        try:
            observation, reward, terminated, _, _ = env.step(self.schema.act(action))
        except _REFUSALS:
            assert state is not None
            here = {k: v[row].numpy() for k, v in state.features.items()}
            return _Step(clone, here, 0.0, False, False, False)
        drew = stood != [position(s) for s in sources]
        features = self._world.observe(observation, env)
        return _Step(Clone(self.cloning.keep(env), clone.random), features, float(reward), bool(terminated), True, drew)

    def _redrawn(self, clone: Clone | None, action: np.ndarray, wanted: dict[str, Tensor], seed: int | None
                 ) -> _Step | None:
        """The step drawn again until it shows `wanted`; None where it never does."""
        if clone is None:
            return None
        for k in range(self.redraws):
            step = self._step(clone, action, ((seed or 0) + (k + 1) * _STRIDE) & _SEEDS, None, 0)
            if all(np.array_equal(step.features[name], v.numpy()) for name, v in wanted.items()):
                return step
        return None

    def _restored(self, clone: Clone, row: dict[str, Tensor], changed: Sequence[str]) -> tuple[Clone, bool | None]:
        """A clone with the features of one row written into it, and whether the episode is over there."""
        if self._world.restore is None:
            raise UserError(
                f"the simulator of '{self.schema.name}' cannot be made to show another {', '.join(changed)}: its "
                "schema has no `restore` that writes features into the environment. Give it one (dataclasses.replace("
                "schema, restore=...)), take back the rule that changes them, or perceive with the simulator's schema"
            )
        env = self.cloning.load(clone.saved)
        ended = self._world.restore(env, {f.name: row[f.name].numpy() for f in self.schema.features})
        return Clone(self.cloning.keep(env), clone.random), ended

    def _seeds(self, features: Features, action: Tensor, rng: torch.Generator | None) -> list[int] | list[None]:
        """What the generators of each row begin with; None leaves them as they are."""
        if rng is not None:
            return torch.randint(_SEEDS, (len(action),), generator=rng).tolist()
        return [None] * len(action) if self.peek else (fingerprint(features, action) & _SEEDS).tolist()

