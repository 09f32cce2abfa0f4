"""Rules compiled for the imagination path: one object that corrects a whole imagined step.

All guards are evaluated together (`guards`), then all claims on one place together (`stage`, `choices`, `quantities`):
no loop over rows, and none over rules that say the same kind of thing of one place. Rules whose guard speaks of the
next state come after the others, `always` comes last. The order of the rules does not matter: where two hard rules
contradict each other on a row, the one with the higher priority (then the more specific) wins, and the other is
reported.

On a CPU it is read back a few times a step whether anything fired and whether anything is contradicted, because the
work that this saves is worth it; nothing else waits for a tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..model import Outcome
from ..schema import Features, Pointed, Schema
from .claims import Claim
from .codes import Rows
from .effects import Atom, claims_of, is_primed
from .guards import FALSE, TRUE, Guards
from .holes import known
from .stage import Modes, Predicted, Stage
from .syntax import Always, Compare, End, Expect, Expression, Forbid, Logical, Member, Reward, Rule
from .ties import TieClaim
from .violation import violation


@dataclass(frozen=True)
class CompileConfig:
    """`particles` candidates a row are drawn for a rule that ties several next features together."""

    particles: int = 32


class Compiled:
    """The world rules of a schema, compiled. `rules` with `priority` (higher wins a contradiction)."""

    def __init__(self, schema: Schema, rules: Sequence[Rule], priority: Sequence[float] | None = None,
                 config: CompileConfig | None = None) -> None:
        self.schema = schema
        self.rules = tuple(rules)
        self.config = config or CompileConfig()
        statements = [r.statement for r in rules]
        self.priority = tuple(priority or [0.0] * len(rules))
        strongest = sorted(range(len(rules)), reverse=True,
                           key=lambda i: (self.priority[i], _specificity(statements[i]), str(statements[i])))
        expects = [i for i in strongest if isinstance(statements[i], Expect)]
        primed = {i for i in expects if (g := getattr(statements[i], "guard", None)) is not None and is_primed(g)}
        self.always = tuple(i for i in strongest if isinstance(statements[i], Always))
        self.joint: dict[int, float] = {}  # rules whose probability is drawn for all they claim at once
        self.first = self._stage([i for i in expects if i not in primed])
        self.second = self._stage([i for i in expects if i in primed])
        self.last = self._stage(self.always)
        self.first_guards = self._guards(set(expects) - primed)
        self.second_guards = self._guards(primed)
        paid = [s for i in strongest if isinstance(s := statements[i], Reward)]
        ended = [s for i in strongest if isinstance(s := statements[i], End)]
        rank = torch.tensor([self.priority[i] for i in strongest if isinstance(statements[i], Reward)])
        forbidden = [_forbidden(s) for s in statements if isinstance(s, Forbid)]
        self.rewards = torch.tensor([s.amount for s in paid])
        # Zero adds nothing: who says that nothing is paid means it instead of what weaker rules say.
        self.silencing = ((self.rewards == 0)[:, None] & (rank[:, None] > rank)).float()    # [R, R]
        self.ends, self.forbids = len(ended), len(forbidden)
        self.lasting = torch.tensor([0.0 if s.probability is None else 1 - known(s.probability) for s in ended])
        self.forbidden = Guards(forbidden, schema)
        self.payments = Guards([*(s.guard or TRUE for s in paid), *(s.guard for s in ended), *forbidden],
                               schema)

    def __bool__(self) -> bool:
        return bool(self.first or self.second or self.last or len(self.rewards) or self.ends or self.forbids)

    @torch.no_grad()
    def correct(self, now: Features, action: Tensor, outcome: Outcome, rng: torch.Generator | None = None) -> Outcome:
        """Correct one imagined step of N rows. `Outcome.fired [N, R]` marks the rules whose guard held on a row,
        `Outcome.conflict [N, R]` those that lost there against a stronger one."""
        predicted: Predicted = dict(outcome.features)
        rows = Rows(self.schema, now, action, Modes(predicted))
        fired = self._drawn(self.first_guards(rows), rng)
        rows, conflict = self.first.correct(predicted, rows, fired, rng)
        if self.second:
            more = self._drawn(self.second_guards(rows), rng)
            rows, lost = self.second.correct(predicted, rows, more, rng)
            fired, conflict = fired | more, conflict | lost
        if self.last:
            everywhere = torch.ones(rows.size, 1, dtype=torch.bool).expand(-1, len(self.rules))
            rows, lost = self.last.correct(predicted, rows, everywhere, rng)
            conflict = conflict | lost
        return self._pay(replace(outcome, features=predicted, fired=fired, conflict=conflict), rows)

    @torch.no_grad()
    def pay(self, now: Features, action: Tensor, after: Features, outcome: Outcome) -> Outcome:
        """The outcome with the rewards, ends and prohibitions that the rules say of steps from `now` to `after`."""
        return self._pay(outcome, Rows(self.schema, now, action, after))

    def allowed(self, now: Features, action: Tensor) -> Tensor:
        """Which rows no `forbid` matches, `[N]`."""
        return ~self.forbidden(Rows(self.schema, now, action)).any(1)

    def conflicts(self, outcome: Outcome) -> dict[Rule, int]:
        """On how many rows of an outcome each rule lost against a stronger one, for those that did."""
        if outcome.conflict is None:
            return {}
        counts: list[int] = outcome.conflict.sum(0).tolist()
        return {rule: n for rule, n in zip(self.rules, counts, strict=True) if n}

    def violation(self, now: Features, action: Tensor, outcome: Outcome) -> Tensor:
        """How far a prediction is from what the rules say, in nats, differentiable in its distributions: `[N]`.

        The sum over the rules that fire of -log p(effect), see `violation`.
        """
        with torch.no_grad():
            rows = Rows(self.schema, now, action, {k: d.mode() for k, d in outcome.features.items()})
            fired = self.first_guards(rows) | self.second_guards(rows)
            fired[:, list(self.always)] = True
        stages = (self.first, self.second, self.last)
        return sum((violation(s, outcome.features, rows, fired, self.joint) for s in stages), torch.zeros(rows.size))

    def _stage(self, members: Sequence[int]) -> Stage:
        """The claims of rules, strongest first."""
        claims: list[Claim] = []
        ties: list[TieClaim] = []
        for i in members:
            s = self.rules[i].statement
            assert isinstance(s, Expect | Always)
            found = claims_of(s.effect if isinstance(s, Expect) else s.condition, self.schema)
            probability = known(s.probability) if isinstance(s, Expect) else None
            if probability is not None and not (len(found) == 1 and self._is_exact(found[0])):
                self.joint[i] = probability
                probability = None
            soft = ("weight", s.weight) if s.weight is not None else ("hard", 0.0)
            for claim in found:
                if not isinstance(claim, Atom):
                    ties.append(TieClaim(claim, i, soft))  # type: ignore[arg-type]
                elif probability is not None:
                    claims.append(Claim(claim, i, ("probability", probability)))
                else:
                    claims.append(Claim(claim, i, soft))  # type: ignore[arg-type]
        return Stage(self.schema, claims, ties, self.config.particles)

    def _is_exact(self, claim: object) -> bool:
        """Whether a probability has a closed form: of one place with listed values."""
        if not isinstance(claim, Atom):
            return False
        derived = self.schema.derivations.get(claim.place.target)
        of = derived.of if isinstance(derived, Pointed) else claim.place.target
        feature = self.schema.base.get(of)
        is_one = bool(claim.place.at) or isinstance(derived, Pointed) or (feature is not None and not feature.shape)
        return feature is not None and feature.cardinality is not None and is_one

    def _guards(self, members: set[int]) -> Guards:
        """The guards of some of the rules, `[N, R]`; the others never fire."""
        def guard(i: int) -> Expression:
            return getattr(self.rules[i].statement, "guard", None) or TRUE

        return Guards([guard(i) if i in members else FALSE for i in range(len(self.rules))], self.schema)

    def _drawn(self, fired: Tensor, rng: torch.Generator | None) -> Tensor:
        """Where rules correct: where the guard holds and, for a probability that is drawn, chance has it (without
        `rng`: where it is at least even)."""
        if self.joint:
            columns, chance = list(self.joint), torch.tensor(list(self.joint.values()))
            drawn = torch.rand(len(fired), len(columns), generator=rng) < chance if rng is not None else chance >= 0.5
            fired[:, columns] &= drawn
        return fired

    def _pay(self, outcome: Outcome, rows: Rows) -> Outcome:
        reward, cont, feasible = outcome.reward, outcome.cont, outcome.feasible
        if self.payments.count:
            paid, ended, forbidden = self.payments(rows).split([len(self.rewards), self.ends, self.forbids], 1)
            if len(self.rewards):
                said = paid & ~(paid.float() @ self.silencing).bool()
                reward = torch.where(paid.any(1), said.float() @ self.rewards, reward)
            if self.ends:
                strongest = self.lasting[ended.byte().argmax(1)]
                cont = torch.where(ended.any(1), strongest, cont)
            if self.forbids:
                feasible = feasible & ~forbidden.any(1)
        return replace(outcome, reward=reward, cont=cont, feasible=feasible)


def _forbidden(s: Forbid) -> Expression:
    return s.action if s.guard is None else Logical(operator="and", operands=(s.action, s.guard))


def _specificity(statement: object) -> int:
    """How many comparisons the guard makes: a rule that says more of when it holds goes before a general one."""
    def count(e: Expression | None) -> int:
        match e:
            case None:
                return 0
            case Logical():
                return sum(map(count, e.operands))
            case Compare() | Member():
                return 1
        return 1

    return count(getattr(statement, "guard", None))
