"""What expressions are run over (`Rows`), and the pieces they compile to (`Code`) and how those are joined.

What each node of the language means stands in `evaluate`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Literal

from torch import Tensor

from ...errors import UserError
from ..schema import Feature, Features, Pointed, Schema


class Rows:
    """N transitions: features now, actions `[N, A]` and features next, the last two where they are known.

    Remembers every subexpression computed over it, so what it gives is not to be changed in place, and new features
    need new rows (`followed_by`, if only the next ones are new).
    """

    def __init__(
        self, schema: Schema, now: Features, action: Tensor | None = None, next: Features | None = None
    ) -> None:
        self.schema, self.now, self.action, self.next = schema, now, action, next
        first, *_ = now.values()
        self.size, self.device = len(first), first.device
        self.memo: dict[Any, Any] = {}  # of what reads the state now and the action only
        self.next_memo: dict[Any, Any] = {}

    def followed_by(self, next: Features) -> Rows:
        """The same rows with other next features; what was computed of the state now is kept."""
        rows = Rows(self.schema, self.now, self.action, next)
        rows.memo = self.memo
        return rows

    def features(self, primed: bool) -> Features:
        """Features now, or next; raises `UserError` where the next ones are not known."""
        if not primed:
            return self.now
        if self.next is None:
            raise UserError("a primed name is the next state's, which is not known here: write it without the prime")
        return self.next

    def read(self, name: str, primed: bool) -> Tensor:
        """A base or derived feature `[N, *shape]`; the cell that several features point to is found once."""
        features, pointed = self.features(primed), self.schema.derivations.get(name)
        if not isinstance(pointed, Pointed) or name in features:
            return self.schema.value(name, features)
        index = self.pointer(pointed, primed)
        cell = features[pointed.of].flatten(1).gather(1, index.clamp_min(0)[:, None])[:, 0]
        return cell.masked_fill(index < 0, pointed.outside)

    def pointer(self, pointed: Pointed, primed: bool) -> Tensor:
        """The flat index `[N]` of the cell a pointed feature reads, -1 off the board; found once."""
        memo = self.next_memo if primed else self.memo
        if pointed.at not in memo:
            memo[pointed.at] = pointed.at(self.features(primed))
        index: Tensor = memo[pointed.at]
        return index

    def column(self, k: int) -> Tensor:
        """The k-th action feature `[N]`, as it stands in the action."""
        if self.action is None:
            raise UserError("the condition reads the action, which is not known here: leave the action out of it")
        return self.action[:, k]


Evaluation = Callable[[Rows], Tensor]


@dataclass(frozen=True)
class Code:
    """A compiled expression, giving `[N, *shape]`, and what is known of it before it runs.

    `values` are those of a category. A `constant` is a tensor `[]`, which broadcasts where the code would be run.
    """

    run: Evaluation
    kind: Literal["truth", "number", "codes"]
    shape: tuple[int, ...] = ()
    values: tuple[str, ...] = ()
    constant: Tensor | None = None
    is_integral: bool = False
    may_be_nan: bool = False
    is_primed: bool = False


def constant(value: Tensor, kind: Literal["truth", "number", "codes"], is_integral: bool = True) -> Code:
    return Code(lambda rows: value.to(rows.device).repeat(rows.size), kind, constant=value, is_integral=is_integral)


def typed(feature: Feature, read: Evaluation, is_primed: bool = False) -> Code:
    """The value of a feature: numbers float32, booleans bool, categories the codes as they are."""
    code = Code(read, "codes", feature.shape, feature.values, is_integral=True, is_primed=is_primed)
    if feature.kind == "category":
        return code
    if feature.kind == "boolean":
        return replace(code, run=lambda rows: read(rows).bool(), kind="truth")
    return replace(code, run=lambda rows: read(rows).float(), kind="number", is_integral=feature.kind == "integer")


def apply(function: Callable[..., Tensor], codes: Sequence[Code], kind: Literal["truth", "number", "codes"]) -> Code:
    """Apply an elementwise function to codes, scalars broadcast over cells; constants are folded."""
    shapes = {c.shape for c in codes if c.shape}
    if len(shapes) > 1:
        raise UserError(f"arrays of shapes {' and '.join(map(str, sorted(shapes)))} cannot be compared cell by cell")
    known = [c.constant for c in codes if c.constant is not None]
    is_integral = kind != "number" or all(c.is_integral for c in codes)
    may_be_nan = kind == "number" and any(c.may_be_nan for c in codes)
    if len(known) == len(codes):
        return replace(constant(function(*known), kind, is_integral), may_be_nan=may_be_nan)
    shape = shapes.pop() if shapes else ()
    runs = [_lifted(c, shape) for c in codes]
    run: Evaluation
    if len(runs) == 1:
        (only,) = runs
        run = lambda rows: function(only(rows))  # noqa: E731
    elif len(runs) == 2:
        first, second = runs
        run = lambda rows: function(first(rows), second(rows))  # noqa: E731
    else:
        run = lambda rows: function(*(each(rows) for each in runs))  # noqa: E731
    is_primed = any(c.is_primed for c in codes)
    return Code(run, kind, shape, is_integral=is_integral, may_be_nan=may_be_nan, is_primed=is_primed)


def _lifted(code: Code, shape: tuple[int, ...]) -> Evaluation:
    """Run a code so that its value broadcasts with `[N, *shape]`."""
    value, run, ones = code.constant, code.run, (1,) * len(shape)
    if value is not None:
        return lambda rows: value
    return run if code.shape == shape else lambda rows: run(rows).reshape(-1, *ones)


def over_cells(function: Callable[[Tensor], Tensor], code: Code) -> Code:
    """Reduce a code over its cells: `function([N, cells]) -> [N]`; a scalar is as it is."""
    if not code.shape:
        return code
    return replace(code, run=lambda rows: function(code.run(rows).flatten(1)), shape=())


def any_cell(x: Tensor) -> Tensor:
    """Whether any of the cells `[N, cells]` is true; a sum is ten times quicker than torch's `any` and `all`."""
    return x.sum(1) > 0


def all_cells(x: Tensor) -> Tensor:
    return x.sum(1) == x.shape[1]


def joined(function: Callable[[Tensor, Tensor], Tensor], codes: Sequence[Code]) -> Code:
    """Fold an associative function over one or more codes of one kind."""
    return codes[0] if len(codes) == 1 else apply(lambda *x: reduce(function, x), codes, codes[0].kind)


def number(code: Code) -> Code:
    """A code as float32: true is 1, a category its code."""
    return code if code.kind == "number" else apply(Tensor.float, [code], "number")


def truth_of(code: Code) -> Code:
    """A code as a truth: a number is true unless it is 0."""
    return code if code.kind == "truth" else apply(lambda x: x != 0, [code], "truth")


def signed(holds: Code) -> Code:
    """1 where it holds, -1 where it does not."""
    return apply(lambda x: x.float() * 2 - 1, [holds], "number")


def remembered(code: Code) -> Code:
    """The same code, run once a `Rows`."""
    run, is_primed = code.run, code.is_primed

    def once(rows: Rows) -> Tensor:
        memo = rows.next_memo if is_primed else rows.memo
        value: Tensor | None = memo.get(once)
        if value is None:
            value = memo[once] = run(rows)
        return value

    return replace(code, run=once)
