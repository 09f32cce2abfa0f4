"""Candidates for a tie: what the model draws, and what satisfies the tie where a draw hardly ever would.

Proposed are: of listed scalars every combination (each value alone, where they are many); of a number the root of
each comparison that it stands in; of a cell that is named, each value; of the cells under `any`, `all` and `count` the
likeliest arrays of which just k cells satisfy the condition. All but the first keep the rest as the model has it.

M rows, P candidates a row, K of them drawn, C cells of an array, V values of a feature.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import UserError
from ..distributions import FLOOR, Board, Categorical, Distribution, Normal, decode, floored, take
from ..schema import Pointed, Schema
from .codes import Evaluation, Rows
from .effects import MOST_VALUES, Place
from .evaluate import compiled, mask
from .guards import conjuncts
from .syntax import Arithmetic, Call, Compare, Expression, Index, Logical, Name, Not, Quantified, walk

Candidates = dict[str, Tensor]
_REACH = 16
"""Up to how many cells more or fewer than the model has it, and than all and none, are made to satisfy a condition."""


class Proposals:
    """The candidates for some effects over the features `names`, of which `particles` are drawn."""

    def __init__(self, schema: Schema, effects: Sequence[Expression], names: Sequence[str], particles: int) -> None:
        self.schema, self.names = schema, tuple(names)
        scalars = [schema.base[n] for n in names if not schema.base[n].shape]
        listed = {f.name: f.cardinality for f in scalars if f.cardinality and f.cardinality <= MOST_VALUES}
        self.listed = tuple(listed)
        few = bool(listed) and math.prod(listed.values()) <= MOST_VALUES
        # Where every combination can be weighed, nothing need be drawn: the product is exact.
        self.is_exact = few and len(listed) == len(self.names)
        self.particles = 0 if self.is_exact else particles
        self.codes = _every(listed) if few else _each(listed)
        self.solved = [] if self.is_exact else [s for e in effects for s in self._solved(e)]
        self.places = dict.fromkeys(p for e in effects for p in self._places(e))
        self.masks = dict.fromkeys((n, c) for e in effects for c in _conditions(e) for n in self._arrays(c))

    @property
    def size(self) -> int:
        """About how many numbers the candidates of one row are."""
        cells = max((math.prod(self.schema.base[n].shape) for n in self.names), default=1)
        numbers = self.particles * (1 + sum(len(steps) for _, _, steps in self.solved)) + len(self.codes)
        arrays = sum(self.schema.base[self._array(p)].cardinality or 1 for p in self.places)
        return cells * (1 + numbers + arrays + 4 * _REACH * len(self.masks))

    def __call__(self, own: Mapping[str, Distribution], rows: Rows, some: Tensor, source: torch.Generator
                 ) -> Candidates:
        """The most likely value, K drawn ones, then the proposals, for `some [M]` rows: name -> `[M, P, *shape]`."""
        m, k = len(some), self.particles
        modes = {n: d.mode()[:, None] for n, d in own.items()}
        draws = {n: _spread(repeated(d, k)).sample(source).unflatten(0, (m, k)) for n, d in own.items()} if k else {}
        parts = [modes, draws] if k else [modes]
        if len(self.codes):
            tried = _each_time(modes, len(self.codes))
            for j, name in enumerate(self.listed):
                codes = self.codes[:, j]
                tried[name] = torch.where(codes >= 0, decode(self.schema.base[name], codes), tried[name])
            parts.append(tried)
        parts += [self._root(own, draws, rows, some, *solved) for solved in self.solved]
        parts += [self._cell(modes, rows, some, place) for place in self.places]
        parts += [self._boards(own, modes, rows, some, *mask) for mask in self.masks]
        return {n: torch.cat([part[n] for part in parts], 1) for n in own}

    # --- numbers ------------------------------------------------------------------------------------------------------

    def _solved(self, effect: Expression) -> Iterator[tuple[Evaluation, str, tuple[int, ...]]]:
        """What is 0 where a comparison turns, a number that it may be solved for, and the steps about the root."""
        for compare, is_closed in _comparisons(effect):
            for name in dict.fromkeys(n.name for n in walk(compare) if isinstance(n, Name) and n.primed):
                feature = self.schema.base.get(name)
                if feature is not None and not feature.shape and name not in self.listed:
                    try:
                        gap = compiled(Arithmetic(operator="-", left=compare.operands[0], right=compare.operands[1]),
                                       self.schema)
                    except UserError:    # a comparison of places or categories has no root
                        continue
                    yield gap, name, (0,) if is_closed else (-1, 0, 1)

    def _root(self, own: Mapping[str, Distribution], draws: Candidates, rows: Rows, some: Tensor, gap: Evaluation,
              name: str, steps: tuple[int, ...]) -> Candidates:
        """The draws with a number where a comparison turns, by one secant step, and `steps` beside that."""
        k, feature, of = self.particles, self.schema.base[name], own[name]
        assert isinstance(of, Normal)
        flat = {n: v.flatten(0, 1) for n, v in draws.items()}
        here = flat[name]
        residual = gap(followed(rows, some, k, flat))
        slope = gap(followed(rows, some, k, {**flat, name: here + 1})) - residual
        root = here - torch.where(slope != 0, residual / slope, 0.0)
        width = 1.0 if feature.is_discrete else 0.01 * of.std.repeat_interleave(k) + 1e-5 * root.abs()
        values = [(root + step * width).clamp(feature.low, feature.high).view(len(some), k) for step in steps]
        value = torch.cat(values, 1)
        every = {n: torch.cat([v] * len(steps), 1) for n, v in draws.items()}
        return {**every, name: (value.round() if feature.is_discrete else value).to(here.dtype)}

    # --- arrays -------------------------------------------------------------------------------------------------------

    def _places(self, effect: Expression) -> Iterator[Place]:
        """The cells that an effect names, of arrays with listed values."""
        for node in walk(effect):
            if isinstance(node, Index) and node.array.primed and node.array.name in self.schema.base:
                place = Place(node.array.name, node.at)
            elif isinstance(node, Name) and node.primed and isinstance(
                    self.schema.derivations.get(node.name), Pointed):
                place = Place(node.name)
            else:
                continue
            if self.schema.base[self._array(place)].cardinality:
                yield place

    def _array(self, place: Place) -> str:
        derivation = self.schema.derivations.get(place.target)
        return derivation.of if isinstance(derivation, Pointed) else place.target

    def _cell(self, modes: Candidates, rows: Rows, some: Tensor, place: Place) -> Candidates:
        """The most likely values with each value in one cell."""
        name = self._array(place)
        feature = self.schema.base[name]
        assert feature.cardinality is not None
        index = place.index(followed(rows, some, 1, {n: v[:, 0] for n, v in modes.items()}))
        assert index is not None
        values = decode(feature, torch.arange(feature.cardinality))
        tried = _each_time(modes, len(values))
        cells = tried[name].flatten(2)                                                                  # [M, V, C]
        at = index.clamp_min(0)[:, None, None].expand(-1, len(values), 1)
        written = torch.where((index >= 0)[:, None, None], values[:, None], cells.gather(2, at))
        return {**tried, name: cells.scatter(2, at, written).view_as(tried[name])}

    def _arrays(self, condition: Expression) -> Iterator[str]:
        for node in walk(condition):
            if isinstance(node, Name) and node.primed and node.name in self.schema.base:
                feature = self.schema.base[node.name]
                if feature.shape and feature.cardinality:
                    yield node.name

    def _boards(self, own: Mapping[str, Distribution], modes: Candidates, rows: Rows, some: Tensor, name: str,
                condition: Expression) -> Candidates:
        """The most likely arrays of which k cells satisfy a condition, for k near what the model has, none, and all.

        Each cell has a likeliest value with which it holds and one with which it does not; the k cells are those
        where holding gains most.
        """
        m, feature = len(some), self.schema.base[name]
        values = decode(feature, torch.arange(feature.cardinality or 0))
        tried = _each_time(modes, len(values))
        tried[name] = values.view(-1, *(1 for _ in feature.shape)).expand_as(tried[name])
        after = {n: v.flatten(0, 1) for n, v in tried.items()}
        holds = mask(condition, self.schema)(followed(rows, some, len(values), after)).view(m, len(values), -1)
        logp = _log_probs(own[name])                                                                    # [M, C, V]
        yes, no = (logp.masked_fill(~h.transpose(1, 2), -math.inf).max(-1) for h in (holds, ~holds))
        gain = yes.values - no.values                                                                   # [M, C]
        rank = gain.argsort(1, descending=True).argsort(1)
        least, now, most = (x.sum(1, keepdim=True) for x in (gain == math.inf, gain > 0, gain > -math.inf))
        reach = torch.arange(_REACH)
        k = torch.cat([least + reach, now - reach, now + reach, most - reach], 1).clamp(least, most)    # [M, 4 REACH]
        codes = torch.where(rank[:, None] < k[..., None], yes.indices[:, None], no.indices[:, None])
        return {**_each_time(modes, k.shape[1]), name: decode(feature, codes).view(m, -1, *feature.shape)}


def followed(rows: Rows, some: Tensor, p: int, candidates: Candidates) -> Rows:
    """`some [M]` rows, each `p` times, followed by candidates `[M * p, *shape]`."""
    each = some.repeat_interleave(p)
    action = None if rows.action is None else rows.action[each]
    after = {k: v[each] for k, v in (rows.next or {}).items() if k not in candidates}
    return Rows(rows.schema, {k: v[each] for k, v in rows.now.items()}, action, {**after, **candidates})


def repeated(own: Distribution, times: int) -> Distribution:
    """A distribution with each row so many times."""
    parts = own.mean if isinstance(own, Normal) else own.logits
    return take(own, torch.arange(len(parts)).repeat_interleave(times))


def _spread(own: Distribution) -> Distribution:
    """The floor mixed in, so that a certain model still draws what it did not think of."""
    if isinstance(own, Normal):
        return own
    return replace(own, logits=Categorical(own.feature, own.logits).possible())


def _log_probs(own: Distribution) -> Tensor:
    """Log-probabilities of every cell's values, with the floor mixed in, `[M, C, V]`."""
    if isinstance(own, Categorical):
        return own.possible().flatten(1, -2)
    assert isinstance(own, Board)
    v, cells = own.logits.shape[-1], own.known.shape[1]
    known = F.pad(F.one_hot(own.known.long(), v) * (1 - FLOOR) + FLOOR / v, (0, 0, 0, 1))
    at = torch.where(own.index >= 0, own.index, cells)[..., None].expand(-1, -1, v)
    return known.scatter(1, at, floored(own.logits)[0])[:, :-1].log()


def _each_time(modes: Candidates, times: int) -> Candidates:
    return {n: v.expand(-1, times, *v.shape[2:]).clone() for n, v in modes.items()}


def _every(listed: dict[str, int]) -> Tensor:
    """Every combination of codes, `[combinations, features]`."""
    return torch.cartesian_prod(*(torch.arange(v) for v in listed.values())).view(-1, len(listed))


def _each(listed: dict[str, int]) -> Tensor:
    """Every value of one feature at a time, -1 for the others: `[values, features]`."""
    codes = torch.full((sum(listed.values()), len(listed)), -1)
    row = 0
    for j, v in enumerate(listed.values()):
        codes[row:row + v, j] = torch.arange(v)
        row += v
    return codes


def _comparisons(effect: Expression, is_plain: bool = True) -> Iterator[tuple[Compare, bool]]:
    """The comparisons in an effect that are not over cells, and whether they hold where both sides are equal."""
    match effect:
        case Compare(operators=(operator,)):
            yield effect, is_plain and operator in ("==", "<=", ">=")
        case Compare():
            for link in conjuncts(effect):
                yield from _comparisons(link, is_plain)
        case Logical(operator=word, operands=operands):
            for operand in operands:
                yield from _comparisons(operand, is_plain and word != "implies")
        case Not(operand=operand):
            yield from _comparisons(operand, False)


def _conditions(effect: Expression) -> Iterator[Expression]:
    """What an effect says of cells: the conditions under `any`, `all` and `count`."""
    for node in walk(effect):
        if isinstance(node, Quantified):
            yield node.condition
        elif isinstance(node, Call) and node.function == "count":
            yield node.arguments[0]
