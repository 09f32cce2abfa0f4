"""All claims on places that are reals or unbounded integers, corrected together in closed form.

Weights are applied first, then what is certain: of what hard claims leave, the mean goes to the nearest value. Hard
claims that contradict each other on a row are taken in by strength; one that leaves nothing loses there.

N rows, G places, K claims of the place that has most; N comes last, so that operations run along it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..distributions import Normal
from ..schema import Feature
from .claims import Claim
from .codes import Rows
from .wholes import scale


class Quantities:
    """Claims on G places that are numbers, each given with its claims, strongest first."""

    def __init__(self, places: Sequence[tuple[Feature, Sequence[Claim]]]) -> None:
        self.features = [feature for feature, _ in places]
        k = max(len(claims) for _, claims in places)
        self.shape = len(places), k
        # A place with fewer claims than another repeats its first one, which does not fire there.
        self.claims = [c for _, claims in places for c in [*claims, *[claims[0]] * (k - len(claims))]]
        self.place = torch.arange(len(places)).repeat_interleave(k)
        self.columns = torch.tensor([c.column for c in self.claims])
        self.is_there = (torch.arange(k) < torch.tensor([len(claims) for _, claims in places])[:, None])[..., None]
        operations = [c.atom.operation for c in self.claims]
        self.is_hard = self._flags([c.strength[0] == "hard" for c in self.claims])
        self.weights = self._flags([c.strength[1] if c.strength[0] == "weight" else 0.0 for c in self.claims])
        self.within = self._flags([c.atom.within or 0.0 for c in self.claims])
        self.is_copy = self._flags([o == "==" for o in operations])
        self.pins = self._flags([o in ("==", "!=", "in") for o in operations])
        self.has_low = self._flags([o in (">", ">=") for o in operations]) | self.pins
        self.has_high = self._flags([o in ("<", "<=") for o in operations]) | self.pins
        self.strict = self._flags([{"<": -1.0, ">": 1.0}.get(o, 0.0) for o in operations])
        self.toward = self.strict * torch.inf
        self.is_integral = torch.tensor([f.kind == "integer" for f in self.features])
        widths = torch.tensor([scale(f) for f in self.features])[:, None, None]
        self.precision = self.weights / torch.where(self.within > 0, self.within, widths).square()
        self.is_leaning = (self.weights > 0) & ~self.pins
        self.sign = torch.where(self.has_low, 1.0, -1.0)
        self.has_weights, self.has_hard = bool(self.weights.any()), bool(self.is_hard.any())
        self.has_integers = bool(self.is_integral.any())
        self.has_leaning = bool(self.is_leaning.any())
        atoms = {(g, c.atom.key): c.atom for g, c in zip(self.place.tolist(), self.claims, strict=True)}
        self.atoms = [(g, atom) for (g, _), atom in atoms.items()]
        keys = {key: u for u, key in enumerate(atoms)}
        self.reader = torch.tensor([keys[g, c.atom.key] for g, c in zip(self.place.tolist(), self.claims, strict=True)])

    def correct(self, own: Sequence[Normal], fired: Tensor, rows: Rows
                ) -> tuple[list[Normal], tuple[Tensor, Tensor] | None]:
        """Correct each place where claims `fired [N, G * K]`; also the rows and claims that lost there, if any."""
        fired = fired.t().contiguous().view(*self.shape, -1) & self.is_there
        hit = fired.view(len(own), -1).any(1).tolist()
        new, lost = self._product(self.stacked(own), fired, self._values(own, rows))
        parts = [[None] * len(own) if x is None else x.unbind() for x in (new.mean, new.std, new.low, new.high)]
        out = [Normal(d.feature, *(p[g] for p in parts)) if hit[g] else d    # type: ignore[arg-type]
               for g, d in enumerate(own)]
        if lost is None:
            return out, None
        row, claim = lost.flatten(0, 1).t().nonzero(as_tuple=True)
        return out, (row, claim)

    def intervals(self, own: Sequence[Normal], rows: Rows) -> tuple[Tensor, Tensor]:
        """The least and the greatest value that each claim allows, both `[G, K, N]`; NaN where it says nothing."""
        return self._bounds(self._values(own, rows))

    @staticmethod
    def stacked(own: Sequence[Normal]) -> Normal:
        """The places as one distribution, `[G, N]`."""
        def bound(parts: Sequence[Tensor | None], otherwise: float) -> Tensor | None:
            if all(p is None for p in parts):
                return None
            return torch.stack([torch.full_like(d.mean, otherwise) if p is None else p
                                for d, p in zip(own, parts, strict=True)])

        return Normal(own[0].feature, torch.stack([d.mean for d in own]), torch.stack([d.std for d in own]),
                      bound([d.low for d in own], -torch.inf), bound([d.high for d in own], torch.inf))

    def _product(self, own: Normal, fired: Tensor, values: Tensor) -> tuple[Normal, Tensor | None]:
        missing = values.isnan()
        # A value that is no number (0 / 0) is passed on, so that whoever reads it is warned.
        broken = (fired & missing & self.is_copy & self.is_hard).any(1)
        fired, lost = fired & ~missing, None
        values = values.nan_to_num()
        if self.has_weights:
            own = self._weighed(own, fired, values)
        if self.has_hard:
            low, high = self._bounds(values)
            hard = fired & self.is_hard
            least = low.masked_fill(~hard, -torch.inf).amax(1)
            most = high.masked_fill(~hard, torch.inf).amin(1)
            place, row = (least > most).nonzero(as_tuple=True)
            if len(row):
                lost = torch.zeros_like(hard)
                mine = hard[place, :, row]
                lost[place, :, row] = mine & ~_consistent(mine, low[place, :, row], high[place, :, row])
                hard = hard & ~lost
                least = low.masked_fill(~hard, -torch.inf).amax(1)
                most = high.masked_fill(~hard, torch.inf).amin(1)
            own = own.clip(hard.any(1), least, most)
            is_set = (hard & (self.pins & (self.within == 0))).any(1)
            own = replace(own, std=torch.where(is_set, own.std * 1e-3, own.std))
        return replace(own, mean=own.mean.masked_fill(broken, torch.nan)), lost

    def _values(self, own: Sequence[Normal], rows: Rows) -> Tensor:
        """What each claim compares with, `[G, K, N]`; NaN where it says nothing of a row."""
        found = []
        for g, atom in self.atoms:
            read = [o.run(rows).float() for o in atom.operands]
            if atom.operation == "in":
                members = torch.stack(read, -1)
                nearest = (members - own[g].mean[..., None]).abs().argmin(-1, keepdim=True)
                read = [members.gather(-1, nearest)[..., 0]]
            elif atom.operation == "!=":  # of a number without bounds: the next one, where it is just this
                read = [torch.where(own[g].mode() == read[0], read[0] + 1, torch.nan)]
            found.append(read[0])
        return torch.stack(found).index_select(0, self.reader).view(*self.shape, -1)

    def _bounds(self, values: Tensor) -> tuple[Tensor, Tensor]:
        low = high = torch.where(self.strict != 0, torch.nextafter(values, self.toward.expand_as(values)), values)
        if self.has_integers:
            up, down, whole = values.ceil(), values.floor(), self.is_integral[:, None, None]
            up = torch.where((self.strict > 0) & (up == values), values + 1, up)
            down = torch.where((self.strict < 0) & (down == values), values - 1, down)
            low, high = torch.where(whole, up, low), torch.where(whole, down, high)
        low, high = low - self.within, high + self.within
        return torch.where(self.has_low, low, -torch.inf), torch.where(self.has_high, high, torch.inf)

    def _weighed(self, own: Normal, fired: Tensor, values: Tensor) -> Normal:
        """Soft equalities as one precision-weighted mean; then soft bounds, the weakest first."""
        pulls = fired * (self.precision * self.pins)                                                       # [G, K, N]
        total = pulls.sum(1)
        center = (pulls * values).sum(1) / total.clamp_min(1e-30)
        own = own.fuse(total > 0, center, total.clamp_min(1e-30).rsqrt())
        if not self.has_leaning:
            return own
        leaning = (fired & self.is_leaning).flip(1)
        turn = leaning.cumsum(1) * leaning
        bounds = torch.where(self.has_low, *self._bounds(values)).flip(1)
        each = torch.arange(len(self.features))[:, None]
        for k in range(1, int(turn.amax()) + 1 if len(turn) else 1):
            chosen = (turn == k).float().argmax(1)                                                         # [G, N]
            weight, sign = self.weights.flip(1)[each, chosen, 0], self.sign.flip(1)[each, chosen, 0]
            bound = bounds.gather(1, chosen[:, None])[:, 0]
            own = own.lean((turn == k).any(1), bound, sign, weight)
        return own

    def _flags(self, values: Sequence[float | bool]) -> Tensor:
        """One value a claim, `[G, K, 1]`."""
        return torch.tensor(values).view(*self.shape, 1)


def _consistent(hard: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Which of the claims `hard [M, K]` on an interval stand, taken in from the first on wherever one is left."""
    kept = hard.clone()
    while True:
        least = low.masked_fill(~kept, -torch.inf).cummax(1).values
        most = high.masked_fill(~kept, torch.inf).cummin(1).values
        empty = least > most
        stuck = empty.any(1)
        if not bool(stuck.any()):
            return kept
        kept[stuck, empty[stuck].float().argmax(1)] = False
