"""Claims that tie several next features together, by particles: `x' + y' == 5`, `a' == on or b' == on`.

For each row on which such a rule fires, candidates for the features it names are drawn from what is predicted of each,
beside the most likely one and proposals in which a single feature (or every combination, where there are few) was
given the value that satisfies the tie. Each is weighted by the product of experts; with a generator one is drawn,
without one the best is taken, and the features are set to it. Where few combinations are possible at all, they are the
candidates, and the product is exact. A row without any candidate that satisfies a hard tie is left alone, and the rule
has lost there.

N rows, M of them with a tie that fires, P candidates a row, K of them drawn, T ties.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from ..distributions import Board, Categorical, Distribution, Normal, decode, encode, take
from ..schema import Schema
from .codes import Rows
from .effects import MOST_VALUES, Tie
from .evaluate import compiled
from .syntax import Arithmetic, Compare, Expression, Name, walk

_CHUNK = 2**17  # candidates weighed at once
_UNLIKELY = 1e4  # nats by which what was proposed stands behind what was drawn


@dataclass(frozen=True)
class TieClaim:
    """A tie as one rule (`column`) claims it."""

    tie: Tie
    column: int
    strength: tuple[Literal["hard", "weight"], float]


class Ties:
    """The ties of a stage, strongest first, with `particles` candidates drawn a row."""

    def __init__(self, schema: Schema, claims: Sequence[TieClaim], particles: int) -> None:
        self.schema, self.claims = schema, tuple(claims)
        self.names = tuple(n for n in schema.base if any(n in c.tie.names for c in claims))
        self.holds = [compiled(c.tie.effect, schema, "truth") for c in claims]
        self.columns = torch.tensor([c.column for c in claims])
        scalars = [schema.base[n] for n in self.names if not schema.base[n].shape]
        listed = {f.name: f.cardinality for f in scalars if f.cardinality and f.cardinality <= MOST_VALUES}
        self.listed = tuple(listed)
        few = bool(listed) and math.prod(listed.values()) <= MOST_VALUES
        # Where every combination can be weighed, nothing need be drawn: the product is exact.
        self.is_exact = few and len(listed) == len(self.names)
        self.particles = 0 if self.is_exact else particles
        self.codes = self._every(listed) if few else self._each(listed)
        gaps = (_gap(c.tie.effect) for c in claims)
        self.solved = [(compiled(gap, schema), name.name) for gap in gaps if gap is not None
                       for name in dict.fromkeys(n for n in walk(gap) if isinstance(n, Name) and n.primed)
                       if name.name in schema.base and not schema.base[name.name].shape
                       and not schema.base[name.name].cardinality]

    def correct(self, predicted: dict[str, Distribution], rows: Rows, fired: Tensor, conflict: Tensor,
                rng: torch.Generator | None) -> None:
        """Correct `predicted` in place where ties fire; mark in `conflict [N, R]` where they cannot be had."""
        where = fired.index_select(1, self.columns)                                                        # [N, T]
        source = rng if rng is not None else torch.Generator().manual_seed(0)
        per_row = 1 + self.particles * (1 + len(self.solved)) + len(self.codes)
        chosen = {n: predicted[n].mode() for n in self.names}
        is_written = torch.zeros(rows.size, dtype=torch.bool)
        for some in where.any(1).nonzero()[:, 0].split(max(1, _CHUNK // per_row)):
            best, written, lost = self._best(predicted, rows, where[some], some, source, rng is not None)
            is_written[some] = written
            for t, column in enumerate(self.columns.tolist()):
                conflict[some, column] |= lost[:, t]
            for name, value in best.items():
                chosen[name][some] = value
        for name in self.names:
            mine = is_written & where[:, [name in c.tie.names for c in self.claims]].any(1)
            if bool(mine.any()):
                own = predicted[name].set(mine, chosen[name])
                predicted[name] = own.clip(mine, chosen[name], chosen[name]) if isinstance(own, Normal) else own

    def _best(self, predicted: dict[str, Distribution], rows: Rows, where: Tensor, some: Tensor,
              source: torch.Generator, is_drawn: bool) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """The candidate chosen for each of `some [M]` rows, name -> `[M, *shape]`; the rows on which it is written
        `[M]`; and where a tie lost `[M, T]`."""
        m = len(some)
        own = {n: take(predicted[n], some) for n in self.names}
        candidates = self._candidates(own, rows, some, source)
        p = next(iter(candidates.values())).shape[1]
        flat = {n: v.flatten(0, 1) for n, v in candidates.items()}
        satisfied = self._satisfied(self._rows(rows, some, p, flat), m, p)                                 # [M, P, T]
        score = sum((_log_prob(_repeated(d, p), flat[n]).view(m, p) for n, d in own.items()), torch.zeros(m, p))
        alive = score > -torch.inf
        if is_drawn:
            behind = torch.arange(p) < 1 if self.is_exact else torch.arange(p) > self.particles
            behind[0] = True  # the most likely one is among the others
            level = score.clamp(-_UNLIKELY, _UNLIKELY)
            score = torch.where(behind, level - 2 * _UNLIKELY, level if self.is_exact else torch.zeros(()))
        lost = torch.zeros_like(where)
        is_soft = torch.tensor([c.strength[0] == "weight" for c in self.claims])
        for t, claim in enumerate(self.claims):
            asks = where[:, t, None]
            if is_soft[t]:
                score = score + asks * satisfied[..., t] * claim.strength[1]
            else:
                left = alive & (satisfied[..., t] | ~asks)
                lost[:, t] = where[:, t] & ~left.any(1)
                alive = torch.where(lost[:, t, None], alive, left)
        score = score.masked_fill(~alive, -torch.inf)
        if is_drawn:
            score = score - torch.empty_like(score).exponential_(generator=source).log()
        best = score.argmax(1)
        # Without a draw, a row whose most likely value satisfies all is left as it is.
        written = (where & ~lost).any(1) & (is_drawn | (best > 0)) & alive.any(1)
        return {n: v[torch.arange(m), best] for n, v in candidates.items()}, written, lost

    def _candidates(self, own: dict[str, Distribution], rows: Rows, some: Tensor, source: torch.Generator
                    ) -> dict[str, Tensor]:
        """The most likely value, K drawn ones, proposals: name -> `[M, P, *shape]`."""
        m, k = len(some), self.particles
        modes = {n: d.mode()[:, None] for n, d in own.items()}
        parts = [modes]
        if not self.is_exact:
            draws = {n: _spread(_repeated(d, k)).sample(source).unflatten(0, (m, k)) for n, d in own.items()}
            parts.append(draws)
        if len(self.codes):
            tried = {n: v.expand(-1, len(self.codes), *v.shape[2:]).clone() for n, v in modes.items()}
            for j, name in enumerate(self.listed):
                codes = self.codes[:, j]
                tried[name] = torch.where(codes >= 0, decode(self.schema.base[name], codes), tried[name])
            parts.append(tried)
        for gap, name in self.solved:
            flat = {n: v.flatten(0, 1) for n, v in draws.items()}
            here, step = flat[name], 1.0
            residual = gap(self._rows(rows, some, k, flat))
            slope = (gap(self._rows(rows, some, k, {**flat, name: here + step})) - residual) / step
            root = here - torch.where(slope != 0, residual / slope, 0.0)
            bounded = root.clamp(self.schema.base[name].low, self.schema.base[name].high).to(here.dtype)
            parts.append({**draws, name: bounded.view(m, k)})
        return {n: torch.cat([part[n] for part in parts], 1) for n in own}

    def _satisfied(self, rows: Rows, m: int, p: int) -> Tensor:
        return torch.stack([holds(rows).view(m, p) for holds in self.holds], -1)

    def _rows(self, rows: Rows, some: Tensor, p: int, candidates: dict[str, Tensor]) -> Rows:
        """`some` rows, each `p` times, followed by candidates."""
        each = some.repeat_interleave(p)
        action = None if rows.action is None else rows.action[each]
        after = {k: v[each] for k, v in (rows.next or {}).items() if k not in candidates}
        return Rows(self.schema, {k: v[each] for k, v in rows.now.items()}, action, {**after, **candidates})

    @staticmethod
    def _every(listed: dict[str, int]) -> Tensor:
        """Every combination of codes, `[combinations, features]`."""
        return torch.cartesian_prod(*(torch.arange(v) for v in listed.values())).view(-1, len(listed))

    @staticmethod
    def _each(listed: dict[str, int]) -> Tensor:
        """Every value of one feature at a time, -1 for the others: `[values, features]`."""
        codes = torch.full((sum(listed.values()), len(listed)), -1)
        row = 0
        for j, v in enumerate(listed.values()):
            codes[row:row + v, j] = torch.arange(v)
            row += v
        return codes


def _gap(effect: Expression) -> Expression | None:
    """What is 0 where a comparison of two numbers turns, None for any other effect."""
    if not isinstance(effect, Compare) or effect.operators[0] == "!=":
        return None
    left, right = effect.operands
    return Arithmetic(operator="-", left=left, right=right)


def _repeated(own: Distribution, times: int) -> Distribution:
    parts = own.mean if isinstance(own, Normal) else own.logits
    return take(own, torch.arange(len(parts)).repeat_interleave(times))


def _spread(own: Distribution) -> Distribution:
    """The floor mixed in, so that a certain model still draws what it did not think of."""
    if isinstance(own, Normal):
        return own
    return replace(own, logits=Categorical(own.feature, own.logits).possible())


def _log_prob(own: Distribution, value: Tensor) -> Tensor:
    """Log-probability of whole values `[N, *shape]`, -inf for what was ruled out: `[N]`."""
    if isinstance(own, Categorical):
        picked = own.possible().gather(-1, encode(own.feature, value)[..., None])[..., 0]
        return picked.flatten(1).sum(1) if picked.dim() > 1 else picked
    if isinstance(own, Board) or own.low is None or own.high is None:
        return own.log_prob(value)
    outside = (value < own.low) | (value > own.high)
    return own.log_prob(value).masked_fill(outside.flatten(1).any(1) if outside.dim() > 1 else outside, -torch.inf)
