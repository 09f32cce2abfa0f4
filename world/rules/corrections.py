"""All claims on one place, corrected together: a product of experts in closed form.

A place is a distribution of one value a row; the claims on it come strongest first. Weights are applied first, then
what is certain, which nothing soft undoes, last the probabilities that are exact. Hard claims that contradict each
other on a row are taken in by strength: one that would leave nothing possible loses there, and is reported.

N rows, M of them on which a claim of the place fires, K claims, U different ones that depend on the row, V values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..distributions import FLOOR, Board, Distribution, Normal, encode, floored
from ..schema import Feature
from .codes import Rows
from .effects import MISSING, Atom

Strength = tuple[Literal["hard", "weight", "probability"], float]
_CHUNK = 4096  # rows whose contradictions are resolved at once
_SWEEPS = 8
_FAINTEST = -60.0  # log weight below which a value is no less likely, so that it stays possible in float32
_COMPARE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "==": torch.eq, "!=": torch.ne, "<": torch.lt, "<=": torch.le, ">": torch.gt, ">=": torch.ge,
}


@dataclass(frozen=True)
class Claim:
    """An atom as one rule (`column`) claims it."""

    atom: Atom
    column: int
    strength: Strength


@dataclass(frozen=True)
class Tally:
    """What the claims on one place ask of the M rows on which some fire: the log weights `bonus [M, V]`, if any; how
    many hard ones allow each value, `votes [M, V]`, of how many, `asked [M]`."""

    bonus: Tensor | None
    votes: Tensor
    asked: Tensor


class Choice:
    """Claims on a place of V listed values."""

    def __init__(self, feature: Feature, claims: Sequence[Claim]) -> None:
        v, k = feature.cardinality or 0, len(claims)
        self.feature, self.size = replace(feature, shape=()), v
        self.values = torch.arange(v) + feature.offset
        kinds = [c.strength[0] for c in claims]
        amounts = torch.tensor([c.strength[1] for c in claims])
        self.is_hard = torch.tensor([kind == "hard" for kind in kinds])
        self.has_weights = "weight" in kinds
        unique: dict[object, tuple[Atom, list[int]]] = {}
        self.table, self.is_fixed = torch.zeros(k, v, dtype=torch.bool), torch.zeros(k, dtype=torch.bool)
        for i, claim in enumerate(claims):
            fixed = self._fixed(claim.atom)
            if fixed is not None:
                self.table[i], self.is_fixed[i] = fixed, True
            else:
                unique.setdefault(claim.atom.key, (claim.atom, []))[1].append(i)
        # Equalities first: their operands are compared with the values in one go.
        read = sorted(unique.values(), key=lambda each: each[0].operation != "==")
        self.copies = [a for a, _ in read if a.operation == "=="]
        self.others = [a for a, _ in read if a.operation != "=="]
        reads = torch.zeros(k, len(read))
        for u, (_, members) in enumerate(read):
            reads[members, u] = 1.0
        self.reader = reads.argmax(1) if len(read) else torch.zeros(k, dtype=torch.int64)
        hard, weights = self.is_hard.float()[:, None], (amounts * torch.tensor([k == "weight" for k in kinds]))[:, None]
        self.votes = torch.cat([self.table, self.is_fixed[:, None]], 1) * hard
        self.bonus = self.table * weights
        self.read_votes, self.read_bonus = reads * hard, reads * weights
        self.exact = torch.tensor([i for i in reversed(range(k)) if kinds[i] == "probability"], dtype=torch.int64)
        self.chances = amounts[self.exact]
        self.has_chances = len(self.exact) > 0
        self.is_ordered = feature.kind == "integer"

    def tally(self, fired: Tensor, read: Read | None) -> Tally:
        """Count what the claims `fired [M, K]` ask for."""
        f = fired.float()
        votes = f @ self.votes
        bonus = f @ self.bonus if self.has_weights else None
        votes, asked = votes[:, :-1], votes[:, -1]
        if read is not None:
            masks = read.masks.float()
            hard = (f @ self.read_votes) * read.valid                                                      # [M, U]
            votes, asked = votes + (hard[..., None] * masks).sum(1), asked + hard.sum(1)
            if bonus is not None:
                bonus = bonus + (((f @ self.read_bonus) * read.valid)[..., None] * masks).sum(1)
        return Tally(bonus, votes, asked)

    def read(self, rows: Rows, some: Tensor) -> Read | None:
        """What the claims that depend on the row say on `some [M]` rows; None if there are none."""
        if not (self.copies or self.others):
            return None
        masks = torch.empty(some.shape[0], len(self.copies) + len(self.others), self.size, dtype=torch.bool)
        valid = torch.ones(masks.shape[:2], dtype=torch.bool)
        if self.copies:
            wanted = torch.stack([a.operands[0].run(rows).index_select(0, some).float() for a in self.copies], 1)
            said = wanted != MISSING if self.feature.kind == "category" else ~wanted.isnan()
            valid[:, :len(self.copies)] = said
            codes = encode(self.feature, wanted.masked_fill_(~said, 0.0))
            masks[:, :len(self.copies)] = codes[..., None] == torch.arange(self.size)
        for u, atom in enumerate(self.others, len(self.copies)):
            if atom.operation == "such":
                masks[:, u] = self._tried(atom, rows)[some]
            elif atom.operation == "in":
                members = torch.stack([o.run(rows)[some] for o in atom.operands], 1)
                masks[:, u] = (self.values == members[..., None]).any(1)
            else:
                masks[:, u] = _COMPARE[atom.operation](self.values, atom.operands[0].run(rows)[some][:, None])
        return Read(masks, valid)

    def allowed(self, read: Read | None, m: int) -> Tensor:
        """Which values each claim allows, `[M, K, V]`; one that says nothing of a row allows all."""
        every = self.table.expand(m, -1, -1)
        if read is None:
            return every
        return torch.where(self.is_fixed[None, :, None], every, (read.masks | ~read.valid[..., None])[:, self.reader])

    def events(self, is_turn: Tensor, read: Read | None) -> tuple[Tensor, Tensor, Tensor]:
        """The exact claims whose turn it is, one a row at most: their events `[m, V]`, their probabilities `[m]`, and
        the rows `[m]` on which they are."""
        some, chosen = is_turn.nonzero().unbind(1)
        claim = self.exact[chosen]
        if read is None:
            return self.table[claim], self.chances[chosen], some
        fixed, reader = self.is_fixed[claim], self.reader[claim]
        event = torch.where(fixed[:, None], self.table[claim], read.masks[some, reader])
        said = (fixed | read.valid[some, reader]).nonzero()[:, 0]
        return event[said], self.chances[chosen][said], some[said]

    def _fixed(self, atom: Atom) -> Tensor | None:
        """The values `[V]` that an atom allows on every row, None if that depends on the row."""
        constants = [o.constant for o in atom.operands]
        if any(c is None for c in constants):
            return None
        wanted = torch.tensor(constants)
        if atom.operation == "in":
            return torch.isin(self.values, wanted)
        if atom.operation == "==":
            wanted = encode(self.feature, wanted) + self.feature.offset
        return _COMPARE[atom.operation](self.values, wanted)

    def _tried(self, atom: Atom, rows: Rows) -> Tensor:
        """With which next values an expression holds, `[N, V]`, each tried in turn."""
        name, run = atom.place.target, atom.operands[0].run
        values = self.values.to(self.feature.dtype)
        return torch.stack([run(rows.followed_by({**(rows.next or {}), name: v.expand(rows.size)})) for v in values], 1)


@dataclass(frozen=True)
class Read:
    """What claims that depend on the row allow, `masks [M, U, V]`, and where they say anything, `valid [M, U]`."""

    masks: Tensor
    valid: Tensor


@dataclass(frozen=True)
class Chosen:
    """The M rows of one place on which claims fire: `logits [M, V]` of what is predicted there, and `fired [M, K]`."""

    choice: Choice
    logits: Tensor
    fired: Tensor
    read: Read | None


def choose(parts: Sequence[Chosen]) -> tuple[list[Tensor], list[Tensor | None]]:
    """Correct several places at once; their rows stand below each other, what a narrower one lacks is ruled out.

    Returns each place's logits `[M, V]`, and where its hard claims lost `[M, K]` (None where none did). What all hard
    claims that stand allow is possible from then on, even if the prediction had ruled it out.
    """
    sizes, width = [p.logits.shape[0] for p in parts], max(p.choice.size for p in parts)
    tallies = [p.choice.tally(p.fired, p.read) for p in parts]
    logits = _stacked([p.logits for p in parts], sizes, width, -torch.inf)
    p, likely = floored(logits)
    asked = torch.cat([t.asked for t in tallies])
    changed = asked > 0
    if any(t.bonus is not None for t in tallies):
        bonus = _stacked([t.asked[:, None] * 0.0 if t.bonus is None else t.bonus for t in tallies], sizes, width, 0.0)
        best = bonus.amax(1, keepdim=True)
        changed |= best[:, 0] > 0
        p *= (bonus - best).clamp_min_(_FAINTEST).exp_()
    lost: list[Tensor | None] = [None] * len(parts)
    allowed = _stacked([t.votes for t in tallies], sizes, width, -1.0) >= asked[:, None]
    stuck = ~allowed.any(1)
    if bool(stuck.any()):
        for i, (part, mine, rest) in enumerate(zip(parts, stuck.split(sizes), allowed.split(sizes), strict=True)):
            if bool(mine.any()):
                lost[i] = _yielding(part, mine, rest)
    # Where the model gave all that is left less than the floor, the floor decides: of values that have an order it
    # favours those nearest to the model's own.
    ordered = torch.repeat_interleave(torch.tensor([p.choice.is_ordered for p in parts]), torch.tensor(sizes))
    near = (ordered & ((likely * allowed).sum(1) < FLOOR)).nonzero()[:, 0]
    p *= allowed
    gone = p.sum(1, keepdim=True) <= 0
    p = torch.where(gone, allowed.float(), p)
    p[near] *= torch.exp(-(torch.arange(width) - logits[near].argmax(1)[:, None]).abs().float())
    if any(part.choice.has_chances for part in parts):
        p, touched = _with_chances(p / p.sum(1, keepdim=True), parts, sizes, width)
        changed |= touched
    new = torch.where(changed[:, None], p.log(), logits)
    return [x[:, :part.choice.size] for x, part in zip(new.split(sizes), parts, strict=True)], lost


def _stacked(parts: Sequence[Tensor], sizes: Sequence[int], width: int, filling: float) -> Tensor:
    """Tensors `[M, V]` below each other, `[sum of M, width]`."""
    out = torch.full((sum(sizes), width), filling)
    for part, into in zip(parts, out.split(list(sizes)), strict=True):
        into[:, :part.shape[1]] = part
    return out


def _yielding(part: Chosen, stuck: Tensor, allowed: Tensor) -> Tensor:
    """Settle the rows `stuck [M]`: write what is left into `allowed [M, V]`, return where claims lost, `[M, K]`."""
    lost, hard = torch.zeros_like(part.fired), part.fired & part.choice.is_hard
    for some in stuck.nonzero()[:, 0].split(_CHUNK):
        read = part.read and Read(part.read.masks[some], part.read.valid[some])
        kept, left = _settled(hard[some], part.choice.allowed(read, len(some)))
        lost[some] = hard[some] & ~kept
        allowed[some, :part.choice.size] = left
    return lost


def _with_chances(p: Tensor, parts: Sequence[Chosen], sizes: Sequence[int], width: int) -> tuple[Tensor, Tensor]:
    """Give every event that fired its probability in `p [M, V]`, all else in its own proportions (Jeffrey 1965): one
    after the other, the strongest last, and where several fire on one row again and again (iterative proportional
    fitting, Deming & Stephan 1940). Also return the rows that changed, `[M]`.

    An event that is impossible, or certain, is left alone.
    """
    turns: list[Tensor] = []
    for part in parts:
        fired = part.fired.index_select(1, part.choice.exact)
        turns.append(fired.cumsum(1) * fired)
    most = [int(t.amax()) if t.shape[1] else 0 for t in turns]
    counts = torch.cat([t.amax(1) if t.shape[1] else torch.zeros(n, dtype=torch.int64)
                        for t, n in zip(turns, sizes, strict=True)])
    steps: list[tuple[Tensor, Tensor, Tensor]] = []
    for k in range(1, max(most) + 1):
        found = [part.choice.events(turn == k, part.read) for part, turn, m in zip(parts, turns, most, strict=True)
                 if m >= k]
        ns = [event.shape[0] for event, _, _ in found]
        starts = [sum(sizes[:i]) for i, m in enumerate(most) if m >= k]
        where = torch.cat([some + start for (_, _, some), start in zip(found, starts, strict=True)])
        steps.append((where, _stacked([event for event, _, _ in found], ns, width, 0.0),
                      torch.cat([chance for _, chance, _ in found])[:, None]))
    changed = torch.zeros(p.shape[0], dtype=torch.bool)
    for sweep in range(_SWEEPS if len(steps) > 1 else 1):
        if sweep == 1:  # from here on only the rows with several events
            again = [(counts[where] > 1).nonzero()[:, 0] for where, _, _ in steps]
            steps = [(w[i], e[i], c[i]) for (w, e, c), i in zip(steps, again, strict=True)]
        for where, event, chance in steps:
            own = p.index_select(0, where)
            inside = own * event
            mass, total = inside.sum(1, keepdim=True), own.sum(1, keepdim=True)
            rest = own - inside
            left = rest.sum(1, keepdim=True)
            usable = (mass > 0) & (left > 0)
            mixed = inside * (chance / mass) + rest * ((1 - chance).clamp_min(1e-6) / left)
            p.index_copy_(0, where, torch.where(usable, mixed, own / total))
            changed[where] |= usable[:, 0]
    return p, changed


class Measure:
    """Claims on a place that is a real or an unbounded integer."""

    def __init__(self, feature: Feature, claims: Sequence[Claim]) -> None:
        self.feature, self.claims = feature, claims
        kinds = [c.strength[0] for c in claims]
        operations = [c.atom.operation for c in claims]
        self.is_hard = torch.tensor([k == "hard" for k in kinds])
        self.weights = torch.tensor([c.strength[1] if c.strength[0] == "weight" else 0.0 for c in claims])
        self.within = torch.tensor([c.atom.within or 0.0 for c in claims])
        self.is_copy = torch.tensor([o == "==" for o in operations])
        self.pins = torch.tensor([o in ("==", "!=", "in") for o in operations])
        self.has_low = torch.tensor([o in (">", ">=") for o in operations]) | self.pins
        self.has_high = torch.tensor([o in ("<", "<=") for o in operations]) | self.pins
        strict = torch.tensor([{"<": -1.0, ">": 1.0}.get(o, 0.0) for o in operations])
        self.strict, self.toward = strict, strict * torch.inf
        self.precision = self.weights / torch.where(self.within > 0, self.within, scale(feature)).square()
        self.is_leaning = (self.weights > 0) & ~self.pins
        self.has_weights, self.has_hard = "weight" in kinds, "hard" in kinds
        self.sign = torch.where(self.has_low, 1.0, -1.0)

    def correct(self, own: Normal, fired: Tensor, rows: Rows, some: Tensor) -> tuple[Normal, Tensor | None]:
        """Correct the prediction of `some [M]` rows, on which claims `fired [M, K]`; return it, and where hard claims
        lost. Of what the hard ones leave, the mean goes to the nearest value."""
        values = self._values(own, rows, some)                                                             # [M, K]
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
        return replace(own, mean=own.mean.masked_fill(broken, torch.nan)), lost

    def intervals(self, own: Normal, rows: Rows, some: Tensor) -> tuple[Tensor, Tensor]:
        """The least and the greatest value that each claim allows, both `[M, K]`; NaN where it says nothing."""
        return self._bounds(self._values(own, rows, some))

    def _values(self, own: Normal, rows: Rows, some: Tensor) -> Tensor:
        """What each claim compares with, `[M, K]`; NaN where it says nothing of a row."""
        found: dict[object, Tensor] = {}
        columns = []
        for claim in self.claims:
            atom = claim.atom
            if atom.key not in found:
                read = [o.run(rows).index_select(0, some).float() for o in atom.operands]
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
        if not bool(leaning.any()):
            return own
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

    def correct(self, own: Distribution, fired: Tensor, rows: Rows) -> Distribution:
        value, weight = self.value(rows), fired.float() @ self.weights
        if bool((weight > 0).any()):
            own = likelier(own, weight > 0, value, weight)
        return own.set((fired & self.is_hard).any(1), value)


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
