"""The shield: whatever was planned, a forbidden action is not executed.

`forbid` is checked against the observed features. A limit (`avoid`, `maintain`) is kept with its margin, by the next
state and by some way to go on from there: what has momentum must be stopped in time (a predictive safety filter,
Wabersich & Zeilinger 2018, arXiv 1812.05506). An action that leaves no such way gives place to the nearest one that
does. Every intervention is recorded with its rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import GedankenError
from ..world import tree
from ..world.model import Outcome, State, WorldModel
from ..world.rules.bounds import narrowed
from ..world.rules.compile import Compiled
from ..world.rules.text import to_text
from ..world.schema import Features, Schema
from .backups import backups
from .goals import Limit
from .planning.plan import rank_nan_last


@dataclass(frozen=True)
class ShieldConfig:
    """A way to go on within the limits must be seen for `horizon` steps (1: the next state is all that counts), among
    those that the shield knows and `backups` drawn ones. `samples` continuous actions are tried where one is refused.
    """

    horizon: int = 12
    backups: int = 12
    samples: int = 256


@dataclass(frozen=True)
class Decision:
    """One intervention: what was intended, what was executed instead, and the rule that made it."""

    intended: tuple[float, ...]
    executed: tuple[float, ...]
    rule: str


class Shield:
    """Guards the executed action of one schema."""

    def __init__(self, schema: Schema, rules: Compiled, limits: Sequence[Limit] = (),
                 config: ShieldConfig | None = None) -> None:
        self.schema, self.rules, self.limits, self.config = schema, rules, tuple(limits), config or ShieldConfig()
        ahead, self._left_to_do = self.config.horizon - 1, narrowed(schema, rules.rules)
        self._ways = backups(self._left_to_do, ahead, self.config.backups) if self.limits and ahead > 0 else None

    @torch.no_grad()
    def guard_rows(self, actions: Tensor, features: Features, model: WorldModel, state: State,
                   rngs: Sequence[torch.Generator], planned: Tensor | None = None) -> tuple[Tensor, list[Decision]]:
        """The actions to execute for N rows `[N, A]`, each as `guard` has it, and the decisions that changed some."""
        safe = torch.ones(len(actions), dtype=torch.bool)
        if self.rules.forbids:
            safe &= self.rules.allowed(features, actions)
        if self.limits:
            safe &= self._slack(model, state, actions, planned)[0] >= 0
        executed, decisions = actions.clone(), []
        for i in (~safe).nonzero()[:, 0].tolist():
            row = torch.tensor([i])
            executed[i], decision = self.guard(actions[row], tree.take(dict(features), row), model,
                                               None if state is None else tree.take(state, row), rngs[i],
                                               None if planned is None else planned[:, row])
            decisions += [decision] if decision is not None else []
        return executed, decisions

    @torch.no_grad()
    def guard(self, action: Tensor, features: Features, model: WorldModel, state: State, rng: torch.Generator,
              planned: Tensor | None = None) -> tuple[Tensor, Decision | None]:
        """The action to execute for one row: `action [1, A]` itself, or the nearest to it that is allowed and keeps
        the limits, or the one that comes nearest to keeping them. `planned [T, 1, A]` is how the planner means to go
        on after it.

        Raises `GedankenError` if the rules forbid every action in this state.
        """
        if not self.rules.forbids and not self.limits:
            return action, None
        forbidden = not bool(self.rules.allowed(features, action)[0])
        slack, nearest = self._slack(model, state, action, planned)
        if not forbidden and bool(slack[0] >= 0):
            return action, None
        others = self._others(action, rng)
        allowed = self.rules.allowed({k: v.expand(len(others), *v.shape[1:]) for k, v in features.items()}, others)
        if not allowed.any():
            raise GedankenError(f"every action is forbidden here by {self._texts()}; narrow one of these rules")
        others = others[allowed]
        slack, _ = self._slack(model, state, others, planned)
        distance = ((others != action) if self.schema.discrete_actions else (others - action).abs()).float().sum(1)
        # All that keep the limits are equally good: the nearest of them. If none does, the one that breaks them least.
        least = slack.clamp_max(0.0)
        choice = int(distance.masked_fill(least < least.max(), torch.inf).argmin())
        executed = others[choice:choice + 1]
        if torch.equal(executed, action):
            return action, None
        rule = self._forbidding(features, action) if forbidden else self.limits[int(nearest[0])].text
        return executed, Decision(tuple(action[0].tolist()), tuple(executed[0].tolist()), rule)

    def _others(self, action: Tensor, rng: torch.Generator) -> Tensor:
        if self.schema.discrete_actions:
            every = self.schema.all_actions()
            return every[torch.randperm(len(every), generator=rng)]
        low, high = self._left_to_do.clamp(torch.tensor([[-torch.inf], [torch.inf]]).expand(2, action.shape[1]))
        drawn = low + torch.rand(self.config.samples, action.shape[1], generator=rng) * (high - low)
        switches = torch.tensor([a.is_discrete for a in self.schema.actions])
        return torch.cat([action, self._left_to_do.clamp(action), torch.where(switches, drawn.round(), drawn)])

    def _forbidding(self, features: Features, action: Tensor) -> str:
        for rule in self.rules.rules:
            if rule.statement.kind == "forbid" and not Compiled(self.schema, [rule]).allowed(features, action)[0]:
                return to_text(rule)
        return self._texts()

    def _texts(self) -> str:
        return "; ".join(f"`{to_text(r)}`" for r in self.rules.rules if r.statement.kind == "forbid")

    def _slack(self, model: WorldModel, state: State, actions: Tensor, planned: Tensor | None
               ) -> tuple[Tensor, Tensor]:
        """How far inside every limit's margin the next state and the best way to go on from it stay, `[M]`, and which
        limit is nearest to break; from one state, or from a state an action."""
        if not self.limits:
            return torch.zeros(len(actions)), torch.zeros(len(actions), dtype=torch.int64)
        here = tree.size(state)
        state, out = model.step(state if here == len(actions) else tree.repeat(state, len(actions)), actions)
        slack = self._left(out, 0)
        if self._ways is not None:
            slack = torch.minimum(slack, self._ahead(model, state, out, self._ways_on(self._ways, actions, planned)))
        return slack.min(0)

    def _ways_on(self, ways: Tensor, actions: Tensor, planned: Tensor | None) -> Tensor:
        """Ways to go on after each of M actions, `[T, M, K, A]`: those known, the action held, and the plan's own."""
        steps, m = len(ways), len(actions)
        some = [ways[:, None].expand(-1, m, -1, -1), actions[None, :, None].expand(steps, -1, -1, -1)]
        if planned is not None and len(planned):
            known = planned[:steps]
            known = torch.cat([known, known[-1:].expand(steps - len(known), -1, -1)])
            some.append(known.expand(-1, m, -1)[:, :, None])
        return torch.cat(some, 2)

    def _ahead(self, model: WorldModel, state: State, out: Outcome, ways: Tensor) -> Tensor:
        """The least slack of each limit on the best of the ways `[T, M, K, A]` from M states, `[L, M]`. What would be
        after the predicted end of the episode does not count."""
        steps, m, k, _ = ways.shape
        state, alive = tree.repeat(state, k), out.cont.repeat_interleave(k)
        least = torch.full((len(self.limits), m * k), torch.inf)
        for t in range(steps):
            taken, before = ways[t].flatten(0, 1), model.decode(state)
            state, out = model.step(state, taken)
            left = self._left(out, t + 1).masked_fill(~(out.feasible & self.rules.allowed(before, taken)), -torch.inf)
            least = torch.where(alive > 0.5, torch.minimum(least, left), least)
            alive = alive * out.cont
        least = least.view(-1, m, k)
        best = least.amin(0).argmax(1)  # [M]
        return least.gather(2, best[None, :, None].expand(len(least), -1, 1))[:, :, 0]

    def _left(self, out: Outcome, t: int) -> Tensor:
        """How far inside each limit's margin an outcome t steps after the next is, `[L, M]`; NaN below everything."""
        return rank_nan_last(torch.stack([limit.slack(out.mode) - limit.margin(t) for limit in self.limits]))
