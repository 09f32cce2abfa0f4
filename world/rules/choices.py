"""All claims on places of listed values, corrected together: a product of experts in closed form.

On every row where it fires, a claim names one line of a table: the log weight that it gives each value, -inf where it
rules one out. A claim that reads the row (`x' == x + 1`, `hand' <= y`) has a line for each value that its operand may
have. What all rules ask of a place is the sum of the lines they name, so that neither rules nor places are looped over.

What is certain no weight undoes; probabilities, which are exact, come last. Hard claims that contradict each other on
a row are taken in by strength: one that would leave nothing possible loses there, and is reported.

N rows, G places, K claims, F firings (a claim on a row), C cells (a place on a row) on which any fires, L lines,
V values of the place that has most.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..distributions import FLOOR, Categorical, encode, floored
from ..schema import Feature
from .claims import Claim, Strength
from .codes import Rows
from .effects import MISSING, Atom

_CHUNK = 4096  # cells whose contradictions are resolved at once
_SWEEPS = 8
_FAINTEST = -60.0  # log weight below which a value is no less likely, so that it stays possible in float32
_COMPARE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "==": torch.eq, "!=": torch.ne, "<": torch.lt, "<=": torch.le, ">": torch.gt, ">=": torch.ge,
}


@dataclass(frozen=True)
class Lines:
    """What a claim may ask: the log weights `scores [L, V]` it gives, the values `allowed [L, V]` it is of, and
    whether it says anything, `says [L]`."""

    scores: Tensor
    allowed: Tensor
    says: Tensor

    @classmethod
    def of(cls, allowed: Tensor, strength: Strength, says: Tensor | None = None) -> Lines:
        kind, amount = strength
        scores = allowed * (amount if kind == "weight" else 0.0)
        if kind == "hard":
            scores = scores.masked_fill(~allowed, -torch.inf)
        return cls(scores, allowed, torch.ones(len(allowed), dtype=torch.bool) if says is None else says)

    @classmethod
    def joined(cls, parts: Sequence[Lines]) -> Lines:
        return cls(*(torch.cat(each) for each in zip(*((p.scores, p.allowed, p.says) for p in parts), strict=True)))


@dataclass(frozen=True)
class Firings:
    """The claims `claim [F]` that fire, strongest first within a cell, the `line [F]` each names, and the cell `at [F]`
    it is of; a cell's are the `count [C]` ones from `start [C]` on."""

    claim: Tensor
    line: Tensor
    at: Tensor
    start: Tensor
    count: Tensor


class Choices:
    """Claims on G places of listed values, each given with its claims, strongest first."""

    def __init__(self, places: Sequence[tuple[Feature, Sequence[Claim]]]) -> None:
        self.features = [feature for feature, _ in places]
        self.width = max(f.cardinality or 0 for f in self.features)
        self.claims = [c for _, claims in places for c in claims]
        self.place = torch.tensor([g for g, (_, claims) in enumerate(places) for _ in claims])
        self.columns = torch.tensor([c.column for c in self.claims])
        self.is_ordered = torch.tensor([f.kind == "integer" for f in self.features])
        self.is_value = torch.arange(self.width) < torch.tensor([f.cardinality for f in self.features])[:, None]
        self.is_exact = torch.tensor([c.strength[0] == "probability" for c in self.claims])
        self.chances = torch.tensor([c.strength[1] for c in self.claims])
        self.has_exact = bool(self.is_exact.any())
        self.read: dict[object, tuple[Atom, Feature]] = {}  # operands, by their codes
        self.tried: list[int] = []  # claims whose lines are made for the rows
        nothing = torch.zeros(1, self.width, dtype=torch.bool)
        parts, first = [Lines.of(nothing, ("weight", 0.0), torch.tensor([False]))], []
        for k, (g, claim) in enumerate(zip(self.place.tolist(), self.claims, strict=True)):
            lines = self._lines(claim, self.features[g])
            if lines is None:
                self.tried.append(k)
            elif len(lines.says) > 1:
                self.read.setdefault((g, claim.atom.operands[0].key), (claim.atom, self.features[g]))
            first.append(sum(len(p.says) for p in parts) if lines is not None else 0)
            parts += [lines] if lines is not None else []
        self.first, self.table = torch.tensor(first), Lines.joined(parts)
        # Which column of the codes a claim reads; the first is 0, for those that say the same of every row.
        keys = {key: 1 + u for u, key in enumerate(self.read)}
        self.reader = torch.tensor([
            1 + len(keys) + self.tried.index(k) if k in self.tried else
            0 if all(o.constant is not None for o in c.atom.operands) else keys[g, c.atom.operands[0].key]
            for k, (g, c) in enumerate(zip(self.place.tolist(), self.claims, strict=True))])
        self.offset = torch.tensor([2.0 * f.offset - 1 for _, f in self.read.values()])
        self.last = torch.tensor([2.0 * (f.cardinality or 0) for _, f in self.read.values()])

    def lines(self, rows: Rows) -> tuple[Tensor, Lines]:
        """The codes `[N, 1 + U]` that claims read, and the lines that they choose from by them."""
        codes, table = [torch.zeros(rows.size, 1, dtype=torch.int64)], self.table
        if self.read:
            wanted = torch.stack([atom.operands[0].run(rows).float() for atom, _ in self.read.values()], 1)
            code = torch.minimum((wanted.floor() + wanted.ceil() - self.offset).clamp_min_(0.0), self.last)
            codes.append(torch.where(code.isnan(), self.last + 1, code).long())
        if self.tried:
            more = [Lines.of(self._tried(k, rows), self.claims[k].strength) for k in self.tried]
            starts = len(table.says) + torch.arange(len(more)) * rows.size
            codes.append(starts + torch.arange(rows.size)[:, None])
            table = Lines.joined([table, *more])
        return torch.cat(codes, 1), table

    def stacked(self, own: Sequence[Categorical]) -> Tensor:
        """Logits `[N, G, V]`; what a place lacks is ruled out."""
        out = own[0].logits.new_full((len(own[0].logits), len(own), self.width), -torch.inf)
        for g, d in enumerate(own):
            out[:, g, :d.logits.shape[-1]] = d.logits
        return out

    def correct(self, own: Sequence[Categorical], fired: Tensor, rows: Rows
                ) -> tuple[list[Categorical], tuple[Tensor, Tensor] | None]:
        """Correct each place where claims `fired [N, K]`; also the rows and claims that lost there, if any.

        What all hard claims that stand allow is possible from then on, even if the prediction had ruled it out.
        """
        codes, table = self.lines(rows)
        row, claim = fired.nonzero(as_tuple=True)
        line = self.first.index_select(0, claim) + codes[row, self.reader.index_select(0, claim)]
        said = table.says.index_select(0, line).nonzero()[:, 0]
        row, claim, line = (x.index_select(0, said) for x in (row, claim, line))
        if not len(line):
            return list(own), None
        place = self.place.index_select(0, claim)
        cells, at, count = torch.unique_consecutive(row * len(own) + place, return_inverse=True, return_counts=True)
        firings = Firings(claim, line, at, count.cumsum(0) - count, count)
        logits = self.stacked(own)
        flat = logits.view(-1, self.width)
        new, lost = self._product(flat.index_select(0, cells), cells % len(own), firings, table)
        flat.index_copy_(0, cells, new)
        hit = torch.bincount(place, minlength=len(own)).tolist()
        out = [Categorical(d.feature, logits[:, g, :d.logits.shape[-1]]) if hit[g] else d for g, d in enumerate(own)]
        return out, None if lost is None else (row[lost], claim[lost])

    def _product(self, own: Tensor, place: Tensor, firings: Firings, table: Lines) -> tuple[Tensor, Tensor | None]:
        """The logits `[C, V]` of cells of which the model says `own [C, V]`, and the firings that lost."""
        score = F.embedding_bag(firings.line, table.scores, firings.start, mode="sum")
        allowed, lost = (score > -torch.inf).float(), None
        stuck = (allowed.sum(1) == 0).nonzero()[:, 0]
        if len(stuck):
            lost = torch.cat([_settled(score, some, firings, table) for some in stuck.split(_CHUNK)])
            allowed = (score > -torch.inf).float()
        p, likely = floored(own)
        # 1 - 1 / possible is -inf for what the model rules out, much quicker than the logarithm of 0 or a mask.
        new = p.clamp_min(1e-30).log_().add_(score).add_(1 - (p > 0).float().reciprocal_())
        # Where the model gave all that is left less than the floor, the floor decides: of values that have an order it
        # favours those nearest to the model's own.
        thin = ((likely * allowed).sum(1) < FLOOR).nonzero()[:, 0]
        if len(thin):
            part, left, ordered = new[thin], score[thin] > -torch.inf, self.is_ordered[place[thin]]
            part = torch.where(part.amax(1, keepdim=True) > -torch.inf, part, left.float().log())
            away = (torch.arange(self.width) - own[thin].argmax(1)[:, None]).abs()
            new[thin] = part - away * ordered[:, None]
        if not self.has_exact:
            return new, lost
        is_exact = self.is_exact.index_select(0, firings.claim)
        is_changed = torch.zeros(len(own), dtype=torch.bool)
        is_changed[firings.at[~is_exact]] = True
        if len(exact := is_exact.nonzero()[:, 0]):
            self._with_chances(new, is_changed, firings, exact, table)
        return torch.where(is_changed[:, None], new, own), lost

    def _with_chances(self, logits: Tensor, is_changed: Tensor, firings: Firings, exact: Tensor, table: Lines) -> None:
        """Give every event that fired, `exact` of the firings, its probability in `logits [C, V]`, all else in its own
        proportions (Jeffrey 1965): one after the other, the strongest last, and where several fire in one cell again
        and again (iterative proportional fitting, Deming & Stephan 1940). Marks the cells that changed, `[C]`.

        An event that is impossible, or certain, is left alone.
        """
        exact = exact.flip(0)
        cells, at, count = torch.unique_consecutive(firings.at[exact], return_inverse=True, return_counts=True)
        turn = torch.arange(len(exact)) - (count.cumsum(0) - count)[at]
        events = table.allowed.index_select(0, firings.line[exact]).float()
        chances = self.chances[firings.claim[exact]][:, None]
        own = logits.index_select(0, cells)
        p = (own - own.amax(1, keepdim=True)).clamp_min_(_FAINTEST).exp_().mul_(own > -torch.inf)
        p /= p.sum(1, keepdim=True)
        steps = [(turn == t).nonzero()[:, 0] for t in range(int(count.amax()))]
        touched = torch.zeros(len(cells), dtype=torch.bool)
        for sweep in range(_SWEEPS if len(steps) > 1 else 1):
            if sweep == 1:  # from here on only the cells with several events
                steps = [step[count[at[step]] > 1] for step in steps]
            for step in steps:
                where, event, chance = at[step], events[step], chances[step]
                whole = p.index_select(0, where)
                inside = whole * event
                rest = whole - inside
                mass, left, total = (x.sum(1, keepdim=True) for x in (inside, rest, whole))
                usable = (mass > 0) & (left > 0)
                mixed = inside * (chance / mass) + rest * ((1 - chance).clamp_min(1e-6) / left)
                p.index_copy_(0, where, torch.where(usable, mixed, whole / total))
                touched[where] |= usable[:, 0]
        logits.index_copy_(0, cells, p.clamp_min(1e-30).log_().add_(1 - (p > 0).float().reciprocal_()))
        is_changed[cells[touched]] = True

    def _lines(self, claim: Claim, feature: Feature) -> Lines | None:
        """The lines a claim chooses from, by the code of its operand; None if they have to be made for the rows.

        The codes stand for: below the first value, at it, between it and the second, ..., above the last; no number.
        """
        atom, v = claim.atom, feature.cardinality or 0
        constants = [o.constant for o in atom.operands]
        if all(c is not None for c in constants):
            allowed = self._allowed(feature, atom.operation, torch.tensor(constants))
            return Lines.of(allowed.any(0, keepdim=True), claim.strength)
        if atom.operation not in _COMPARE:
            return None
        examples = torch.cat([torch.arange(2 * v + 1) / 2 + feature.offset - 0.5, torch.tensor([torch.nan])])
        says = torch.ones(len(examples), dtype=torch.bool)
        if atom.operation == "==":
            says = examples > MISSING + 0.5 if feature.kind == "category" else ~examples.isnan()
        return Lines.of(self._allowed(feature, atom.operation, examples), claim.strength, says)

    def _allowed(self, feature: Feature, operation: str, wanted: Tensor) -> Tensor:
        """Which values `[E, V]` compare so with each of `wanted [E]`; what is set stays within the bounds."""
        if operation == "==":
            wanted = encode(feature, wanted.nan_to_num()) + feature.offset
        out = torch.zeros(len(wanted), self.width, dtype=torch.bool)
        values = torch.arange(feature.cardinality or 0) + feature.offset
        out[:, :len(values)] = _COMPARE["==" if operation == "in" else operation](values, wanted[:, None])
        return out

    def _tried(self, k: int, rows: Rows) -> Tensor:
        """Which values a claim allows on each row, `[N, V]`: members that it reads, or each value tried in turn."""
        atom, feature = self.claims[k].atom, self.features[int(self.place[k])]
        values = (torch.arange(feature.cardinality or 0) + feature.offset).to(feature.dtype)
        if atom.operation == "in":
            members = torch.stack([o.run(rows) for o in atom.operands], 1)
            allowed = (values == members[..., None]).any(1)
        else:
            name, run, after = atom.place.target, atom.operands[0].run, rows.next or {}
            allowed = torch.stack([run(rows.followed_by({**after, name: v.expand(rows.size)})) for v in values], 1)
        return F.pad(allowed, (0, self.width - len(values)))


def _settled(score: Tensor, cells: Tensor, firings: Firings, table: Lines) -> Tensor:
    """Settle `cells` in which hard claims leave nothing possible: each is taken in, the strongest first, wherever it
    leaves a value possible. Writes what is left into `score [C, V]`, and returns the firings that lost."""
    start, count = firings.start[cells, None], firings.count[cells, None]
    slots = torch.arange(int(count.amax()))
    firing = (start + slots).clamp_max_(len(firings.line) - 1)
    kept = slots < count                                                                         # [M, K]
    asked = F.embedding(firings.line[firing].masked_fill_(~kept, 0), table.scores)               # [M, K, V]
    excluded, order, k = asked == -torch.inf, slots[:, None].int(), len(slots)
    is_there = kept.clone()
    while True:
        # A value falls to the first claim that rules it out; the claim to which the last one falls has to yield.
        yields = torch.where(kept[..., None] & excluded, order, k).amin(1).amax(1)                         # [M]
        stuck = (yields < k).nonzero()[:, 0]
        if not len(stuck):
            break
        kept[stuck, yields[stuck].long()] = False
    score[cells] = torch.where(kept[..., None], asked, 0.0).sum(1)
    return firing[is_there & ~kept]
