"""The syntax tree of the rule language: frozen pydantic models, so that rules are data.

An expression is evaluated over rows of (features now, action, features next); a name with a prime is the next
state's. Statements are the lines of the language. Nothing here knows a schema: `check` types a tree against one,
`compile` turns it into tensor operations, `text` prints it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field


class Node(BaseModel):
    """A frozen node; equality is structural, and the source position does not take part in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")


N = TypeVar("N", bound=Node)

# --- expressions ----------------------------------------------------------------------------------------------------


class Number(Node):
    """A number, with its unit if it carries one: `60 °C`. A checked rule's is in the unit of what it is beside."""

    kind: Literal["number"] = "number"
    value: float
    unit: str = ""


class Hole(Node):
    """`?`: a number that memory shall fit."""

    kind: Literal["hole"] = "hole"


class Boolean(Node):
    kind: Literal["boolean"] = "boolean"
    value: bool


class Symbol(Node):
    """The name of a category's value: `key` in `front == key`. The checker tells it from a feature's name."""

    kind: Literal["symbol"] = "symbol"
    name: str


class Name(Node):
    """A feature, now or (primed) next; `action` features have no prime."""

    kind: Literal["name"] = "name"
    name: str
    primed: bool = False


class Index(Node):
    """A cell of an array: `object[agent_x + 1, agent_y]`, primed `object'[..]`. Off the board reads its first value.

    `at` is a number an axis, or one place: `object[position of (color == red)]`.
    """

    kind: Literal["index"] = "index"
    array: Name
    at: tuple[Expression, ...]


class Negative(Node):
    kind: Literal["negative"] = "negative"
    operand: Expression


class Arithmetic(Node):
    kind: Literal["arithmetic"] = "arithmetic"
    operator: Literal["+", "-", "*", "/", "%"]
    left: Expression
    right: Expression


class Call(Node):
    """`abs(x)`, `min(x, y, ...)`, `max(x, y, ...)`, `clip(x, low, high)`; over an array's cells: `count(condition)`;
    steps between two places: `distance(place, place)`."""

    kind: Literal["call"] = "call"
    function: Literal["abs", "min", "max", "clip", "count", "distance"]
    arguments: tuple[Expression, ...]


class Place(Node):
    """`(x, y)`: a cell's coordinates, one an axis."""

    kind: Literal["place"] = "place"
    at: tuple[Expression, ...]


class Position(Node):
    """`position of (condition)`: the place of the first cell where it holds, in row-major order; or nowhere."""

    kind: Literal["position"] = "position"
    condition: Expression


class Near(Node):
    """`near(condition)`, `near(condition, 2)`: the cells from which one where it holds is at most so many steps away.

    `over_cells` (set by the checker) inside any, all, count and position of; else the cell where the agent stands.
    """

    kind: Literal["near"] = "near"
    condition: Expression
    steps: int = 1
    over_cells: bool = False


class Compare(Node):
    """A comparison or a chain of them: `0 <= x < 5` has three operands and two operators.

    `within` is the tolerance of an equality, in `unit` if it carries one.
    """

    kind: Literal["compare"] = "compare"
    operands: tuple[Expression, ...]
    operators: tuple[Literal["==", "!=", "<", "<=", ">", ">="], ...]
    within: float | Hole | None = None
    unit: str = ""


class Member(Node):
    """`x in {a, b}`."""

    kind: Literal["member"] = "member"
    operand: Expression
    members: tuple[Expression, ...]


class Not(Node):
    kind: Literal["not"] = "not"
    operand: Expression


class Logical(Node):
    """`and`, `or` over two or more operands; `implies` over exactly two."""

    kind: Literal["logical"] = "logical"
    operator: Literal["and", "or", "implies"]
    operands: tuple[Expression, ...]


class Quantified(Node):
    """`any(condition)`, `all(condition)` over the cells of the arrays named in the condition."""

    kind: Literal["quantified"] = "quantified"
    quantifier: Literal["any", "all"]
    condition: Expression


class Same(Node):
    """`same`: the whole state is as before; `same(f)`: this feature is."""

    kind: Literal["same"] = "same"
    feature: str | None = None


class Changed(Node):
    kind: Literal["changed"] = "changed"
    feature: str


Expression = Annotated[
    Number | Hole | Boolean | Symbol | Name | Index | Negative | Arithmetic | Call | Place | Position | Near | Compare
    | Member | Not | Logical | Quantified | Same | Changed,
    Field(discriminator="kind"),
]

# --- statements -----------------------------------------------------------------------------------------------------


class Expect(Node):
    """`expect EFFECT [if GUARD] [with probability P | with weight W]`."""

    kind: Literal["expect"] = "expect"
    effect: Expression
    probability: float | Hole | None = None
    weight: float | None = None
    guard: Expression | None = None


class Always(Node):
    """`always CONDITION`: holds of every next state."""

    kind: Literal["always"] = "always"
    condition: Expression
    weight: float | None = None


class Reward(Node):
    """`reward +1 if CONDITION`: what the transition pays, instead of what the model predicts."""

    kind: Literal["reward"] = "reward"
    amount: float | Hole
    guard: Expression | None = None


class End(Node):
    """`end if CONDITION`: the episode terminates with the transition."""

    kind: Literal["end"] = "end"
    guard: Expression


class Forbid(Node):
    """`forbid ACTION [if CONDITION]`, or `forbid CONDITION` on the action features; not executed, whatever is planned.

    `action` is the condition on the action features: `forbid forward` parses as `action == forward`.
    """

    kind: Literal["forbid"] = "forbid"
    action: Expression
    guard: Expression | None = None


class Avoid(Node):
    """`avoid CONDITION`: states that shall not be entered."""

    kind: Literal["avoid"] = "avoid"
    condition: Expression
    weight: float | None = None


class Maintain(Node):
    """`maintain CONDITION`: holds of every state; `avoid not CONDITION`."""

    kind: Literal["maintain"] = "maintain"
    condition: Expression
    weight: float | None = None


class Prefer(Node):
    """`prefer CONDITION [with weight W]`: soft; each step on which it holds is worth the weight."""

    kind: Literal["prefer"] = "prefer"
    condition: Expression
    weight: float | None = None


class Combined(Node):
    """Milestones of a goal: all in order (`A then B`), all in any order (`A also B`), or any one (`A else B`)."""

    kind: Literal["combined"] = "combined"
    operator: Literal["then", "also", "else"]
    parts: tuple[Milestone, ...]


class Bounded(Node):
    """`{A then B within 9 steps} while C`: within so many steps from where its turn came, C holding after each."""

    kind: Literal["bounded"] = "bounded"
    part: Milestone
    within: int | None = None
    keeping: Expression | None = None


Milestone = Annotated[
    Number | Hole | Boolean | Symbol | Name | Index | Negative | Arithmetic | Call | Place | Position | Near | Compare
    | Member | Not | Logical | Quantified | Same | Changed | Combined | Bounded,
    Field(discriminator="kind"),
]


class Achieve(Node):
    """`achieve A then B then C [within N steps]`: reach each in order. A milestone is a condition on a state, an event
    of a step (with primes or the action), or made of such."""

    kind: Literal["achieve"] = "achieve"
    milestones: tuple[Milestone, ...]
    within: int | None = None

    @property
    def conditions(self) -> tuple[Expression, ...]:
        """What is to come about, from left to right, whatever order or bound it stands in."""
        return tuple(leaf for milestone in self.milestones for leaf in leaves(milestone))


class Let(Node):
    """`let NAME = EXPRESSION`: a derived feature that a person defines; it speaks of one state."""

    kind: Literal["let"] = "let"
    name: str
    value: Expression


Statement = Annotated[
    Expect | Always | Reward | End | Forbid | Avoid | Maintain | Prefer | Achieve | Let, Field(discriminator="kind")
]


class Rule(Node):
    """A statement, with the name it was given, if any: `door_needs_key: expect ...`."""

    name: str | None = None
    statement: Statement


for _node in (Index, Negative, Arithmetic, Call, Place, Position, Near, Compare, Member, Not, Logical, Quantified,
              Expect, Always, Reward, End, Forbid, Avoid, Maintain, Prefer, Combined, Bounded, Achieve, Let, Rule):
    _node.model_rebuild()


def leaves(milestone: Milestone) -> Iterator[Expression]:
    """The conditions and events a milestone is made of, from left to right."""
    match milestone:
        case Combined(parts=parts):
            for part in parts:
                yield from leaves(part)
        case Bounded(part=part):
            yield from leaves(part)
        case _:
            yield milestone


def children(node: Node) -> Iterator[Node]:
    """The nodes directly below a node, from left to right."""
    for _, value in node:
        if isinstance(value, Node):
            yield value
        elif isinstance(value, tuple):
            yield from (v for v in value if isinstance(v, Node))


def walk(node: Node) -> Iterator[Node]:
    """The node and every node below it, from left to right; does not recurse."""
    stack = [node]
    while stack:
        top = stack.pop()
        yield top
        stack.extend(reversed(list(children(top))))


def mapped(node: N, function: Callable[[Any], Any]) -> N:
    """The node with every child replaced by what `function` makes of it, in the order of `children`."""
    changes: dict[str, Any] = {}
    for name, value in node:
        if isinstance(value, Node):
            changes[name] = function(value)
        elif isinstance(value, tuple) and value and isinstance(value[0], Node):
            changes[name] = tuple(map(function, value))
    return node.model_copy(update=changes) if changes else node
