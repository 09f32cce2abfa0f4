"""Claims that tie several next features together, by particles: `x' + y' == 5`, `a' == on or b' == on`.

For each row on which such a rule fires, candidates for the features it names are drawn from what is predicted of each,
beside the most likely one and what is proposed to satisfy the tie (`proposals`). Each is weighted by the product of
experts; with a generator one is drawn, without one the best is taken, and the features are set to it. Where few
combinations are possible at all, they are the candidates, and the product is exact. A row without any candidate that
satisfies a hard tie is left alone, and the rule has lost there.

N rows, M of them with a tie that fires, P candidates a row, K of them drawn, T ties.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..distributions import Board, Categorical, Distribution, Normal, encode, take
from ..schema import Schema
from .codes import Rows
from .effects import Tie
from .evaluate import compiled
from .proposals import Proposals, followed, repeated
from .syntax import Compare, Expression, Logical, Name, Not, walk

_CHUNK = 2**22  # numbers in the candidates weighed at once
_ROUNDING = 1e-6  # of the largest value of a real feature (unbounded: of 100), what an equality may be off
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
        self.holds = [compiled(_rounded(c.tie.effect, schema), schema, "truth") for c in claims]
        self.columns = torch.tensor([c.column for c in claims])
        self.propose = Proposals(schema, [c.tie.effect for c in claims], self.names, particles)
        self.is_exact, self.particles = self.propose.is_exact, self.propose.particles

    def correct(self, predicted: dict[str, Distribution], rows: Rows, fired: Tensor, conflict: Tensor,
                rng: torch.Generator | None) -> None:
        """Correct `predicted` in place where ties fire; mark in `conflict [N, R]` where they cannot be had."""
        where = fired.index_select(1, self.columns)                                                        # [N, T]
        source = rng if rng is not None else torch.Generator().manual_seed(0)
        chosen = {n: predicted[n].mode().clone() for n in self.names}
        is_written = torch.zeros(rows.size, dtype=torch.bool)
        for some in where.any(1).nonzero()[:, 0].split(max(1, _CHUNK // self.propose.size)):
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
        candidates = self.propose(own, rows, some, source)
        p = next(iter(candidates.values())).shape[1]
        flat = {n: v.flatten(0, 1) for n, v in candidates.items()}
        satisfied = self._satisfied(followed(rows, some, p, flat), m, p)                                 # [M, P, T]
        score = sum((_log_prob(repeated(d, p), flat[n]).view(m, p) for n, d in own.items()), torch.zeros(m, p))
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

    def _satisfied(self, rows: Rows, m: int, p: int) -> Tensor:
        return torch.stack([holds(rows).view(m, p) for holds in self.holds], -1)


def _rounded(effect: Expression, schema: Schema) -> Expression:
    """The effect with every equality of real features up to the rounding of float32."""
    match effect:
        case Compare(operators=operators, within=None) if "==" in operators:
            names = [n.name for n in walk(effect) if isinstance(n, Name) and n.primed]
            reals = [schema.named[n] for n in names if schema.named[n].kind == "real"]
            largest = max((abs(bound) for f in reals for bound in (f.low, f.high)), default=0.0)
            within = _ROUNDING * (largest if math.isfinite(largest) else 100.0)
            return effect.model_copy(update={"within": within}) if reals else effect
        case Logical(operands=operands):
            return effect.model_copy(update={"operands": tuple(_rounded(o, schema) for o in operands)})
        case Not(operand=operand):
            return effect.model_copy(update={"operand": _rounded(operand, schema)})
    return effect


def _log_prob(own: Distribution, value: Tensor) -> Tensor:
    """Log-probability of whole values `[N, *shape]`, -inf for what was ruled out: `[N]`."""
    if isinstance(own, Categorical):
        picked = own.possible().gather(-1, encode(own.feature, value)[..., None])[..., 0]
        return picked.flatten(1).sum(1) if picked.dim() > 1 else picked
    if isinstance(own, Board) or own.low is None or own.high is None:
        return own.log_prob(value)
    outside = (value < own.low) | (value > own.high)
    return own.log_prob(value).masked_fill(outside.flatten(1).any(1) if outside.dim() > 1 else outside, -torch.inf)
