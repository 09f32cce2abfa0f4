"""Checking: a rule's statement against a schema, every mistake at once.

Expressions are typed by `types`; here stands what each statement may say: what `expect` may have as an effect, where
the next state and the action may be named. `warnings` (in `doubts`) says what is well formed and yet cannot be meant.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from ...errors import nearest
from ..schema import Derived, Schema
from . import syntax as s
from .definitions import Defined, definitions, depth
from .doubts import warnings
from .source import MAX_DEFINITIONS, MAX_DEPTH, MAX_HOLES, MAX_NESTING, MAX_STEPS, Mistake, RuleError, Source
from .syntax import Expression, Node, Rule
from .text import STATEMENTS, located, number, to_text, word
from .types import Scope, Typer, listed
from .units import Converter, is_measured

__all__ = ["RuleError", "check", "warnings"]

_EFFECT = Scope("an effect", primes=True, actions=True, holes=True)
_TRANSITION = Scope("`if`", primes=True, actions=True, holes=True)
_FOLLOWING = Scope("`always`", primes=True, holes=True)
_DEFINITION = Scope("a definition")
_PRESENT = Scope("this statement")
_EVENT = Scope("`achieve`", primes=True, actions=True)
_CHOICE = Scope("`forbid`", actions=True)


def check(rule: Rule, schema: Schema, *, source: Source | None = None) -> Rule:
    """Return the rule with its words resolved and its types right; raise `RuleError` with every mistake found.

    The effect of a checked `expect` has its next feature on the left (`3 == x'` becomes `x' == 3`). Without a
    `source` (a tree made by a program), mistakes are shown in the rule's own printed text.
    """
    fault = _malformed(rule)
    if fault:
        raise (source or Source("")).error([Mistake(*fault)])
    if source is None or not source.offsets:
        text, offsets = located(rule)
        source = replace(source or Source(""), text=text, offsets=offsets)
    checker = _Checker(schema, source.offsets)
    statement = checker.statement(rule.statement)
    if not checker.mistakes and is_measured(statement):
        statement = Converter(checker).converted(statement)
    if not checker.mistakes and isinstance(statement, s.Let):
        checker.definition(statement)
    if checker.mistakes:
        raise source.error(checker.mistakes)
    return rule.model_copy(update={"statement": statement})


def _malformed(rule: Rule) -> tuple[str, int, str] | None:
    """What no text can say: too deep a tree, or a node with too few parts. Does not recurse."""
    if rule.name is not None and (word(rule.name) != rule.name or rule.name in (*STATEMENTS, "let")):
        return f"'{rule.name}' as the name of a rule", 0, "; use letters, digits and '_', and no word of the language"
    stack: list[tuple[Node, int]] = [(rule, 0)]
    holes = 0
    while stack:
        node, level = stack.pop()
        if level > MAX_NESTING + 3:
            return f"nested more than {MAX_NESTING} levels deep", 0, "; write it as several rules"
        match node:
            case s.Compare(operands=parts, operators=signs) if not 2 <= len(parts) == len(signs) + 1:
                return f"a comparison of {len(parts)} values with {len(signs)} signs", 0, ""
            case s.Compare(within=within, unit=unit) if unit and not isinstance(within, float):
                return f"the unit '{unit}' without a tolerance", 0, ""
            case s.Logical(operator=sign, operands=parts) if len(parts) < 2 or (sign == "implies" and len(parts) > 2):
                return f"'{sign}' of {len(parts)} conditions", 0, ""
            case s.Near(steps=steps) if not 1 <= steps <= MAX_STEPS:
                return f"near(...) within {steps} steps", 0, f"; give a whole number from 1 to {MAX_STEPS}"
            case s.Place(at=at) if len(at) < 2:
                return f"a place of {len(at)} coordinates", 0, ""
            case s.Let(name=name) if word(name) != name or not name.isidentifier() or rule.name is not None:
                return f"'{name}' as the name of a definition", 4, "; use letters and '_', and no word of the language"
            case s.Hole():
                holes += 1
                if holes > MAX_HOLES:
                    return f"more than {MAX_HOLES} '?' in one rule", 0, "; write it as several rules"
            case s.Combined(operator=sign, parts=parts) if len(parts) < 2:
                return f"'{sign}' of {len(parts)} milestones", 0, ""
            case s.Index(at=()) | s.Member(members=()) | s.Achieve(milestones=()):
                return f"an empty '{node.kind}'", 0, ""
        stack.extend((child, level + 1) for child in s.children(node))
    return None


class _Checker(Typer):
    def statement(self, node: s.Statement) -> s.Statement:
        match node:
            case s.Expect(effect=effect, guard=guard, probability=probability, weight=weight):
                if isinstance(probability, float) and not 0 < probability <= 1:
                    self.wrong(node, f"probability {number(probability)}", "; it is above 0 and at most 1")
                if probability is not None and weight is not None:
                    self.wrong(node, "both a probability and a weight", "; give one of them")
                self._positive(node, weight)
                return self.rebuilt(node, effect=self.effect(effect, _EFFECT), guard=self._guard(guard, _TRANSITION))
            case s.Let(value=value):
                return self.rebuilt(node, value=self.value(value, _DEFINITION)[0])
            case s.Always(condition=condition, weight=weight):
                self._positive(node, weight)
                return self.rebuilt(node, condition=self.effect(condition, _FOLLOWING))
            case s.Avoid() | s.Maintain() | s.Prefer():
                self._positive(node, node.weight)
                scope = replace(_PRESENT, what=f"`{node.kind}`")
                return self.rebuilt(node, condition=self.condition(node.condition, scope))
            case s.Reward(guard=guard):
                return self.rebuilt(node, guard=self._guard(guard, _TRANSITION))
            case s.End(guard=guard):
                return self.rebuilt(node, guard=self.condition(guard, _TRANSITION))
            case s.Forbid(action=action, guard=guard):
                return self.rebuilt(node, action=self.choice(action), guard=self._guard(guard, _CHOICE))
            case s.Achieve(milestones=milestones, within=within):
                self._deadline(node, within)
                return self.rebuilt(node, milestones=tuple(map(self._milestone, milestones)))

    def definition(self, node: s.Let) -> None:
        """Note what is wrong with a typed definition as such. Its name must be new; the same may be told again."""
        name, own = node.name, self.schema.derivations.get(node.name)
        valued = [f.name for f in self.schema.named.values() if name in f.values]
        fault = None
        if isinstance(node.value, s.Place | s.Position):
            fault = f"'{to_text(node.value)}' is a place", "; a definition is a truth, a number or a category"
        elif isinstance(own, Defined):
            if own.definition.value != node.value:
                fault = (f"'{name}' is defined already, as `{to_text(own.definition.value)}`",
                         "; retire that first, or choose another name")
        elif name in self.schema.named:
            fault = f"'{name}' is a feature already", "; choose another name"
        elif valued:
            fault = f"'{name}' is a value of '{valued[0]}'", "; choose another name"
        elif len(definitions(self.schema)) >= MAX_DEFINITIONS:
            fault = f"more than {MAX_DEFINITIONS} definitions", "; a world of so many is not read"
        elif depth(node.value, self.schema) > MAX_DEPTH:
            fault = f"definitions that stand on definitions more than {MAX_DEPTH} deep", "; write it out"
        if fault is not None:
            self.mistakes.append(Mistake(fault[0], self.offsets.get(id(node), 0) + len("let "), fault[1]))

    def _guard(self, guard: Expression | None, scope: Scope) -> Expression | None:
        return None if guard is None else self.condition(guard, scope)

    def _positive(self, node: Node, weight: float | None) -> None:
        if weight is not None and not weight > 0:
            self.wrong(node, f"weight {number(weight)}", "; it is above 0")

    def _deadline(self, node: Node, within: int | None) -> None:
        if within is not None and within < 1:
            self.wrong(node, f"within {within} steps", "; give at least one")

    def _milestone(self, node: s.Milestone) -> s.Milestone:
        match node:
            case s.Combined(parts=parts):
                return self.rebuilt(node, parts=tuple(map(self._milestone, parts)))
            case s.Bounded(part=part, within=within, keeping=keeping):
                self._deadline(node, within)
                return self.rebuilt(node, part=self._milestone(part), keeping=keeping and self._event(keeping))
            case _:
                return self._event(node)

    def _event(self, node: Expression) -> Expression:
        for part in s.walk(node):
            if isinstance(part, s.Compare) and part.within is not None:
                near = f"; write `within {_length(part.within)} steps` for a deadline, abs(x - y) < ... for a tolerance"
                self.wrong(part, "'within' without 'steps' in `achieve`", near)
        return self.condition(node, _EVENT)

    # --- the action of `forbid` ---------------------------------------------------------------------------------------

    def choice(self, node: Expression) -> Expression:
        """The condition on the action, where the value of an action alone stands for `action == value`."""
        before = len(self.mistakes)
        spelled = self._spelled_out(node)
        if len(self.mistakes) > before:
            return node
        checked = self.condition(spelled, _CHOICE)
        is_free = not any(isinstance(n, s.Name) and n.name in self.actions for n in s.walk(checked))
        if is_free and len(self.mistakes) == before:
            self.wrong(node, "`forbid` names no action", f"; there are {listed(self._choices())}")
        return checked

    def _choices(self) -> list[str]:
        return [v for a in self.schema.actions for v in a.values or (a.name,)]

    def _spelled_out(self, node: Expression) -> Expression:
        match node:
            case s.Name(name=name, primed=False) | s.Symbol(name=name) if name not in self.actions:
                having = [a.name for a in self.schema.actions if name in a.values]
                if len(having) > 1 and "action" not in having:
                    self.wrong(node, f"'{name}' may be {listed(having)}", f"; write {having[0]} == {word(name)}")
                elif having:
                    action = "action" if "action" in having else having[0]
                    operands = (self.placed(node, s.Name(name=action)), self.placed(node, s.Symbol(name=name)))
                    return self.placed(node, s.Compare(operands=operands, operators=("==",)))
                elif name not in self.schema.named:
                    choices = self._choices()
                    hint = nearest(name, choices) or f"; there are {listed(choices)}"
                    self.wrong(node, f"unknown action '{name}'", hint)
            case s.Logical(operands=operands):
                return self.rebuilt(node, operands=tuple(self._spelled_out(o) for o in operands))
            case s.Not(operand=operand):
                return self.rebuilt(node, operand=self._spelled_out(operand))
        return node

    # --- the effect of `expect`, the condition of `always` ------------------------------------------------------------

    def effect(self, node: Expression, scope: Scope, alone: bool = True) -> Expression:
        """A conjunction of claims: each of one feature of the next state, or of several that it ties together."""
        match node:
            case s.Logical(operator="and", operands=operands):
                return self.rebuilt(node, operands=tuple(self.effect(o, scope, alone=False) for o in operands))
            case s.Same(feature=None) if not alone:
                self.wrong(node, "'same' beside other effects: it says that nothing changes",
                           "; what a rule does not name is the model's to predict; for one feature write same(f)")
                return node
        before = len(self.mistakes)
        checked = self.condition(node, scope)
        return checked if len(self.mistakes) > before else self._claim(checked)

    def _claim(self, node: Expression) -> Expression:
        match node:
            case s.Same(feature=None):
                return node
            case s.Same(feature=str(name)):
                self._settable(node, name)
                return node
            case s.Changed(feature=name):
                self.wrong(node, f"'{to_text(node)}' as an effect", f"; write {word(name)}' != {word(name)}")
            case s.Boolean():
                self.wrong(node, f"'{to_text(node)}' as an effect says nothing of the next state")
            case s.Compare(operands=operands):
                return self._comparison(node, operands) if self._can_be_set(node) else node
            case s.Member(operand=operand) if self._can_be_set(node) and self._is_real(operand):
                self.wrong(node, "'in' on a real feature as an effect", "; give it bounds: low <= x' <= high")
            case s.Member():
                pass
            case _:
                self._can_be_set(node)
        return node

    def _comparison(self, node: s.Compare, operands: tuple[Expression, ...]) -> Expression:
        """A comparison as an effect, with the next feature on the left where there is one alone on its side."""
        for left, right in pairwise(operands):
            for target, other in ((left, right), (right, left)):
                if _is_next(target) and any(part == target for part in s.walk(other)):
                    present = to_text(target).replace("'", "", 1)
                    self.wrong(node, f"an effect that says {to_text(target)} of itself",
                               f"; write the present value, {present}, on one side")
                    return node
            if not _speaks_of_next(left) and not _speaks_of_next(right):
                text = to_text(next(o for o in operands if _speaks_of_next(o)))
                self.wrong(node, "a chain of comparisons in an effect", f"; write it in two: {text} ... and {text} ...")
                return node
        if "!=" in node.operators and any(map(self._is_real, operands)):
            self.wrong(node, "'!=' on a real feature as an effect", "; give it bounds: x' < ... or x' > ...")
        if len(operands) == 2 and _is_next(operands[1]) and not _speaks_of_next(operands[0]):
            turned = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
            operators = tuple(turned.get(o, o) for o in node.operators)
            return self.rebuilt(node, operands=operands[::-1], operators=operators)
        return node

    def _can_be_set(self, node: Expression) -> bool:
        """Whether a claim speaks of the next state, and only of what a rule can set there; notes what is wrong."""
        before = len(self.mistakes)
        if not _speaks_of_next(node):
            now = next((n.name for n in s.walk(node) if isinstance(n, s.Name) and n.name not in self.actions), "x")
            self.wrong(node, "an effect that does not speak of the next state", f"; write {word(now)}'")
        for part in s.walk(node):
            match part:
                case s.Name(name=name, primed=True):
                    self._settable(part, name)
                case s.Index(array=s.Name(primed=True, name=name)) if name not in self.schema.base:
                    self.wrong(part, f"a cell of the derived feature '{name}' cannot be an effect",
                               "; name the features that it is read from")
                case s.Index(array=s.Name(primed=True, name=name), at=at) if _names_next(at, name):
                    self.wrong(part, f"a cell of {word(name)}' at a place that is read from {word(name)}'",
                               "; name the cell in terms of the present state")
                case s.Same(feature=str(name)) | s.Changed(feature=name) if name not in self.schema.base:
                    self.wrong(part, f"'{to_text(part)}' of a derived feature in an effect that ties several",
                               "; name the features that it is read from")
                case s.Near() | s.Position() if _speaks_of_next(part):
                    self.wrong(part, f"'{to_text(part)}' in an effect is not supported",
                               "; name each cell that changes: array'[x, y] == ...")
        return len(self.mistakes) == before

    def _is_real(self, target: Expression) -> bool:
        name = target.array if isinstance(target, s.Index) else target
        return isinstance(name, s.Name) and name.primed and self.schema.named[name.name].kind == "real"

    def _settable(self, node: Node, name: str) -> None:
        derived = self.schema.derivations.get(name)
        if isinstance(derived, Derived) and derived.put is None:
            self.wrong(node, f"the derived feature '{name}' cannot be an effect: it has no setter",
                       "; state the features that it is read from")


def _length(within: float | s.Hole) -> str:
    return "N" if isinstance(within, s.Hole) else number(within)


def _is_next(node: Expression) -> bool:
    """Whether the node is a feature of the next state, or a cell of one."""
    name = node.array if isinstance(node, s.Index) else node
    return isinstance(name, s.Name) and name.primed


def _speaks_of_next(node: Node) -> bool:
    return any((isinstance(n, s.Name) and n.primed) or isinstance(n, s.Same | s.Changed) for n in s.walk(node))


def _names_next(at: tuple[Expression, ...], name: str) -> bool:
    return any(isinstance(n, s.Name) and n.primed and n.name == name for place in at for n in s.walk(place))
