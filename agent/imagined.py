"""Imagination as a Gymnasium environment: any reinforcement learning library trains in it, or a person plays.

`ImaginedEnv` steps N imagined worlds at once; `ImaginedSingle` is one of them, for libraries that want a plain `Env`.
Both start from real features or imagined states and never touch the real environment; `Perceived` is the real one in
the same spaces, so that what was trained in imagination can be tried there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from ..errors import UserError
from ..world import tree
from ..world.model import State, WorldModel, begin
from ..world.refine import carried_over
from ..world.rules.compile import Compiled
from ..world.rules.text import to_text
from ..world.schema import Features, Schema
from .spaces import action_space, checked, fitted, observation_space, rows_of

if TYPE_CHECKING:
    from .agent import Agent

Arrays = dict[str, np.ndarray]


class ImaginedEnv(VectorEnv):
    """`num_envs` imagined worlds under `model` (refined or not), batched in one step.

    Episodes begin at rows of `starts [M, ...]`, drawn at random, or at the features or the states given to `reset`.
    They terminate as the model predicts: drawn with the predicted probability, as are the features, or, with
    `stochastic=False`, the most likely. They are truncated after `horizon` steps, and where the model's uncertainty
    exceeds `max_uncertainty` nats: what comes then is not to be learned from. An infeasible action (one that a rule
    forbids) is not executed: nothing changes, nothing is paid.

    `infos`: `uncertainty [N]` in nats, `feasible [N]`, and `fired [N, R]`, which of `rules` applied, where the model
    has rules. An ended episode begins anew at the next step (`AutoresetMode.NEXT_STEP`), or within the same one, with
    what was seen at its end in `infos["final_obs"]` (`SAME_STEP`). Everything is drawn from the seed given to `reset`.

    Rules told while it runs act from the next step: `of(agent)` follows what the agent is told, and another refinement
    of the same model may be set as `model`; the beliefs of the running episodes are kept.
    """

    def __init__(self, model: WorldModel, starts: Features | None = None, num_envs: int = 16, *, horizon: int = 64,
                 max_uncertainty: float = float("inf"), stochastic: bool = True,
                 autoreset: AutoresetMode = AutoresetMode.NEXT_STEP) -> None:
        if num_envs < 1 or horizon < 1:
            raise UserError(f"num_envs is {num_envs} and horizon {horizon}; give at least 1 of each")
        if autoreset not in (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP):
            raise UserError("episodes begin anew by themselves: autoreset is AutoresetMode.NEXT_STEP or SAME_STEP")
        self.metadata = {"autoreset_mode": autoreset, "render_modes": []}
        self.num_envs, self.horizon = num_envs, horizon
        self.max_uncertainty, self.stochastic, self.autoreset = max_uncertainty, stochastic, autoreset
        self._model, self._source = model, lambda: model
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
        worlds = ImaginedEnv(agent.mind.imagining, agent.schema.batch(been.features), num_envs, **options)
        worlds._source = lambda: agent.mind.imagining
        return worlds

    @property
    def model(self) -> WorldModel:
        """The model that the next step is imagined with."""
        model = self._source()
        if model is not self._model:
            if self._state is not None:
                self._state = carried_over(self._state, self._model, model)
            self._model = model
        return model

    @model.setter
    def model(self, model: WorldModel) -> None:
        self._source = lambda: model

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that correct the next step, in the order of `infos["fired"]`."""
        compiled = rules_of(self.model)
        return tuple(to_text(r) for r in compiled.rules) if compiled else ()

    @property
    def state(self) -> State:
        """The imagined states `[N, ...]`, of this or a later `reset` to begin at; None before the first one."""
        return self._state

    @torch.no_grad()
    def reset(self, *, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None
              ) -> tuple[Arrays, dict[str, Any]]:
        """Begin all episodes; `options["features"]` says where (one row for all or one each), or `options["state"]`,
        states that were imagined (`state`, or `tree.take` of it).

        Raises `UserError` for features that do not fit the schema, or where there is nothing to begin at.
        """
        if seed is not None and not isinstance(seed, int | np.integer):
            seed = int(np.random.SeedSequence(list(seed)).generate_state(1)[0])
        super().reset(seed=None if seed is None else int(seed))
        if seed is not None or not self._seeded:
            self._rng.manual_seed(int(self.np_random.integers(2**62)))
            self._seeded = True
        model, given, state = self.model, (options or {}).get("features"), (options or {}).get("state")
        if state is not None:
            self._state = self._one_each(state, "states")
            self._starts = self._starts or model.decode(self._state)
        elif given is not None:
            rows = checked(model.schema, given)
            self._starts = self._starts or rows
            self._state = begin(model, self._one_each(rows, "features"))
        else:
            self._state = begin(model, self._drawn())
        self._t = torch.zeros_like(self._t)
        self._over = torch.zeros_like(self._over)
        return self._observation(), {}

    @torch.no_grad()
    def step(self, actions: Any) -> tuple[Arrays, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Imagine one step of every world; the rows that ended at the last one begin anew instead, and pay nothing."""
        if self._state is None:
            raise UserError("call reset() before step()")
        model, rng = self.model, self._rng if self.stochastic else None
        stepped, out = model.step(self._state, rows_of(model.schema, actions, self.num_envs), rng)
        live, running = out.feasible & ~self._over, ~self._over
        ended = torch.rand(self.num_envs, generator=rng) >= out.cont if rng is not None else out.cont < 0.5
        terminated = ended & live
        state = tree.choose(live, stepped, self._state)
        if bool(self._over.any()):
            state = tree.choose(running, state, begin(model, self._drawn()))
        self._state, self._t = state, torch.where(running, self._t + 1, 0)
        truncated = running & ~terminated & ((self._t >= self.horizon) | (out.uncertainty > self.max_uncertainty))
        infos = {"uncertainty": (out.uncertainty * running).double().numpy(),
                 "feasible": (out.feasible | self._over).numpy()}
        if out.fired is not None:
            infos["fired"] = (out.fired & live[:, None]).numpy()
        infos |= {f"_{k}": running.numpy() for k in infos}
        self._over = terminated | truncated
        if self.autoreset == AutoresetMode.SAME_STEP and bool(self._over.any()):
            infos["final_obs"], infos["_final_obs"] = self._ended(), self._over.numpy()
            self._state = tree.choose(self._over, begin(model, self._drawn()), self._state)
            self._t, self._over = self._t.masked_fill(self._over, 0), torch.zeros_like(self._over)
        reward = torch.where(live, out.reward, torch.zeros_like(out.reward)).double().numpy()
        return self._observation(), reward, terminated.numpy(), truncated.numpy(), infos

    def _one_each(self, rows: Any, what: str) -> Any:
        """A tree of one row, or one a world, as one a world."""
        m = tree.size(rows)
        if m not in (1, self.num_envs):
            raise UserError(f"{m} rows of {what} for {self.num_envs} environments; give one row, or one each")
        return tree.repeat(rows, self.num_envs) if m == 1 else rows

    def _ended(self) -> np.ndarray:
        """What is seen at the end of the episodes that are over, an object array `[N]` (None where they go on)."""
        seen, last = self._observation(), np.full(self.num_envs, None, dtype=object)
        for i in self._over.nonzero()[:, 0].tolist():
            last[i] = {name: value[i] for name, value in seen.items()}
        return last

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
        return {name: fitted(value, spaced[name]) for name, value in self.model.decode(self._state).items()}


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


class Perceived(gymnasium.Wrapper, RecordConstructorArgs):
    """The real environment in the spaces of an imagined one: observations are features, actions those of the schema."""

    def __init__(self, env: gymnasium.Env, schema: Schema | None = None) -> None:
        RecordConstructorArgs.__init__(self, schema=schema)
        gymnasium.Wrapper.__init__(self, env)
        self.schema = schema or Schema.from_env(env)
        self.last: dict[str, np.ndarray] = {}  # what was perceived last
        self.observation_space = observation_space(self.schema)
        self.action_space = action_space(self.schema)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Arrays, dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        self.last = self.schema.observe(observation, self.env)
        return self._seen(), info

    def step(self, action: Any) -> tuple[Arrays, float, bool, bool, dict[str, Any]]:
        one = action if isinstance(action, Mapping) else np.asarray(action)[None]
        row = rows_of(self.schema, one, 1)[0].numpy()
        observation, reward, terminated, truncated, info = self.env.step(self.schema.act(row))
        self.last = self.schema.observe(observation, self.env, (self.last, row))
        return self._seen(), float(reward), terminated, truncated, info

    def _seen(self) -> Arrays:
        seen, spaced = self.schema.batch([self.last]), self.observation_space
        assert isinstance(spaced, spaces.Dict)
        fit = {name: fitted(value, spaced[name]) for name, value in seen.items()}
        return {k: v[0] if isinstance(spaced[k], spaces.Discrete) else np.asarray(v[0]) for k, v in fit.items()}


def rules_of(model: WorldModel) -> Compiled | None:
    """The compiled rules that correct a model, however it is wrapped; None where none do."""
    inner: Any = model
    while inner is not None:
        if isinstance(found := getattr(inner, "rules", None), Compiled):
            return found
        inner = getattr(inner, "inner", None)
    return None
