"""All claims on one place, corrected together: a product of experts in closed form.

A place is a distribution of one value a row; the claims on it come strongest first. Weights are applied first, then
what is certain, which nothing soft undoes, last the probabilities that are exact. Hard claims that contradict each
other on a row are taken in by strength: one that would leave nothing possible loses there, and is reported.

N rows, K claims, U of them different claims that read the row, V values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..distributions import FLOOR, Board, Categorical, Distribution, Normal, encode, jeffrey
from ..schema import Feature
from .codes import Rows
from .effects import MISSING, Atom

Strength = tuple[Literal["hard", "weight", "probability"], float]
_CHUNK = 4096  # rows whose contradictions are resolved at once
_SWEEPS = 16
_COMPARE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "==": torch.eq, "!=": torch.ne, "<": torch.lt, "<=": torch.le, ">": torch.gt, ">=": torch.ge,
}


@dataclass(frozen=True)
class Claim:
    """An atom as one rule (`column`) claims it."""

    atom: Atom
    column: int
    strength: Strength


class Choice:
    """Claims on a place of V listed values."""

    def __init__(self, feature: Feature, claims: Sequence[Claim]) -> None:
        v, k = feature.cardinality or 0, len(claims)
        self.feature = replace(feature, shape=())
        self.size = v
        self.values = torch.arange(v) + feature.offset
        self.kinds = [c.strength[0] for c in claims]
        self.is_hard = torch.tensor([kind == "hard" for kind in self.kinds])
        amounts = torch.tensor([c.strength[1] for c in claims])
        unique: dict[object, tuple[Atom, list[int]]] = {}
        table, is_fixed = torch.zeros(k, v), torch.zeros(k, dtype=torch.bool)
        for i, claim in enumerate(claims):
            fixed = self._fixed(claim.atom)
            if fixed is not None:
                table[i], is_fixed[i] = fixed.float(), True
            else:
                unique.setdefault(claim.atom.key, (claim.atom, []))[1].append(i)
        # Equalities first: their operands are compared with the values in one go.
        read = sorted(unique.values(), key=lambda each: each[0].operation != "==")
        self.copies = [a for a, _ in read if a.operation == "=="]
        self.others = [a for a, _ in read if a.operation != "=="]
        self.reads = torch.zeros(k, len(read))
        for u, (_, members) in enumerate(read):
            self.reads[members, u] = 1.0
        self.table, self.is_fixed = table, is_fixed
        weights = amounts * torch.tensor([kind == "weight" for kind in self.kinds])
        hard = self.is_hard.float()
        # Votes: for each value, how many hard claims allow it; in the last column, how many there are.
        self.votes = torch.cat([table, is_fixed[:, None].float()], 1) * hard[:, None]
        self.bonus = table * weights[:, None]
        self.read_votes, self.read_bonus = self.reads * hard[:, None], self.reads * weights[:, None]
        self.exact = torch.tensor([i for i in reversed(range(k)) if self.kinds[i] == "probability"])
        self.chances = amounts[self.exact] if len(self.exact) else amounts[:0]

    def correct(self, own: Categorical, fired: Tensor, rows: Rows) -> tuple[Categorical, Tensor | None]:
        """Correct where `fired [N, K]`; also return where a hard claim lost, `[N, K]`, None if none did."""
        lost, f = None, fired.float()
        masks, valid = self._masks(rows) if self.reads.shape[1] else (None, None)
        if "weight" in self.kinds:
            bonus = f @ self.bonus                                                                         # [N, V]
            if masks is not None and valid is not None:
                bonus += ((f @ self.read_bonus) * valid)[..., None].mul(masks).sum(1)
            own = own.tilt((bonus != 0).any(1), bonus)
        if "hard" in self.kinds:
            votes = f @ self.votes
            if masks is not None and valid is not None:
                claims = (f @ self.read_votes) * valid
                votes[:, :-1] += claims[..., None].mul(masks).sum(1)
                votes[:, -1] += claims.sum(1)
            asked = votes[:, -1:]
            allowed, where = votes[:, :-1] >= asked, asked[:, 0] > 0
            stuck = where & ~allowed.any(1)
            if bool(stuck.any()):
                lost = torch.zeros_like(fired)
                for some in stuck.nonzero()[:, 0].split(_CHUNK):
                    every = self._allowed(masks, valid, some)
                    kept, allowed[some] = _settled(fired[some] & self.is_hard, every)
                    lost[some] = fired[some] & self.is_hard & ~kept
            own = _restricted(own, where, allowed)
        if len(self.exact):
            own = self._with_chances(own, fired[:, self.exact], masks, valid)
        return own, lost

    def allowed(self, rows: Rows) -> Tensor:
        """Which values each claim allows, `[N, K, V]`; one that says nothing of a row allows all."""
        masks, valid = self._masks(rows) if self.reads.shape[1] else (None, None)
        return self._allowed(masks, valid, torch.arange(rows.size))

    def _fixed(self, atom: Atom) -> Tensor | None:
        """The values `[V]` that an atom allows on every row, None if that depends on the row."""
        constants = [o.constant for o in atom.operands]
        if any(c is None for c in constants):
            return None
        if atom.operation == "in":
            return torch.isin(self.values, torch.tensor(constants).long())
        wanted = torch.tensor(constants)
        if atom.operation == "==":
            wanted = encode(self.feature, wanted) + self.feature.offset
        return _COMPARE[atom.operation](self.values, wanted)

    def _masks(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """What the claims that read the row allow, `[N, U, V]`, and where they say anything, `[N, U]`."""
        masks = torch.empty(rows.size, self.reads.shape[1], self.size, dtype=torch.bool)
        valid = torch.ones(rows.size, self.reads.shape[1], dtype=torch.bool)
        if self.copies:
            wanted = torch.stack([a.operands[0].run(rows).float() for a in self.copies], 1)            # [N, copies]
            said = wanted == wanted if self.feature.kind != "category" else wanted != MISSING
            valid[:, :len(self.copies)] = said
            codes = encode(self.feature, wanted.masked_fill(~said, 0.0))
            torch.eq(torch.arange(self.size), codes[..., None], out=masks[:, :len(self.copies)])
        for u, atom in enumerate(self.others, len(self.copies)):
            if atom.operation == "such":
                masks[:, u] = self._tried(atom, rows)
            elif atom.operation == "in":
                members = torch.stack([o.run(rows) for o in atom.operands], 1)
                masks[:, u] = (self.values == members[..., None]).any(1)
            else:
                masks[:, u] = _COMPARE[atom.operation](self.values, atom.operands[0].run(rows)[:, None])
        return masks, valid

    def _tried(self, atom: Atom, rows: Rows) -> Tensor:
        """With which next values an expression holds, `[N, V]`, each tried in turn."""
        name, run = atom.place.target, atom.operands[0].run
        values = self.values.to(self.feature.dtype)
        return torch.stack([run(rows.followed_by({**(rows.next or {}), name: v.expand(rows.size)})) for v in values], 1)

    def _allowed(self, masks: Tensor | None, valid: Tensor | None, some: Tensor) -> Tensor:
        """Which values each claim allows on `some [M]` rows: `[M, K, V]`."""
        every = (self.table > 0).expand(len(some), -1, -1)
        if masks is None or valid is None:
            return every
        mine = (masks | ~valid[..., None])[some][:, self.reads.argmax(1)]
        return torch.where(self.is_fixed[None, :, None], every, mine)

    def _with_chances(self, own: Categorical, fired: Tensor, masks: Tensor | None, valid: Tensor | None
                      ) -> Categorical:
        """Give every event that fired its probability: one after the other, the strongest last, and where several
        fire on one row again and again (iterative proportional fitting, Deming & Stephan 1940)."""
        turn = fired.cumsum(1) * fired
        most = int(turn.max())
        logp, changed = own.possible(), torch.zeros(len(fired), dtype=torch.bool)
        events = (self.table > 0)[self.exact]
        for k in list(range(1, most + 1)) * (_SWEEPS if most > 1 else 1):
            is_turn = turn == k
            chosen, where = is_turn.float().argmax(1), is_turn.any(1)
            event = events[chosen]
            if masks is not None and valid is not None:
                claim = self.exact[chosen]
                mine = self.reads.argmax(1)[claim]
                row = torch.arange(len(fired))
                event = torch.where(self.is_fixed[claim][:, None], event, masks[row, mine])
                where = where & (self.is_fixed[claim] | valid[row, mine])
            mixed, usable = jeffrey(logp, event, self.chances[chosen])
            where = where & usable
            logp, changed = torch.where(where[:, None], mixed, logp), changed | where
        return replace(own, logits=torch.where(changed[:, None], logp, own.logits))


class Measure:
    """Claims on a place that is a real or an unbounded integer."""

    def __init__(self, feature: Feature, claims: Sequence[Claim]) -> None:
        self.feature, self.claims = feature, claims
        kinds = [c.strength[0] for c in claims]
        operations = [c.atom.operation for c in claims]
        self.is_hard = torch.tensor([k == "hard" for k in kinds])
        self.weights = torch.tensor([c.strength[1] if c.strength[0] == "weight" else 0.0 for c in claims])
        self.within = torch.tensor([c.atom.within or 0.0 for c in claims])
        self.pins = torch.tensor([o in ("==", "!=", "in") for o in operations])
        self.has_low = torch.tensor([o in (">", ">=") for o in operations]) | self.pins
        self.has_high = torch.tensor([o in ("<", "<=") for o in operations]) | self.pins
        strict = torch.tensor([{"<": -1.0, ">": 1.0}.get(o, 0.0) for o in operations])
        self.strict, self.toward = strict, strict * torch.inf
        self.precision = self.weights / torch.where(self.within > 0, self.within, scale(feature)).square()
        self.is_leaning = (self.weights > 0) & ~self.pins
        self.sign = torch.where(self.has_low, 1.0, -1.0)

    def correct(self, own: Normal, fired: Tensor, rows: Rows) -> tuple[Normal, Tensor | None]:
        """As `Choice.correct`; of what the hard claims leave, the mean goes to the nearest value."""
        values = self._values(own, rows)                                                                   # [N, K]
        fired, lost = fired & ~values.isnan(), None
        values = values.nan_to_num()
        if bool((self.weights > 0).any()):
            own = self._weighed(own, fired, values)
        if bool(self.is_hard.any()):
            low, high = self._bounds(values)
            hard = fired & self.is_hard
            least = low.masked_fill(~hard, -torch.inf).amax(1)
            most = high.masked_fill(~hard, torch.inf).amin(1)
            stuck = least > most
            if bool(stuck.any()):
                some = stuck.nonzero()[:, 0]
                kept = _consistent(hard[some], low[some], high[some])
                lost = torch.zeros_like(hard)
                lost[some] = hard[some] & ~kept
                hard = hard & ~lost
                least = low.masked_fill(~hard, -torch.inf).amax(1)
                most = high.masked_fill(~hard, torch.inf).amin(1)
            own = own.clip(hard.any(1), least, most)
            is_set = (hard & self.pins & (self.within == 0)).any(1)
            own = replace(own, std=torch.where(is_set, own.std * 1e-3, own.std))
        return own, lost

    def intervals(self, own: Normal, rows: Rows) -> tuple[Tensor, Tensor]:
        """The least and the greatest value that each claim allows, both `[N, K]`; NaN where it says nothing."""
        return self._bounds(self._values(own, rows))

    def _values(self, own: Normal, rows: Rows) -> Tensor:
        """What each claim compares with, `[N, K]`; NaN where it says nothing of a row."""
        found: dict[object, Tensor] = {}
        columns = []
        for claim in self.claims:
            atom = claim.atom
            if atom.key not in found:
                read = [o.run(rows).float() for o in atom.operands]
                if atom.operation == "in":
                    members = torch.stack(read, -1)
                    nearest = (members - own.mean[..., None]).abs().argmin(-1, keepdim=True)
                    read = [members.gather(-1, nearest)[..., 0]]
                elif atom.operation == "!=":  # of a number without bounds: the next one, where it is just this
                    read = [torch.where(own.mode() == read[0], read[0] + 1, torch.nan)]
                found[atom.key] = read[0]
            columns.append(found[atom.key])
        return torch.stack(columns, 1)

    def _bounds(self, values: Tensor) -> tuple[Tensor, Tensor]:
        if self.feature.kind == "integer":
            up, down = values.ceil(), values.floor()
            low = torch.where(self.strict > 0, torch.where(up == values, values + 1, up), up)
            high = torch.where(self.strict < 0, torch.where(down == values, values - 1, down), down)
            low, high = low - self.within, high + self.within
        else:
            edge = torch.where(self.strict != 0, torch.nextafter(values, self.toward.expand_as(values)), values)
            low, high = edge - self.within, edge + self.within
        return torch.where(self.has_low, low, -torch.inf), torch.where(self.has_high, high, torch.inf)

    def _weighed(self, own: Normal, fired: Tensor, values: Tensor) -> Normal:
        """Soft equalities as one precision-weighted mean; then soft bounds, the weakest first."""
        pulls = fired * (self.precision * self.pins)                                                       # [N, K]
        total = pulls.sum(1)
        center = (pulls * values).sum(1) / total.clamp_min(1e-30)
        own = own.fuse(total > 0, center, total.clamp_min(1e-30).rsqrt())
        leaning = (fired & self.is_leaning).flip(1)
        turn = leaning.cumsum(1) * leaning
        bounds = torch.where(self.has_low, *self._bounds(values)).flip(1)
        for k in range(1, int(turn.max()) + 1):
            chosen = (turn == k).float().argmax(1)
            weight, sign = self.weights.flip(0)[chosen], self.sign.flip(0)[chosen]
            bound = bounds.gather(1, chosen[:, None])[:, 0]
            own = own.lean((turn == k).any(1), bound, sign, weight)
        return own


class Whole:
    """Claims that a whole array stays as it was."""

    def __init__(self, feature: Feature, claims: Sequence[Claim]) -> None:
        self.feature, self.value = feature, claims[0].atom.operands[0].run
        self.is_hard = torch.tensor([c.strength[0] == "hard" for c in claims])
        self.weights = torch.tensor([c.strength[1] if c.strength[0] == "weight" else 0.0 for c in claims])

    def correct(self, own: Distribution, fired: Tensor, rows: Rows) -> tuple[Distribution, None]:
        value, weight = self.value(rows), fired.float() @ self.weights
        if bool((weight > 0).any()):
            own = likelier(own, weight > 0, value, weight)
        return own.set((fired & self.is_hard).any(1), value), None


def likelier(own: Distribution, where: Tensor, value: Tensor, weight: Tensor) -> Distribution:
    """Make `value [N, *shape]` likelier by `weight [N]`, on the rows `where [N]`."""
    wide = weight.view(-1, *[1] * (value.dim() - 1))
    if isinstance(own, Normal):
        return own.fuse(where, value, scale(own.feature) / wide.clamp_min(1e-30).sqrt())
    if isinstance(own, Board):
        return own.tilt(where, value, weight)
    return own.tilt(where, F.one_hot(encode(own.feature, value), own.logits.shape[-1]) * wide[..., None])


def scale(feature: Feature) -> float:
    """A hundredth of the feature's range: what a soft equality without a tolerance means."""
    span = feature.high - feature.low
    return 0.01 * span if span < float("inf") else 0.01


def _restricted(own: Categorical, where: Tensor, allowed: Tensor) -> Categorical:
    """Rule out what is not `allowed [N, V]`. Where the model gave all that is left less than the floor, the floor
    decides, and of an integer it favours what is nearest to the model's own value."""
    out = own.restrict(where, allowed)[0]
    if own.feature.kind != "integer":
        return out
    left = (own.logits.softmax(-1) * allowed).sum(-1)
    distance = (torch.arange(allowed.shape[1]) - own.codes[:, None]).abs()
    return replace(out, logits=torch.where((where & (left < FLOOR))[:, None], out.logits - distance, out.logits))


def _settled(hard: Tensor, allowed: Tensor) -> tuple[Tensor, Tensor]:
    """Which of the claims `hard [M, K]` stand, taken in from the first on wherever they leave a value possible, and the
    values `[M, V]` that these leave. Each claim allows `allowed [M, K, V]`."""
    k, kept = hard.shape[1], hard.clone()
    order = torch.arange(k, dtype=torch.int32)[None, :, None]
    while True:
        # A value falls to the first claim that rules it out; the claim to which the last one falls has to yield.
        falls = torch.where(kept[..., None] & ~allowed, order, k).amin(1)                                  # [M, V]
        yields = falls.amax(1)                                                                             # [M]
        stuck = yields < k
        if not bool(stuck.any()):
            return kept, falls == k
        kept[stuck, yields[stuck].long()] = False


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
