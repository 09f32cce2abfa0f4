"""Building: a parse tree of the grammar to the syntax tree of `syntax`, noting where each node begins."""

from __future__ import annotations

import re
from typing import Any

from lark import Token, Transformer, v_args
from lark.tree import Meta

from . import syntax as s
from .source import MAX_STEPS, Mistake
from .syntax import Node, Rule

__all__ = ["Builder"]

_QUANTITY = re.compile(r"([\d.]+(?:[eE][+-]?\d+)?)\s?(.+)")


@v_args(meta=True)
class Builder(Transformer[Token, Rule]):
    """Turns a parse tree into a `Rule`; `offsets` says where each node begins, by its `id`.

    `mistakes` are of what the grammar cannot see (a number too large). Recurses: measure the tree first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.offsets: dict[int, int] = {}
        self.mistakes: list[Mistake] = []
        self._kept: list[Node] = []    # so that an `id` in `offsets` is never used twice
        self._grouped: set[int] = set()

    def _at(self, meta: Meta, node: Node) -> Node:
        self.offsets[id(node)] = meta.start_pos
        self._kept.append(node)
        return node

    def _real(self, token: Token) -> float:
        value = float(token)
        if value == float("inf"):
            self.mistakes.append(Mistake("a number too large", token.start_pos or 0, "; write a smaller one"))
            return 0.0
        return value

    def _measured(self, token: Token) -> tuple[float, str]:
        """The number of a token and its unit."""
        if token.type != "QUANTITY":
            return self._real(token), ""
        found = _QUANTITY.fullmatch(str(token))
        assert found is not None
        return self._real(token.update(value=found[1])), found[2]

    def _fitted(self, token: Token) -> float | Node:
        return self._at_token(token, s.Hole()) if token.type == "HOLE" else self._real(token)

    def _at_token(self, token: Token, node: Node) -> Node:
        self.offsets[id(node)] = token.start_pos or 0
        self._kept.append(node)
        return node

    def start(self, meta: Meta, children: list[Any]) -> Rule:
        *name, statement = children
        return Rule(name=None if name in ([], [None]) else str(name[0]), statement=statement)

    def definition(self, meta: Meta, children: list[Any]) -> Node:
        return self._at(meta, s.Let(name=str(children[0]), value=children[1]))

    # statements

    def expect(self, meta: Meta, children: list[Any]) -> Node:
        effect, *rest = children
        guard: Any = next((c for c in rest if isinstance(c, Node)), None)
        strength: dict[str, Any] = dict(c for c in rest if isinstance(c, tuple))
        probability, weight = strength.get("probability"), strength.get("weight")
        return self._at(meta, s.Expect(effect=effect, guard=guard, probability=probability, weight=weight))

    def probability(self, meta: Meta, children: list[Any]) -> tuple[str, float | Node]:
        return "probability", self._fitted(children[0])

    def weight(self, meta: Meta, children: list[Any]) -> tuple[str, float]:
        return "weight", self._real(children[0])

    def always(self, meta: Meta, children: list[Any]) -> Node:
        return self._at(meta, s.Always(condition=children[0], weight=children[1] and children[1][1]))

    def avoid(self, meta: Meta, children: list[Any]) -> Node:
        return self._at(meta, s.Avoid(condition=children[0], weight=children[1] and children[1][1]))

    def maintain(self, meta: Meta, children: list[Any]) -> Node:
        return self._at(meta, s.Maintain(condition=children[0], weight=children[1] and children[1][1]))

    def prefer(self, meta: Meta, children: list[Any]) -> Node:
        return self._at(meta, s.Prefer(condition=children[0], weight=children[1] and children[1][1]))

    def reward(self, meta: Meta, children: list[Any]) -> Node:
        *sign, amount, guard = children
        value: Any = self._fitted(amount)
        return self._at(meta, s.Reward(amount=-value if sign == ["-"] else value, guard=guard))

    def end(self, meta: Meta, children: list[Any]) -> Node:
        return self._at(meta, s.End(guard=children[0]))

    def forbid(self, meta: Meta, children: list[Any]) -> Node:
        return self._at(meta, s.Forbid(action=children[0], guard=children[1]))

    def achieve(self, meta: Meta, children: list[Any]) -> Node:
        *milestones, deadline = children
        within = None if deadline is None else int(deadline.split()[1])
        return self._at(meta, s.Achieve(milestones=tuple(milestones), within=within))

    def sequence(self, meta: Meta, children: list[Any]) -> Node:
        return self._at(meta, s.Combined(operator="then", parts=tuple(children)))

    def together(self, meta: Meta, children: list[Any]) -> Node:
        return self._at(meta, s.Combined(operator="also", parts=tuple(children)))

    def alternatives(self, meta: Meta, children: list[Any]) -> Node:
        return self._at(meta, s.Combined(operator="else", parts=tuple(children)))

    def kept(self, meta: Meta, children: list[Any]) -> Node:
        return self._at(meta, s.Bounded(part=children[0], keeping=children[1]))

    def bounded(self, meta: Meta, children: list[Any]) -> Node:
        part, deadline, keeping = children
        if deadline is None and keeping is None:
            return part
        within = None if deadline is None else int(deadline.split()[1])
        return self._at(meta, s.Bounded(part=part, within=within, keeping=keeping))

    # expressions

    def implies(self, meta: Meta, children: list[Any]) -> Node:
        return self._at(meta, s.Logical(operator="implies", operands=tuple(children)))

    def disjunction(self, meta: Meta, children: list[Any]) -> Node:
        return self._at(meta, s.Logical(operator="or", operands=tuple(children)))

    def conjunction(self, meta: Meta, children: list[Any]) -> Node:
        return self._at(meta, s.Logical(operator="and", operands=tuple(children)))

    def negation(self, meta: Meta, children: list[Any]) -> Node:
        return self._at(meta, s.Not(operand=children[0]))

    def compare(self, meta: Meta, children: list[Any]) -> Node:
        *chain, slack = children
        within: Any = None
        unit = ""
        if slack is not None and slack.type == "HOLE":
            within = self._fitted(slack)
        elif slack is not None:
            within, unit = self._measured(slack)
        return self._at(meta, s.Compare(
            operands=tuple(chain[::2]), operators=tuple(str(o) for o in chain[1::2]),  # type: ignore[misc]
            within=within, unit=unit,
        ))

    def member(self, meta: Meta, children: list[Any]) -> Node:
        return self._at(meta, s.Member(operand=children[0], members=tuple(children[1:])))

    def arithmetic(self, meta: Meta, children: list[Any]) -> Node:
        left, operator, right = children
        return self._at(meta, s.Arithmetic(operator=str(operator), left=left, right=right))  # type: ignore[arg-type]

    def negative(self, meta: Meta, children: list[Any]) -> Node:
        operand = children[1]
        if isinstance(operand, s.Number) and operand.value >= 0 and id(operand) not in self._grouped:
            return self._at(meta, s.Number(value=-operand.value, unit=operand.unit))
        return self._at(meta, s.Negative(operand=operand))

    def positive(self, meta: Meta, children: list[Any]) -> Node:
        return children[1]

    def number(self, meta: Meta, children: list[Any]) -> Node:
        return self._at(meta, s.Number(value=self._real(children[0])))

    def quantity(self, meta: Meta, children: list[Any]) -> Node:
        value, unit = self._measured(children[0])
        return self._at(meta, s.Number(value=value, unit=unit))

    def hole(self, meta: Meta, children: list[Any]) -> Node:
        return self._at(meta, s.Hole())

    def near(self, meta: Meta, children: list[Any]) -> Node:
        _, condition, *told = children
        steps = told[0] if told else None
        many = 1.0 if steps is None else self._real(steps)
        if steps is not None and not (many.is_integer() and 1 <= many <= MAX_STEPS):
            self.mistakes.append(Mistake(f"near(...) within {steps} steps", steps.start_pos or 0,
                                         f"; give a whole number from 1 to {MAX_STEPS}"))
            many = 1.0
        return self._at(meta, s.Near(condition=condition, steps=int(many)))

    def position(self, meta: Meta, children: list[Any]) -> Node:
        return self._at(meta, s.Position(condition=children[1]))

    def place(self, meta: Meta, children: list[Any]) -> Node:
        return self._at(meta, s.Place(at=tuple(children)))

    def true(self, meta: Meta, children: list[Any]) -> Node:
        return self._at(meta, s.Boolean(value=True))

    def false(self, meta: Meta, children: list[Any]) -> Node:
        return self._at(meta, s.Boolean(value=False))

    def name(self, meta: Meta, children: list[Any]) -> Node:
        return self._at(meta, s.Name(name=_plain(children[0]), primed=children[1] is not None))

    def index(self, meta: Meta, children: list[Any]) -> Node:
        return self._at(meta, s.Index(array=children[0], at=tuple(children[1:])))

    def call(self, meta: Meta, children: list[Any]) -> Node:
        return self._at(meta, s.Call(function=str(children[0]), arguments=tuple(children[1:])))  # type: ignore[arg-type]

    def quantified(self, meta: Meta, children: list[Any]) -> Node:
        quantifier, condition = children
        return self._at(meta, s.Quantified(quantifier=str(quantifier), condition=condition))  # type: ignore[arg-type]

    def same(self, meta: Meta, children: list[Any]) -> Node:
        return self._at(meta, s.Same(feature=children[0] and _plain(children[0])))

    def changed(self, meta: Meta, children: list[Any]) -> Node:
        return self._at(meta, s.Changed(feature=_plain(children[0])))

    def group(self, meta: Meta, children: list[Any]) -> Node:
        self._grouped.add(id(children[0]))
        return children[0]


def _plain(token: Token) -> str:
    return str(token)[1:-1] if token.type == "QUOTED" else str(token)
