"""The shield: whatever was planned, a forbidden action is not executed.

`forbid` is checked against the observed features. A limit (`avoid`, `maintain`) that the chosen action is predicted
to break, margin included, is kept by another action if there is one. Every intervention is recorded with its rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import GedankenError
from ..world import tree
from ..world.model import State, WorldModel
from ..world.rules.compile import Compiled
from ..world.schema import Features, Schema
from .goals import Limit
from .planning.plan import rank_nan_last


@dataclass(frozen=True)
class Decision:
    """One intervention: what was intended, what was executed instead, and the rule that made it."""

    intended: tuple[float, ...]
    executed: tuple[float, ...]
    rule: str


class Shield:
    """Guards the executed action of one schema. `samples` continuous actions are tried where one is refused."""

    def __init__(self, schema: Schema, rules: Compiled, limits: Sequence[Limit] = (), samples: int = 256) -> None:
        self.schema, self.rules, self.limits, self.samples = schema, rules, tuple(limits), samples

    @torch.no_grad()
    def guard_rows(self, actions: Tensor, features: Features, model: WorldModel, state: State,
                   rngs: Sequence[torch.Generator]) -> tuple[Tensor, list[Decision]]:
        """The actions to execute for N rows `[N, A]`, each as `guard` has it, and the decisions that changed some."""
        safe = torch.ones(len(actions), dtype=torch.bool)
        if self.rules.forbids:
            safe &= self.rules.allowed(features, actions)
        if self.limits:
            safe &= self._slack(model, state, actions)[0] >= 0
        executed, decisions = actions.clone(), []
        for i in (~safe).nonzero()[:, 0].tolist():
            row = torch.tensor([i])
            executed[i], decision = self.guard(actions[row], tree.take(dict(features), row), model,
                                               None if state is None else tree.take(state, row), rngs[i])
            decisions += [decision] if decision is not None else []
        return executed, decisions

    @torch.no_grad()
    def guard(self, action: Tensor, features: Features, model: WorldModel, state: State, rng: torch.Generator
              ) -> tuple[Tensor, Decision | None]:
        """The action to execute for one row: `action [1, A]` itself, or the nearest to it that is allowed and keeps
        the limits, or the one that comes nearest to keeping them.

        Raises `GedankenError` if the rules forbid every action in this state.
        """
        if not self.rules.forbids and not self.limits:
            return action, None
        broken = self._forbidden(features, action)
        if not broken and not self._breaks(model, state, action):
            return action, None
        others = self._others(action, rng)
        allowed = self.rules.allowed({k: v.expand(len(others), *v.shape[1:]) for k, v in features.items()}, others)
        if not allowed.any():
            raise GedankenError(f"every action is forbidden here by {self._texts()}; narrow one of these rules")
        others = others[allowed]
        slack, _ = self._slack(model, state, others)
        distance = ((others != action) if self.schema.discrete_actions else (others - action).abs()).float().sum(1)
        # All that keep the limits are equally good: the nearest of them. If none does, the one that breaks them least.
        least = slack.clamp_max(0.0)
        choice = int(distance.masked_fill(least < least.max(), torch.inf).argmin())
        executed = others[choice:choice + 1]
        if torch.equal(executed, action):
            return action, None
        rule = self._forbidding(features, action) if broken else self._broken(model, state, action)
        return executed, Decision(tuple(action[0].tolist()), tuple(executed[0].tolist()), rule)

    def _others(self, action: Tensor, rng: torch.Generator) -> Tensor:
        if self.schema.discrete_actions:
            every = self.schema.all_actions()
            return every[torch.randperm(len(every), generator=rng)]
        low, high = self.schema.clamp(torch.full((2, action.shape[1]), torch.inf) * torch.tensor([[-1.0], [1.0]]))
        drawn = low + torch.rand(self.samples, action.shape[1], generator=rng) * (high - low)
        switches = torch.tensor([a.is_discrete for a in self.schema.actions])
        return torch.cat([action, torch.where(switches, drawn.round(), drawn)])

    def _forbidden(self, features: Features, action: Tensor) -> bool:
        return not bool(self.rules.allowed(features, action)[0])

    def _forbidding(self, features: Features, action: Tensor) -> str:
        from ..world.rules.text import to_text

        for rule in self.rules.rules:
            if rule.statement.kind == "forbid" and not Compiled(self.schema, [rule]).allowed(features, action)[0]:
                return to_text(rule)
        return self._texts()

    def _broken(self, model: WorldModel, state: State, action: Tensor) -> str:
        """The limit that the action breaks worst."""
        return self.limits[int(self._slack(model, state, action)[1][0])].text

    def _texts(self) -> str:
        from ..world.rules.text import to_text

        return "; ".join(f"`{to_text(r)}`" for r in self.rules.rules if r.statement.kind == "forbid")

    def _breaks(self, model: WorldModel, state: State, action: Tensor) -> bool:
        return bool(self.limits) and bool(self._slack(model, state, action)[0][0] < 0)

    def _slack(self, model: WorldModel, state: State, actions: Tensor) -> tuple[Tensor, Tensor]:
        """How far inside every limit's margin one imagined step stays, `[M]`, and which limit is nearest to break;
        from one state, or from a state an action."""
        if not self.limits:
            return torch.zeros(len(actions)), torch.zeros(len(actions), dtype=torch.int64)
        here = tree.size(state)
        _, out = model.step(state if here == len(actions) else tree.repeat(state, len(actions)), actions)
        slack = torch.stack([limit.slack(out.mode) - limit.margins[0] for limit in self.limits])
        return rank_nan_last(slack).min(0)
