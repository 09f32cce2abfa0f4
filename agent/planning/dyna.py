"""Dyna-Q (Sutton & Barto 2018, section 8.2): acting, learning from what happens, and learning from what is imagined.

A `Planner` that learns: planning is one look into a table of the states it has met, by the fingerprint of their decoded
features and how far the objective is. What it learns from:

- `observe`: one real transition; one update of its value, then `updates` ones of remembered steps, as in the book;
- `improve`: all of replay, and what the (refined) world model imagines of the actions that were never tried, so that
  rules shape its values before anybody has tried them. Where experience and imagination differ, experience counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from ...errors import UserError
from ...world import tree
from ...world.fingerprint import fingerprint
from ...world.model import State, WorldModel, begin
from ...world.schema import Features, Schema
from ...world.training import Progress, Source
from .objective import Carry, Objective, Transition
from .plan import Budget, Plan
from .q_table import QConfig, QTable


@dataclass(frozen=True)
class DynaConfig:
    """The book's letters: `alpha` step size, `epsilon` share of random actions, `updates` planning steps a real step
    (n). `improve` makes `steps` updates, over at most `states` states, imagined ones included."""

    alpha: float = 0.1
    epsilon: float = 0.1
    updates: int = 50
    sweep: bool = False
    steps: int = 5_000
    states: int = 20_000


@dataclass
class Learned:
    """All that learning changes: the table, and of each of its S rows a state that stands for it."""

    table: QTable
    features: dict[str, list[Tensor]]  # [S] of [*shape]
    carries: list[list[Tensor]]  # a term: [S] of its carry
    tried: set[tuple[int, int]]  # (row, action) that were lived, not imagined


class DynaQ:
    """The planner; see the module's text."""

    commits = False

    def __init__(self, config: DynaConfig | None = None) -> None:
        self.config = config or DynaConfig()
        self.learned: Learned | None = None

    def unfit(self, schema: Schema) -> str | None:
        if schema.discrete_actions and all(f.is_discrete for f in schema.features):
            return None
        return f"Dyna-Q keeps a table, and '{schema.name}' has real numbers; choose planner='cem'"

    def initial(self, n: int) -> None:
        """Nothing is carried: what it knows is in its table."""

    # --- learning -------------------------------------------------------------------------------------------------

    def observe(self, schema: Schema, step: Transition, objective: Objective, carry: Carry,
                rng: torch.Generator) -> None:
        """Learn from real transitions (N rows, one after the other), from `carry` of the objective on."""
        for row, action in self._live(schema, step, objective, carry):
            assert self.learned is not None
            self.learned.table.update(row, action)
            self.learned.table.plan(self.config.updates, rng)

    def improve(self, model: WorldModel, replay: Source, objective: Objective, rng: torch.Generator,
                steps: int | None = None, progress: Callable[[Progress], None] | None = None) -> dict[str, float]:
        """`Learner.improve`: take in all of replay, imagine what was not tried, and plan."""
        everything = replay.everything()
        if everything is None:
            return {}
        schema, real = model.schema, everything.mask.flatten()
        now, after = ({k: v[:, span].flatten(0, 1)[real] for k, v in everything.features.items()}
                      for span in (slice(0, -1), slice(1, None)))
        n = int(real.sum())
        self._live(schema, Transition(
            now, everything.action.flatten(0, 1)[real], after, everything.reward.flatten()[real],
            1 - everything.terminated.flatten()[real].float(), torch.ones(n, dtype=torch.bool), torch.zeros(n),
            torch.ones(n), 0), objective, objective.start(now))
        imagined = self._imagine(model, objective, rng)
        report = Progress(0, self.config.steps if steps is None else steps)
        assert self.learned is not None
        while report.step < report.steps:
            some = min(1_000, report.steps - report.step)
            self.learned.table.plan(some, rng)
            report.step += some
            if progress:
                progress(report)
        return {"states": float(len(self.learned.table)), "imagined": float(imagined)}

    def _live(self, schema: Schema, step: Transition, objective: Objective, carry: Carry) -> list[tuple[int, int]]:
        """Remember what N steps brought; the rows and actions they were."""
        after, gain, _ = objective.advance(carry, step)
        now = self._rows(schema, step.now, objective, carry)
        then = self._rows(schema, step.next, objective, after)
        assert self.learned is not None
        lived = list(zip(now, _codes(schema, step.action), strict=True))
        for (row, action), g, d, to in zip(lived, gain.tolist(), (objective.discount * step.cont).tolist(), then,
                                           strict=True):
            self.learned.table.know(row, action, g, d, to)
        self.learned.tried.update(lived)
        return lived

    @torch.no_grad()
    def _imagine(self, model: WorldModel, objective: Objective, rng: torch.Generator, most: int = 4_096) -> int:
        """Let the model say what every untried action brings, from all states of the table, and from those that it
        leads to, as long as there is room; how many steps that were."""
        assert self.learned is not None
        known, schema, every, done, total = self.learned, model.schema, model.schema.all_actions(), 0, 0
        while done < len(known.table) and done < self.config.states:
            rows = range(done, min(len(known.table), done + max(1, most // len(every)), self.config.states))
            pairs = [(r, a) for r in rows for a in range(len(every)) if (r, a) not in known.tried]
            done = rows.stop
            if not pairs:
                continue
            now = {k: torch.stack([v[r] for r, _ in pairs]) for k, v in known.features.items()}
            carry = tuple(torch.stack([c[r] for r, _ in pairs]) for c in known.carries)
            taken = every[[a for _, a in pairs]]
            chancy = "stochastic" in model.provides
            state, out = model.step(begin(model, now), taken, rng if chancy else None)
            then = model.decode(state) if chancy else out.mode
            after, gain, _ = objective.advance(carry, Transition(
                now, taken, then, out.reward, out.cont, out.feasible, out.uncertainty, torch.ones(len(pairs)), 0))
            total += len(pairs)
            usable = out.feasible & gain.isfinite()
            to = self._rows(schema, {k: v[usable] for k, v in then.items()}, objective,
                            tuple(c[usable] for c in after))
            discount = objective.discount * out.cont[usable]
            sure = [p for p, ok in zip(pairs, usable.tolist(), strict=True) if ok]
            for (row, action), g, d, there in zip(sure, gain[usable].tolist(), discount.tolist(), to, strict=True):
                known.table.know(row, action, g, d, there)
        return total

    def _rows(self, schema: Schema, features: Features, objective: Objective, carry: Carry) -> list[int]:
        """The table's rows of N states; new ones are added."""
        if self.learned is None:
            table = QTable(len(schema.all_actions()), QConfig(self.config.alpha, self.config.sweep))
            self.learned = Learned(table, {k: [] for k in features}, [[] for _ in carry], set())
        known, rows = self.learned, []
        for i, key in enumerate(fingerprint(features, *objective.key(carry)).tolist()):
            rows.append(known.table.row(key))
            if rows[-1] == len(next(iter(known.features.values()))):
                for k, v in features.items():
                    known.features[k].append(v[i])
                for own, c in zip(known.carries, carry, strict=True):
                    own.append(c[i])
        return rows

    # --- planning -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def plan(self, model: WorldModel, state: State, objective: Objective, carry: None, rng: torch.Generator,
             budget: Budget | None = None) -> Plan:
        """One look at each of the B states: a best action of the table among the feasible ones, or a random one in
        `epsilon` of all cases and wherever the table knows nothing."""
        if reason := self.unfit(model.schema):
            raise UserError(reason)
        began, b, features = time.perf_counter(), tree.size(state), model.decode(state)
        every = model.schema.all_actions()
        a = len(every)
        after, out = model.step(tree.repeat(state, a), every.repeat(b, 1))
        feasible = out.feasible.view(b, a)
        own = objective.start(features)
        keys = fingerprint(features, *objective.key(own)).tolist()
        chances = torch.rand(b, 2, generator=rng, dtype=torch.float64).tolist()
        chosen, worth = [], []
        for key, (first, second), may in zip(keys, chances, feasible.tolist(), strict=True):
            allowed = [i for i in range(a) if may[i]] or list(range(a))
            row = None if self.learned is None else self.learned.table.rows.get(key)
            if row is None or first < self.config.epsilon:
                chosen.append(allowed[int(second * len(allowed))])
            else:
                assert self.learned is not None
                chosen.append(self.learned.table.best(row, second, allowed))
            worth.append(0.0 if row is None or self.learned is None else self.learned.table.q[row][chosen[-1]])
        picked = torch.arange(b) * a + torch.tensor(chosen)
        following = {k: v[picked] for k, v in model.decode(after).items()}
        _, _, reached = objective.advance(own, Transition(
            features, every[chosen], following, out.reward[picked], out.cont[picked], out.feasible[picked],
            out.uncertainty[picked], torch.ones(b), 0))
        statistics = {"states": float(len(self.learned.table) if self.learned else 0)}
        return Plan(every[chosen], every[chosen][None], torch.tensor(worth), reached,
                    {k: torch.stack([v, following[k]]) for k, v in features.items()}, a * b,
                    time.perf_counter() - began, None, statistics)

    # --- saving ---------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = {"config": asdict(self.config)}
        if (known := self.learned) is not None:
            state |= {"table": known.table.state_dict(), "actions": known.table.actions,
                      "features": {k: torch.stack(v) for k, v in known.features.items()},
                      "carries": [torch.stack(c) for c in known.carries], "tried": torch.tensor(sorted(known.tried))}
        return state

    def load_state_dict(self, state: dict[str, Any], schema: Schema) -> None:
        try:
            self.config, self.learned = DynaConfig(**state["config"]), None
            if "table" in state:
                if state["actions"] != len(schema.all_actions()) or set(state["features"]) != set(schema.base):
                    raise ValueError("its actions or features are others")
                table = QTable(state["actions"], QConfig(self.config.alpha, self.config.sweep))
                table.load_state_dict(state["table"])
                self.learned = Learned(table, {k: list(v) for k, v in state["features"].items()},
                                       [list(c) for c in state["carries"]],
                                       {(row, action) for row, action in state["tried"].tolist()})
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"this is no state of Dyna-Q for '{schema.name}' ({error}); pass what state_dict() "
                            "returned, with the schema it was made for") from error


def _codes(schema: Schema, action: Tensor) -> list[int]:
    """The places of actions `[N, A]` in `Schema.all_actions`."""
    code = torch.zeros(len(action), dtype=torch.int64)
    for i, a in enumerate(schema.actions):
        code = code * (a.cardinality or 1) + action[:, i].long()
    return code.tolist()
