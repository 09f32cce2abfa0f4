"""What the phrases of the grammar mean: one method each, from the meanings of its parts to its own.

Clauses mean conditions on one state, effects conditions with primes, deeds conditions on the action, and bodies tuples
of statements; `given` adds a condition to statements. None: the parts do not go together in this world.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..rules import syntax as s
from ..rules.syntax import Expression
from ..schema import Schema
from .lexicon import Amount
from .predicates import (
    Between,
    Bound,
    Compared,
    Denied,
    Flag,
    Half,
    Joined,
    Measure,
    Predicate,
    Value,
    acts,
    compare,
    flag,
    holds,
    joined,
    measured,
    negated,
    primed,
)

Statements = tuple[s.Statement, ...]
Deed = tuple[str, str]    # (action, value)
Turn = tuple[str, "str | bool"]
TRUE = s.Boolean(value=True)


class Meaning:
    """The functions that the grammar names, for one schema."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.table: dict[str, Callable[..., Any]] = {
            "same": lambda part: part, "both": lambda a, b: joined("and", a, b),
            "either": lambda a, b: joined("or", a, b), "negated": negated,
            "value": lambda v: Value(*v), "equals": lambda m: Compared("==", m), "not": Denied,
            "or": lambda a, b: Joined("or", a, b), "and": lambda a, b: Joined("and", a, b), "between": Between,
            "neither": lambda a, b: Denied(Joined("or", a, b)), "full": lambda *_: Bound(True),
            "empty": lambda *_: Bound(False), "on": lambda *_: Flag(True), "off": lambda *_: Flag(False),
            "or_more": lambda m: Compared(">=", m), "or_less": lambda m: Compared("<=", m), "compared": Compared,
            "truth": lambda *_: TRUE, "value_not": lambda v: Denied(Value(*v)), "up_to": lambda m: Compared("<=", m),
            "value_or": lambda a, b: Joined("or", Value(*a), Value(*b)), "between_plain": lambda *_: None,
            "half_of": lambda name: Half(0.5, name), "twice_of": lambda name: Half(2.0, name),
            "negative": lambda: Compared("<", Amount(0.0)), "positive": lambda: Compared(">", Amount(0.0)),
            "gt": lambda *_: ">", "lt": lambda *_: "<", "ge": lambda *_: ">=", "le": lambda *_: "<=",
            "eq": lambda *_: "==",
        }

    def __getitem__(self, name: str) -> Callable[..., Any]:
        found = self.table.get(name)
        return found if found is not None else getattr(self, name)

    def __contains__(self, name: str) -> bool:
        return name in self.table or hasattr(self, name)

    # --- conditions -----------------------------------------------------------------------------------------------

    def is_so(self, name: str, predicate: Predicate) -> Expression | None:
        return holds(name, predicate, self.schema)

    def is_so_of(self, first: str, second: str, predicate: Predicate) -> None:
        return None

    def so_is(self, predicate: Predicate, name: str) -> Expression | None:
        return holds(name, predicate, self.schema)

    def is_state(self, value: Turn) -> Expression | None:
        return holds(value[0], Value(*value), self.schema)

    def state_is(self, value: Turn, name: str) -> Expression | None:
        return holds(name, Value(*value), self.schema)

    def is_flag(self, name: str) -> Expression | None:
        return flag(name, True) if self.schema.named[name].kind == "boolean" else None

    def is_none(self, name: str) -> Expression | None:
        if self.schema.named[name].kind == "boolean":
            return flag(name, False)
        return holds(name, Bound(False), self.schema)

    def is_amount(self, name: str, measure: Measure) -> None:
        return None

    def exceeds(self, name: str, measure: Measure) -> Expression | None:
        return holds(name, Compared(">", measure), self.schema)

    def drops_below(self, name: str, measure: Measure) -> Expression | None:
        return holds(name, Compared("<", measure), self.schema)

    def reaches(self, name: str, measure: Measure) -> Expression | None:
        return holds(name, Compared(">=", measure), self.schema)

    def count(self, sign: str, measure: Measure, name: str) -> Expression | None:
        return holds(name, Compared(sign, measure), self.schema)

    def count_more(self, measure: Measure, name: str) -> Expression | None:
        return self.count(">=", measure, name)

    def count_fewer(self, measure: Measure, name: str) -> Expression | None:
        return self.count("<=", measure, name)

    def count_exact(self, measure: Measure, name: str) -> Expression | None:
        return self.count("==", measure, name)

    def unit_count(self, sign: str, amount: Amount) -> list[Expression]:
        """`fewer than 3 eggs` where eggs are the unit of a feature."""
        found = (holds(name, Compared(sign, amount), self.schema) for name in sorted(amount.features or ())
                 if not self.schema.named[name].shape)
        return [condition for condition in found if condition is not None]

    def nobody(self, *parts: Any) -> None:
        return None

    def is_full(self, name: str) -> Expression | None:
        return holds(name, Bound(True), self.schema)

    def drops_to(self, name: str, measure: Measure) -> Expression | None:
        return holds(name, Compared("<=", measure), self.schema)

    def turned(self, name: str, turn: Turn) -> Expression | None:
        return holds(name, Value(*turn), self.schema)

    # --- deeds ----------------------------------------------------------------------------------------------------

    def deed(self, *parts: Any) -> Expression:
        action, value = parts[-1]
        return compare(action, "==", s.Symbol(name=value))

    def deeds(self, one: Any, other: Expression) -> Expression | None:
        first = self.deed(one)
        return joined("or", first, other)

    # --- with conditions ------------------------------------------------------------------------------------------

    def given(self, condition: Expression, statements: Statements) -> Statements | None:
        found = tuple(self._under(statement, condition) for statement in statements)
        return None if None in found else found    # type: ignore[return-value]

    def given_last(self, statements: Statements, condition: Expression) -> Statements | None:
        return self.given(condition, statements)

    def given_both(self, first: Expression, statements: Statements, last: Expression) -> Statements | None:
        return self.given(joined("and", first, last), statements)

    def _under(self, statement: s.Statement, condition: Expression) -> s.Statement | None:
        """A statement that holds only under a condition."""
        acting = acts(condition, self.schema)
        match statement:
            case s.Expect(guard=guard):
                return statement.model_copy(update={"guard": _and(condition, guard)})
            case s.Reward(guard=guard) | s.End(guard=guard):
                now = condition if acting or (guard is not None and guard != TRUE) else primed(condition, self.schema)
                return statement.model_copy(update={"guard": _and(now, None if guard == TRUE else guard)})
            case s.Always(condition=claim, weight=None):
                return s.Expect(effect=claim, guard=condition)
            case s.Forbid(guard=guard) if not acting:
                return statement.model_copy(update={"guard": _and(condition, guard)})
            case s.Avoid(condition=shunned) if not acting:
                return s.Avoid(condition=joined("and", condition, shunned))
            case s.Maintain(condition=kept) if not acting:
                return s.Avoid(condition=joined("and", condition, negated(kept)))
            case s.Prefer(condition=liked) if not acting:
                return s.Prefer(condition=joined("and", condition, liked))
        return None

    # --- limits ---------------------------------------------------------------------------------------------------

    def forbid(self, deed: Expression) -> Statements:
        """Not to act so; what a deed says of the state becomes the guard."""
        parts = deed.operands if isinstance(deed, s.Logical) and deed.operator == "and" else (deed,)
        chosen = [part for part in parts if acts(part, self.schema)]
        rest = [part for part in parts if part not in chosen]
        return (s.Forbid(action=joined("and", *chosen), guard=joined("and", *rest) if rest else None),)

    def forbid_who(self, *parts: Any) -> Statements:
        return self.forbid(parts[-1])

    def forbid_given(self, deed: Expression, condition: Expression) -> Statements | None:
        return self.given(condition, self.forbid(deed))

    def forbid_so(self, deed: Expression, name: str, predicate: Predicate) -> Statements | None:
        condition = holds(name, predicate, self.schema)
        return None if condition is None else self.forbid_given(deed, condition)

    def avoid_none(self, name: str) -> Statements | None:
        condition = self.is_none(name)
        return None if condition is None else self.avoid(condition)

    def avoid_value(self, name: str, value: Turn) -> Statements | None:
        return self.avoid_so(name, Value(*value))

    def forbid_done(self, name: str, deed: Deed) -> None:
        return None

    def only(self, deed: Any, condition: Expression) -> Statements | None:
        if acts(condition, self.schema):
            return None
        act = self.deed(deed) if isinstance(deed, tuple) else deed
        return (s.Forbid(action=act, guard=negated(condition)),)

    def only_who(self, *parts: Any) -> Statements | None:
        return self.only(*parts[-2:])

    def avoid(self, condition: Expression) -> Statements | None:
        return None if acts(condition, self.schema) else (s.Avoid(condition=condition),)

    def avoid_so(self, name: str, predicate: Predicate) -> Statements | None:
        condition = holds(name, predicate, self.schema)
        return None if condition is None else self.avoid(condition)

    def avoid_is(self, predicate: Predicate, name: str) -> Statements | None:
        return self.avoid_so(name, predicate)

    def avoid_state(self, value: Turn) -> Statements | None:
        return self.avoid_so(value[0], Value(*value))

    def avoid_state_of(self, *parts: Any) -> Statements | None:
        value = parts[-1]
        return self.avoid_state(value) if len(parts) == 1 or parts[0] == value[0] else None

    def avoid_over(self, name: str, measure: Measure) -> Statements | None:
        return self.avoid_so(name, Compared(">", measure))

    def avoid_over_of(self, measure: Measure, name: str) -> Statements | None:
        return self.avoid_over(name, measure)

    def avoid_under(self, name: str, measure: Measure) -> Statements | None:
        return self.avoid_so(name, Compared("<", measure))

    def maintain(self, condition: Expression) -> Statements | None:
        return None if acts(condition, self.schema) else (s.Maintain(condition=condition),)

    def keep_so(self, name: str, predicate: Predicate) -> Statements | None:
        condition = holds(name, predicate, self.schema)
        return None if condition is None else self.maintain(condition)

    # --- wishes and goals -----------------------------------------------------------------------------------------

    def prefer(self, *parts: Any) -> Statements | None:
        condition = parts[-1]
        return None if acts(condition, self.schema) else (s.Prefer(condition=condition),)

    def prefer_so(self, name: str, predicate: Predicate) -> Statements | None:
        condition = holds(name, predicate, self.schema)
        return None if condition is None else self.prefer(condition)

    def prefer_is(self, predicate: Predicate, name: str) -> Statements | None:
        return self.prefer_so(name, predicate)

    def stage_up(self, name: str, measure: Measure) -> Expression | None:
        return holds(name, Compared(">=", measure), self.schema)

    def stage_down(self, name: str, measure: Measure) -> Expression | None:
        return holds(name, Compared("<=", measure), self.schema)

    def achieve(self, stages: Any) -> Statements:
        return (s.Achieve(milestones=stages if isinstance(stages, tuple) else (stages,)),)

    def achieve_within(self, stages: Any, amount: Amount) -> Statements | None:
        whole = isinstance(amount, float) and amount == int(amount) and amount > 0
        milestones = stages if isinstance(stages, tuple) else (stages,)
        return (s.Achieve(milestones=milestones, within=int(amount)),) if whole else None    # type: ignore[call-overload]

    def then(self, first: Expression, rest: Any) -> tuple[Expression, ...]:
        return (first, *(rest if isinstance(rest, tuple) else (rest,)))

    def after(self, last: Expression, first: Expression) -> tuple[Expression, ...]:
        return (first, last)

    def stage_so(self, *parts: Any) -> Expression | None:
        name, predicate = parts[-2:]
        return holds(name, predicate, self.schema)

    def stage_over(self, name: str, measure: Measure) -> Expression | None:
        return holds(name, Compared(">", measure), self.schema)

    def stage_under(self, name: str, measure: Measure) -> Expression | None:
        return holds(name, Compared("<", measure), self.schema)

    def stage_amount(self, name: str, measure: Measure) -> Expression | None:
        return holds(name, Compared("==", measure), self.schema)

    def stage_count(self, measure: Measure, name: str) -> Expression | None:
        return holds(name, Compared(">=", measure), self.schema)

    def stage_turned(self, turn: Turn, name: str) -> Expression | None:
        return holds(name, Value(*turn), self.schema)

    # --- pay and the end ------------------------------------------------------------------------------------------

    def number(self, *parts: Any) -> float | None:
        amount = parts[-1]
        return amount.value if amount.features is None else None

    def pays(self, *parts: Any) -> Statements:
        """Pay whose condition is still to come (`TRUE`, as of `end`): alone it is no rule."""
        return (s.Reward(amount=parts[-1], guard=TRUE),)

    pays_it = pays

    def loses(self, *parts: Any) -> Statements:
        return self.pays(-abs(parts[-1]))

    def step_wins(self, points: float) -> Statements:
        return (s.Reward(amount=points),)

    def step_loses(self, points: float) -> Statements:
        return self.step_wins(-abs(points))

    def deed_pays(self, deed: Expression, points: float) -> Statements:
        return (s.Reward(amount=points, guard=deed),)

    def deed_costs(self, deed: Expression, points: float) -> Statements:
        return (s.Reward(amount=-abs(points), guard=deed),)

    def pays_deed(self, *parts: Any) -> Statements:
        return self.deed_pays(parts[-1], parts[-2])

    def costs_deed(self, *parts: Any) -> Statements:
        return self.deed_costs(parts[-1], parts[-2])

    def pays_for(self, *parts: Any) -> Statements:
        return self.deed_pays(parts[-1], parts[-2])

    def loses_for(self, *parts: Any) -> Statements:
        return self.deed_costs(parts[-1], parts[-2])

    def state_pays(self, condition: Expression, points: float) -> Statements:
        guard = condition if acts(condition, self.schema) else primed(condition, self.schema)
        return (s.Reward(amount=points, guard=guard),)

    def state_costs(self, condition: Expression, points: float) -> Statements:
        return self.state_pays(condition, -abs(points))

    def state_pays_who(self, condition: Expression, *parts: Any) -> Statements:
        return self.state_pays(condition, parts[-1])

    def state_costs_who(self, condition: Expression, *parts: Any) -> Statements:
        return self.state_costs(condition, parts[-1])

    def points_if(self, points: float, condition: Expression) -> Statements:
        return self.state_pays(condition, points)

    def step_pays(self, name: str, predicate: Predicate, points: float) -> Statements | None:
        condition = holds(name, predicate, self.schema)
        return None if condition is None else self.state_pays(condition, points)

    def step_costs(self, name: str, predicate: Predicate, points: float) -> Statements | None:
        return self.step_pays(name, predicate, -abs(points))

    def end_so(self, name: str, predicate: Predicate) -> Statements | None:
        condition = holds(name, predicate, self.schema)
        return None if condition is None else self.end_if(condition)

    def end_with(self, *parts: Any) -> Statements | None:
        return self.end_so(*parts[-2:])

    def end_given(self, *parts: Any) -> Statements | None:
        return self.end_if(parts[-1])

    def end(self, *parts: Any) -> Statements:
        return (s.End(guard=TRUE),)

    def end_if(self, condition: Expression, *parts: Any) -> Statements:
        return (s.End(guard=condition if acts(condition, self.schema) else primed(condition, self.schema)),)

    # --- what always holds ----------------------------------------------------------------------------------------

    def always_so(self, name: str, *parts: Any) -> Statements | None:
        condition = holds(name, parts[-1] if not isinstance(parts[-1], str) else parts[-2], self.schema)
        return None if condition is None else (s.Always(condition=primed(condition, self.schema)),)

    def never_so(self, name: str, predicate: Predicate) -> Statements | None:
        return self.always_so(name, Denied(predicate))

    def always_count(self, condition: Expression) -> Statements:
        return (s.Always(condition=primed(condition, self.schema)),)

    def never_over(self, name: str, measure: Measure) -> Statements | None:
        return self.always_so(name, Compared("<=", measure))

    def never_under(self, name: str, measure: Measure) -> Statements | None:
        return self.always_so(name, Compared(">=", measure))

    def always_between(self, name: str, low: Measure, high: Measure) -> Statements | None:
        return self.always_so(name, Between(low, high))

    def always_most(self, measure: Measure, name: str) -> Statements | None:
        return self.never_over(name, measure)

    def always_least(self, measure: Measure, name: str) -> Statements | None:
        return self.never_under(name, measure)

    def not_rising(self, name: str) -> Statements | None:
        effect = self._moves(name, "<=")
        return None if effect is None else (s.Expect(effect=effect),)

    def not_falling(self, name: str) -> Statements | None:
        effect = self._moves(name, ">=")
        return None if effect is None else (s.Expect(effect=effect),)

    # --- effects --------------------------------------------------------------------------------------------------

    def expect(self, effect: Expression) -> Statements:
        return (s.Expect(effect=effect),)

    def expect_chance(self, effect: Expression, chance: float) -> Statements | None:
        return (s.Expect(effect=effect, probability=chance),) if 0 < chance <= 1 else None

    def chance_expect(self, chance: float, effect: Expression) -> Statements | None:
        return self.expect_chance(effect, chance)

    def deed_causes(self, deed: Deed, effect: Expression) -> Statements:
        return (s.Expect(effect=effect, guard=self.deed(deed)),)

    def deed_causes_chance(self, deed: Deed, effect: Expression, chance: float) -> Statements | None:
        return self.given(self.deed(deed), self.expect_chance(effect, chance) or ()) or None

    def chance_deed_causes(self, chance: float, deed: Deed, effect: Expression) -> Statements | None:
        return self.deed_causes_chance(deed, effect, chance)

    def deed_idle(self, *parts: Any) -> Statements:
        return self.deed_causes(parts[-1], self.nothing())

    def then_so(self, name: str, *parts: Any) -> Expression | None:
        condition = holds(name, parts[-1], self.schema)
        return None if condition is None else primed(condition, self.schema)

    def then_amount(self, name: str, measure: Measure) -> Expression | None:
        return self.then_so(name, Compared("==", measure))

    def then_empty(self, name: str) -> Expression | None:
        return self.then_so(name, Bound(False))

    def then_full(self, name: str) -> Expression | None:
        return self.then_so(name, Bound(True))

    def _moves(self, name: str, operator: str) -> Expression | None:
        if self.schema.named[name].kind not in ("real", "integer"):
            return None
        return s.Compare(operands=(s.Name(name=name, primed=True), s.Name(name=name)), operators=(operator,))    # type: ignore[arg-type]

    def rising(self, name: str) -> Expression | None:
        return self._moves(name, ">")

    def falling(self, name: str) -> Expression | None:
        return self._moves(name, "<")

    def rising_by(self, name: str, measure: Measure, operator: str = "+") -> Expression | None:
        f = self.schema.named[name]
        by = measured(measure, f, self.schema) if f.kind in ("real", "integer") else None
        if by is None:
            return None
        total = s.Arithmetic(operator=operator, left=s.Name(name=name), right=by)    # type: ignore[arg-type]
        return s.Compare(operands=(s.Name(name=name, primed=True), total), operators=("==",))

    def falling_by(self, name: str, measure: Measure) -> Expression | None:
        return self.rising_by(name, measure, "-")

    def rising_count(self, *parts: Any) -> Expression | None:
        return self.rising_by(parts[-1], parts[-2])

    def falling_count(self, *parts: Any) -> Expression | None:
        return self.falling_by(parts[-1], parts[-2])

    adds_to = rising_count
    takes_from = falling_count

    def doubles(self, name: str, times: float = 2.0) -> Expression | None:
        if self.schema.named[name].kind not in ("real", "integer"):
            return None
        product = s.Arithmetic(operator="*", left=s.Number(value=times), right=s.Name(name=name))
        return s.Compare(operands=(s.Name(name=name, primed=True), product), operators=("==",))

    def halves(self, name: str) -> Expression | None:
        return self.doubles(name, 0.5)

    def not_rising_effect(self, name: str) -> Expression | None:
        return self._moves(name, "<=")

    def not_falling_effect(self, name: str) -> Expression | None:
        return self._moves(name, ">=")

    def then_state(self, *parts: Any) -> Expression | None:
        value = parts[-1]
        return self.then_so(value[0], Value(*value))

    def results(self, deed: Expression, effect: Expression) -> Statements:
        return (s.Expect(effect=effect, guard=deed),)

    def results_chance(self, deed: Expression, effect: Expression, chance: float) -> Statements | None:
        return (s.Expect(effect=effect, guard=deed, probability=chance),) if 0 < chance <= 1 else None

    def deed_idle_given(self, deed: Deed, condition: Expression) -> Statements | None:
        return self.given(condition, self.deed_idle(deed))

    def stays(self, name: str) -> Expression:
        return s.Same(feature=name)

    def stay_both(self, one: str, other: str) -> Expression:
        return joined("and", self.stays(one), self.stays(other))

    def changes(self, name: str) -> Expression:
        return compare(name, "!=", s.Name(name=name)).model_copy(
            update={"operands": (s.Name(name=name, primed=True), s.Name(name=name))})

    def nothing(self, *parts: Any) -> Expression:
        return s.Same()

    def turns(self, name: str, turn: Turn) -> Expression | None:
        return self.then_so(name, Value(*turn))

    def turns_it(self, turn: Turn, name: str) -> Expression | None:
        return self.turns(name, turn)


def _and(one: Expression, other: Expression | None) -> Expression:
    return one if other is None else joined("and", one, other)
