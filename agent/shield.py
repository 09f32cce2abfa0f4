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
    samples: int = 64


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

    def guard(self, action: Tensor, features: Features, model: WorldModel, state: State, rng: torch.Generator,
              planned: Tensor | None = None) -> tuple[Tensor, Decision | None]:
        """The action to execute for one row `[1, A]`, and the decision where it is another; see `guard_rows`."""
        executed, decisions = self.guard_rows(action, features, model, state, [rng], planned)
        return executed, decisions[0] if decisions else None

    @torch.no_grad()
    def guard_rows(self, actions: Tensor, features: Features, model: WorldModel, state: State,
                   rngs: Sequence[torch.Generator], planned: Tensor | None = None) -> tuple[Tensor, list[Decision]]:
        """The actions to execute for N rows `[N, A]`, and the decisions that changed some: each is the intended action,
        or the nearest to it that is allowed and keeps the limits, or the one that comes nearest to keeping them.
        `planned [T, N, A]` is how the planner means to go on after it.

        Raises `GedankenError` if the rules forbid every action in a row's state.
        """
        if not self.rules.forbids and not self.limits:
            return actions, []
        forbidden = ~self.rules.allowed(features, actions)
        slack, nearest = self._slack(model, state, actions, planned)
        refused = (forbidden | (slack < 0)).nonzero()[:, 0]
        if not len(refused):
            return actions, []
        others = torch.stack([self._others(actions[i : i + 1], rngs[i]) for i in refused.tolist()])  # [U, S, A]
        many, each = others.flatten(0, 1), refused.repeat_interleave(others.shape[1])
        allowed = self.rules.allowed(tree.take(dict(features), each), many).view(others.shape[:2])
        if not bool(allowed.any(1).all()):
            raise GedankenError(f"every action is forbidden here by {self._texts()}; narrow one of these rules")
        if self.limits:
            state, planned = tree.take(state, each), None if planned is None else planned[:, each]
        slack = self._slack(model, state, many, planned)[0].view_as(allowed)
        executed, decisions = actions.clone(), []
        for k, i in enumerate(refused.tolist()):
            executed[i] = self._nearest(actions[i], others[k][allowed[k]], slack[k][allowed[k]])
            if not torch.equal(executed[i], actions[i]):
                row = torch.tensor([i])
                rule = (self._forbidding(tree.take(dict(features), row), actions[row]) if bool(forbidden[i]) else
                        self.limits[int(nearest[i])].text)
                decisions.append(Decision(tuple(actions[i].tolist()), tuple(executed[i].tolist()), rule))
        return executed, decisions

    def _nearest(self, action: Tensor, others: Tensor, slack: Tensor) -> Tensor:
        """All of `others [S, A]` that keep the limits are equally good: the nearest of them. If none does, the one that
        breaks them least."""
        distance = ((others != action) if self.schema.discrete_actions else (others - action).abs()).float().sum(1)
        least = slack.clamp_max(0.0)
        return others[int(distance.masked_fill(least < least.max(), torch.inf).argmin())]

    def _others(self, action: Tensor, rng: torch.Generator) -> Tensor:
        """What may be done instead of one action `[1, A]`: all there is, or amounts that fill the bounds evenly."""
        if self.schema.discrete_actions:
            every = self.schema.all_actions()
            return every[torch.randperm(len(every), generator=rng)]
        low, high = self._left_to_do.clamp(torch.tensor([[-torch.inf], [torch.inf]]).expand(2, action.shape[1]))
        even = torch.quasirandom.SobolEngine(action.shape[1]).draw(self.config.samples)  # Sobol 1967
        switches = torch.tensor([a.is_discrete for a in self.schema.actions])
        spread = low + even * (high - low)
        return torch.cat([action, self._left_to_do.clamp(action), torch.where(switches, spread.round(), spread)])

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
        limit is nearest to break."""
        if not self.limits:
            return torch.zeros(len(actions)), torch.zeros(len(actions), dtype=torch.int64)
        state, out = model.step(state, actions)
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
