"""Words: a checked rule as a plain English sentence, for asking people and for explaining.

    expect carrying' == key and front' == empty if action == pickup and front == key
    When you choose pickup and what is ahead is key, what you carry becomes key and what is ahead becomes empty.

Every value, bound and sign of the rule is in its sentence, so that two rules that differ in one of them read
differently. A feature is called by its description where that is a short phrase of its own, else by its name; what
has no words stands as rule text between backticks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from ..schema import Feature, Schema
from . import syntax as s
from .syntax import Expression, Node, Rule
from .text import number, to_text

__all__ = ["to_words", "value_words"]

_SIGNS = {"==": "", "!=": "not", "<": "below", "<=": "at most", ">": "above", ">=": "at least"}
_TURNED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_OWN = {"==": "stays as it is", "!=": "changes", "<": "falls", ">": "rises", "<=": "does not rise",
        ">=": "does not fall"}    # the next value beside the present one of the same feature
_ARITHMETIC = {"+": "plus", "-": "minus", "*": "times", "/": "divided by", "%": "modulo"}
_CALLS = {"min": "the smallest of", "max": "the largest of"}
_CONDITIONS = (s.Compare, s.Member, s.Not, s.Logical, s.Quantified, s.Near, s.Same, s.Changed)
_CONNECTIVES = frozenset({"and", "or", "not", "nor", "either", "true", "false", "if", "then"})
_PHRASE = re.compile(r"(?:the|a|an|what|where|how|which|whose|whether|your|its)\b[^;,.:()\[\]`]*")
_LONGEST = 9    # words of a description that stands for a feature
_PLAIN = re.compile(r"\w+(?:-\w+)*")


def to_words(rule: Rule, schema: Schema) -> str:
    """A checked rule in one plain English sentence. Its name is left out: it means nothing."""
    return _Speaker(schema).rule(rule.statement)


def value_words(value: str, values: Iterable[str] = ()) -> str:
    """A category's value in a sentence: `_` as a space, in double quotes where it could be misread.

    `values` are all the values there are: a space is only put where no other value reads the same.
    """
    spaced = value.replace("_", " ").strip()
    alike = sum(v.replace("_", " ").strip() == spaced for v in values) > 1
    if alike or not _PLAIN.fullmatch(value) or not spaced or _CONNECTIVES & set(spaced.lower().split()):
        return f'"{value}"' if value.isprintable() else ascii(value)
    return spaced


class _Speaker:
    """Says rules of one schema."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.acting = {a.name for a in schema.actions}
        phrases = {name: _phrase(f) for name, f in schema.named.items()}
        count = Counter(phrases.values())
        self.names = {name: phrase if phrase and count[phrase] == 1 else f"the {name.replace('_', ' ')}"
                      for name, phrase in phrases.items()}
        twice = Counter(self.names.values())
        self.names = {name: said if twice[said] == 1 else f'"{name}"' for name, said in self.names.items()}
        self.in_cells = False    # whether an array's name means the value of the cell that is spoken of

    # --- statements -----------------------------------------------------------------------------------------------

    def rule(self, statement: Node) -> str:
        match statement:
            case s.Expect(effect=effect, guard=guard, probability=probability, weight=weight):
                when = "After every step" if guard is None else f"When {self.clause(guard)}"
                chance = "" if probability is None else f"with probability {_number(probability)} "
                likelier = "" if weight is None else f"it is likelier (weight {_number(weight)}) that "
                return f"{when}, {chance}{likelier}{self.clause(effect)}."
            case s.Always(condition=condition, weight=weight):
                mostly = "always holds" if weight is None else f"is likelier (weight {_number(weight)})"
                return f"It {mostly} that {self.clause(condition)}."
            case s.Reward(amount=amount, guard=guard):
                return f"{'Every step' if guard is None else 'A step'} {_pays(amount)}{self._when(guard)}."
            case s.End(guard=guard):
                return f"The episode ends when {self.clause(guard)}."
            case s.Forbid(action=action, guard=guard):
                said = self.clause(action)
                own = isinstance(action, s.Compare | s.Member) and said.startswith(("you choose ", "you set "))
                return f"Never {said.removeprefix('you ') if own else f'act so that {said}'}{self._when(guard)}."
            case s.Avoid(condition=condition, weight=weight):
                return f"Stay out of states where {self.clause(condition)}{_worth(weight)}."
            case s.Maintain(condition=condition, weight=weight):
                return f"See to it at all times that {self.clause(condition)}{_worth(weight)}."
            case s.Prefer(condition=condition, weight=weight):
                return f"If you can, be in states where {self.clause(condition)}{_worth(weight)}."
            case s.Achieve(milestones=milestones, within=within):
                steps = "" if within is None else f", all within {within} step{'' if within == 1 else 's'}"
                if any(isinstance(m, s.Combined | s.Bounded) for m in milestones):
                    return f"See to it{steps}: {', and then '.join(map(self.milestone, milestones))}."
                reached = ", then one where ".join(map(self.clause, milestones))
                return f"Reach a state where {reached}{steps}."
            case s.Let(name=name, value=value):
                is_condition = isinstance(value, _CONDITIONS)
                return f"`{name}` means {'that ' + self.clause(value) if is_condition else self.quantity(value)}."
        return f"`{to_text(statement)}`."

    def milestone(self, node: s.Milestone) -> str:
        """A milestone of a goal as a clause, what it is made of in brackets."""
        match node:
            case s.Combined(operator=operator, parts=parts):
                link = {"then": ", and then ", "also": ", and in any order ", "else": ", or else "}[operator]
                return f"[{link.join(map(self.milestone, parts))}]"
            case s.Bounded(part=part, within=within, keeping=keeping):
                steps = "" if within is None else f" within {within} step{'' if within == 1 else 's'}"
                kept = "" if keeping is None else f", as long as {self.clause(keeping, True)}"
                return f"{self.milestone(part)}{steps}{kept}"
            case _:
                return self.clause(node)

    def _when(self, guard: Expression | None) -> str:
        return "" if guard is None else f" when {self.clause(guard)}"

    # --- conditions -----------------------------------------------------------------------------------------------

    def clause(self, node: Expression, nested: bool = False) -> str:
        """A condition as a clause; one of several parts stands in parentheses inside another."""
        match node:
            case s.Logical(operator="implies", operands=(left, right)):
                said = f"if {self.clause(left, True)} then {self.clause(right, True)}"
            case s.Logical(operator=operator, operands=operands):
                said = f" {operator} ".join(self.clause(o, True) for o in operands)
            case s.Compare(operators=operators) if len(operators) > 1:
                said = self._chain(node)
            case _:
                return self._atom(node)
        return f"({said})" if nested else said

    def _atom(self, node: Expression, negated: bool = False) -> str:
        match node:
            case s.Not(operand=operand) if not negated:
                return self._atom(operand, True)
            case s.Name(name=name) if self.schema.named[name].kind == "boolean":
                return self._is(node, "", "false" if negated else "true")
            case s.Compare(operands=(left, right), operators=(sign,)):
                return self._compared(left, sign, right, self._slack(node, left), negated)
            case s.Member(operand=operand, members=members):
                listed = [self.quantity(m, operand) for m in members]
                return self._is(operand, "not" if negated else "", _listed(listed, "or"))
            case s.Quantified(quantifier="any", condition=condition):
                return f"there is {'no' if negated else 'a'} cell with {self._of_cells(condition)}"
            case s.Quantified(condition=condition):
                return f"{'not ' if negated else ''}every cell has {self._of_cells(condition)}"
            case s.Same(feature=None):
                return "something changes" if negated else "nothing changes"
            case s.Same(feature=str(name)) | s.Changed(feature=str(name)):
                stays = isinstance(node, s.Same) != negated
                return f"{self.called(name)} {'stays as it is' if stays else 'changes'}"
            case s.Near(condition=condition, steps=steps) if not negated:
                away = f"{_number(steps)} step{'' if steps == 1 else 's'}"
                return f"a cell with {self._of_cells(condition)} is at most {away} away"
        if negated:
            return f"it is not so that ({self.clause(node)})"
        match node:
            case s.Boolean(value=value):
                return "it is so" if value else "it is never so"
            case s.Name() | s.Index():
                return self._is(node, "", "true")
        return f"`{to_text(node)}`"

    def _compared(self, left: Expression, sign: str, right: Expression, slack: str, negated: bool) -> str:
        """One comparison: `the speed is above 3 m/s`, `the speed grows by 1`."""
        if isinstance(left, s.Number | s.Symbol | s.Boolean) and not isinstance(right, s.Number | s.Symbol | s.Boolean):
            left, sign, right = right, _TURNED[sign], left
        if isinstance(left, s.Name) and left.primed and not negated:
            change = self._change(left, sign, right)
            if change:
                return f"{self.called(left.name)} {change}{slack}"
        if negated and sign in ("==", "!="):
            sign, negated = ("!=" if sign == "==" else "=="), False
        how = f"{'not ' if negated else ''}{_SIGNS[sign]}".strip()
        simple = isinstance(right, s.Number | s.Hole | s.Symbol | s.Boolean | s.Negative)
        becomes = sign == "==" and self._subject(left)[1]
        same = "the same as " if sign in ("==", "!=") and not simple and not becomes else ""
        return self._is(left, how, same + self.quantity(right, left)) + slack

    def _change(self, left: s.Name, sign: str, right: Expression) -> str:
        """How a next value relates to the present one of the same feature, or "" where it is not said so."""
        now = left.model_copy(update={"primed": False})
        if right == now:
            return _OWN[sign]
        match right:
            case s.Arithmetic(operator="+" | "-" as operator, left=first, right=s.Number(value=by)) if (
                    sign == "==" and first == now and by >= 0):
                amount = f"{_number(right.right)}{self._unit(left, right.right)}"
                return f"{'grows' if operator == '+' else 'shrinks'} by {amount}"
        return ""

    def _is(self, subject: Expression, how: str, what: str) -> str:
        """`X is HOW WHAT`, for an action `you choose WHAT`, for the next state `X becomes WHAT`."""
        if isinstance(subject, s.Name) and subject.name in self.acting:
            feature = self.schema.named[subject.name]
            if feature.kind == "category" and how in ("", "not"):
                only = len(self.schema.actions) == 1
                verb = "choose" if only else f"set {self.called(subject.name)} to"
                return f"you {'do not ' if how else ''}{verb} {what}"
        said, is_next = self._subject(subject)
        verb = ("becomes" if not how else f"is then {how}") if is_next else f"is {how}".strip()
        return f"{said} {verb} {what}"

    def _subject(self, node: Expression) -> tuple[str, bool]:
        """What is spoken of, and whether it is the next state's."""
        match node:
            case s.Name(name=name, primed=primed):
                return self.called(name), primed
            case s.Index(array=array):
                return self._cell(node), array.primed
        return self.quantity(node), False

    def _chain(self, node: s.Compare) -> str:
        """`0 <= x < 5`: `x is at least 0 and below 5`; a longer chain link by link."""
        slack = self._slack(node, node.operands[1])
        if len(node.operands) == 3:
            low, middle, high = node.operands
            ends = ((_TURNED[node.operators[0]], low), (node.operators[1], high))
            bounds = " and ".join(f"{_SIGNS[sign]} {self.quantity(end, middle)}".strip() for sign, end in ends)
            said, is_next = self._subject(middle)
            return f"{said} is {'then ' if is_next else ''}{bounds}{slack}"
        pairs = zip(node.operands, node.operators, node.operands[1:], strict=False)
        return " and ".join(self._compared(a, sign, b, slack, False) for a, sign, b in pairs)

    def _slack(self, node: s.Compare, beside: Expression) -> str:
        """The tolerance of a comparison, in its own unit or in that of what is compared."""
        if node.within is None:
            return ""
        return f" (give or take {_number(node.within)}{f' {node.unit}' if node.unit else self._unit(beside)})"

    def _of_cells(self, condition: Expression) -> str:
        outside, self.in_cells = self.in_cells, True
        said = f"({self.clause(condition)})"
        self.in_cells = outside
        return said

    # --- quantities -----------------------------------------------------------------------------------------------

    def quantity(self, node: Expression, beside: Expression | None = None) -> str:
        """What a comparison is about, as a noun phrase; `beside` is what it is compared with."""
        match node:
            case s.Number():
                return _number(node) + self._unit(beside, node)
            case s.Symbol(name=name):
                return value_words(name, self._values(beside))
            case s.Boolean(value=value):
                return "true" if value else "false"
            case s.Name(name=name, primed=primed):
                return f"{self.called(name)}{' afterwards' if primed else ''}"
            case s.Index(array=array):
                return f"{self._cell(node)}{' afterwards' if array.primed else ''}"
            case s.Negative(operand=operand):
                return f"minus {self._grouped(operand)}"
            case s.Arithmetic(operator=operator, left=left, right=right):
                return f"{self._grouped(left)} {_ARITHMETIC[operator]} {self._grouped(right)}"
            case s.Call(function="abs", arguments=(s.Arithmetic(operator="-", left=left, right=right),)):
                return f"the distance between {self._grouped(left)} and {self._grouped(right)}"
            case s.Call(function="abs", arguments=(only,)):
                return f"the size of {self._grouped(only)}"
            case s.Call(function="min" | "max" as called, arguments=arguments):
                return f"({_CALLS[called]} {_listed([self._grouped(a) for a in arguments], 'and')})"
            case s.Call(function="clip", arguments=(what, low, high)):
                between = f"{self._grouped(low)} and {self._grouped(high)}"
                return f"({self._grouped(what)} kept between {between})"
            case s.Call(function="count", arguments=(condition,)):
                return f"the number of cells with {self._of_cells(condition)}"
            case s.Hole():
                return f"what memory shows{self._unit(beside)}"
            case s.Call(function="distance", arguments=(left, right)):
                return f"the steps between {self.quantity(left)} and {self.quantity(right)}"
            case s.Place(at=at):
                return f"({', '.join(map(self.quantity, at))})"
            case s.Position(condition=condition):
                return f"the place of the first cell with {self._of_cells(condition)}"
            case _ if isinstance(node, _CONDITIONS):
                return f"whether ({self.clause(node)})"
        return f"`{to_text(node)}`"

    def _grouped(self, node: Expression) -> str:
        said = self.quantity(node)
        return f"({said})" if isinstance(node, s.Arithmetic | s.Negative) else said

    def _cell(self, node: s.Index) -> str:
        at = ", ".join(map(self.quantity, node.at))
        return f"{self.called(node.array.name, of_cell=False)} at ({at})"

    def called(self, name: str, of_cell: bool = True) -> str:
        """The words for a feature; inside a condition on cells an array means the cell's own value."""
        feature = self.schema.named.get(name)
        if feature is not None and feature.shape and self.in_cells and of_cell:
            return f"its {name.replace('_', ' ')}"
        return self.names.get(name, f'"{name}"')

    def _values(self, beside: Expression | None) -> tuple[str, ...]:
        feature = self._feature(beside)
        return feature.values if feature else ()

    def _unit(self, beside: Expression | None, number: Node | None = None) -> str:
        """The unit of what a number is compared with, unless the number has its own."""
        feature = self._feature(beside)
        own = number is not None and bool(getattr(number, "unit", ""))
        return f" {feature.unit}" if feature and feature.unit and not own else ""

    def _feature(self, node: Expression | None) -> Feature | None:
        node = node.array if isinstance(node, s.Index) else node
        return self.schema.named.get(node.name) if isinstance(node, s.Name) else None


def _phrase(feature: Feature) -> str:
    """The beginning of a description, where it can stand for the feature in a sentence; else "". An array is called
    by its name, since its description speaks of all its cells, and so is an action."""
    if feature.shape or feature.kind == "boolean" or not feature.description.isprintable():
        return ""
    found = _PHRASE.match(feature.description)
    said = found[0].strip() if found else ""
    return said if 2 <= len(said.split()) <= _LONGEST else ""


def _number(value: float | Node) -> str:
    """A number as the language writes it, or what stands for one."""
    if isinstance(value, s.Hole):
        return "that memory shows"
    return to_text(value) if isinstance(value, Node) else number(value)


def _pays(amount: float | Node) -> str:
    if isinstance(amount, Node):
        return "pays what memory shows"
    return f"costs {number(-amount)}" if amount < 0 else f"pays {number(amount)}"


def _worth(weight: float | None) -> str:
    return "" if weight is None else f" (weight {number(weight)})"


def _listed(parts: Sequence[str], last: str) -> str:
    """`a, b or c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {last} {parts[-1]}"
