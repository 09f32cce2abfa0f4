"""A stage: all claims that are corrected at one time, grouped by the place they write.

The pose first and what is read through it after: whole arrays and base features, then derived features through their
setters, then the cells that the corrected features point to, last what ties several features together.

N rows, R rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..distributions import Board, Categorical, Distribution, Normal, put, take
from ..schema import Derived, Pointed, Schema
from .codes import Rows
from .corrections import Choice, Chosen, Claim, Measure, Whole, choose, likelier
from .effects import MISSING, Place
from .ties import TieClaim, Ties

Predicted = dict[str, Distribution]


@dataclass(frozen=True)
class Group:
    """The claims on one place, strongest first, with the rules (`columns [K]`) they are of."""

    place: Place
    target: str  # the base feature that is written
    claims: tuple[Claim, ...]
    columns: Tensor
    expert: Choice | Measure | Whole

    def is_active(self, active: Sequence[bool]) -> bool:
        return any(active[c.column] for c in self.claims)


class Stage:
    """The claims of some rules; `particles` candidates a row for those that tie features together."""

    def __init__(self, schema: Schema, claims: Sequence[Claim], ties: Sequence[TieClaim], particles: int) -> None:
        self.schema = schema
        places: dict[Place, list[Claim]] = {}
        for claim in claims:
            places.setdefault(claim.atom.place, []).append(claim)
        self.derived = [c for c in claims if isinstance(schema.derivations.get(c.atom.place.target), Derived)]
        groups = [_group(place, mine, schema) for place, mine in places.items()
                  if not isinstance(schema.derivations.get(place.target), Derived)]
        groups.sort(key=lambda g: (g.target, g.place.target, str(g.place.at)))  # whatever order the rules came in
        groups.sort(key=lambda g: bool(g.place.at))
        self.pose = _rounds([g for g in groups if not g.place.follows_pose(schema)])
        self.seen = _rounds([g for g in groups if g.place.follows_pose(schema)])
        self.ties = Ties(schema, ties, particles) if ties else None

    def __bool__(self) -> bool:
        return bool(self.pose or self.derived or self.seen or self.ties)

    def correct(self, predicted: Predicted, rows: Rows, fired: Tensor, rng: torch.Generator | None
                ) -> tuple[Rows, Tensor]:
        """Correct `predicted` in place where rules `fired [N, R]`; return the rows with the corrected next features,
        and where rules lost against stronger ones, `[N, R]`."""
        conflict = torch.zeros_like(fired)
        active: list[bool] = fired.view(torch.uint8).amax(0).tolist() if rows.size else [False] * fired.shape[1]
        before = dict(predicted)
        for groups in self.pose:
            _correct([g for g in groups if g.is_active(active)], predicted, rows, fired, conflict)
        for claim in reversed(self.derived):
            if active[claim.column]:
                rows = refreshed(rows, before, predicted)
                before = dict(predicted)
                _put(claim, predicted, rows, fired[:, claim.column])
        if any(g.is_active(active) for groups in self.seen for g in groups):
            rows = refreshed(rows, before, predicted)
            before = dict(predicted)
        for groups in self.seen:
            _correct([g for g in groups if g.is_active(active)], predicted, rows, fired, conflict)
        if self.ties is not None and any(active[c.column] for c in self.ties.claims):
            rows = refreshed(rows, before, predicted)
            before = dict(predicted)
            self.ties.correct(predicted, rows, fired, conflict, rng)
        return refreshed(rows, before, predicted), conflict


def refreshed(rows: Rows, before: Predicted, predicted: Predicted) -> Rows:
    """The rows with the next features as they are predicted now; `before` are the distributions they were read off."""
    changed = {k: d.mode() for k, d in predicted.items() if d is not before[k]}
    return rows.followed_by({**(rows.next or {}), **changed}) if changed else rows


def _group(place: Place, claims: list[Claim], schema: Schema) -> Group:
    derivation = schema.derivations.get(place.target)
    target = derivation.of if isinstance(derivation, Pointed) else place.target
    feature = schema.base[target]
    is_whole = bool(feature.shape) and not place.at and not isinstance(derivation, Pointed)
    kind = Whole if is_whole else Choice if feature.cardinality else Measure
    return Group(place, target, tuple(claims), torch.tensor([c.column for c in claims]), kind(feature, claims))


def _rounds(groups: Sequence[Group]) -> list[list[Group]]:
    """Groups that can be corrected at once: of those that write one feature, each in a round of its own."""
    rounds: list[list[Group]] = []
    for group in groups:
        free = next((r for r in rounds if all(g.target != group.target for g in r)), None)
        if free is None:
            rounds.append([group])
        else:
            free.append(group)
    return rounds


def _correct(groups: Sequence[Group], predicted: Predicted, rows: Rows, fired: Tensor, conflict: Tensor) -> None:
    """Correct groups that write different features, each on the rows where one of its claims fires."""
    chosen: list[tuple[Group, Distribution, Tensor, Tensor | None]] = []
    parts: list[Chosen] = []
    for group in groups:
        mine, own, index = fired.index_select(1, group.columns), predicted[group.target], group.place.index(rows)
        if isinstance(group.expert, Whole):
            predicted[group.target] = group.expert.correct(own, mine, rows)
            continue
        hit = mine.any(1) if index is None else mine.any(1) & (index >= 0)
        some = hit.nonzero()[:, 0]
        if not some.shape[0]:
            continue
        mine, at = mine.index_select(0, some), None if index is None else index.index_select(0, some)
        whole = take(own, some)
        cell = whole if at is None else cell_of(whole, at)
        if isinstance(group.expert, Choice):
            assert isinstance(cell, Categorical)
            parts.append(Chosen(group.expert, cell.logits, mine, group.expert.read(rows, some)))
            chosen.append((group, whole, some, at))
        else:
            assert isinstance(cell, Normal)
            new, lost = group.expert.correct(cell, mine, rows, some)
            _write(group, predicted, whole, some, at, new, lost, conflict)
    if parts:
        for (group, whole, some, at), logits, lost in zip(chosen, *choose(parts), strict=True):
            _write(group, predicted, whole, some, at, Categorical(group.expert.feature, logits), lost, conflict)


def _write(group: Group, predicted: Predicted, whole: Distribution, some: Tensor, at: Tensor | None,
           new: Categorical | Normal, lost: Tensor | None, conflict: Tensor) -> None:
    """Write the rows `some [M]` of a corrected place back, and mark the rules that lost there."""
    part = new if at is None else with_cell(whole, at, new)
    predicted[group.target] = put(predicted[group.target], some, part)
    if lost is not None:
        for k, column in enumerate(group.columns.tolist()):  # a rule may claim two things of one place
            conflict[some, column] |= lost[:, k]


def _put(claim: Claim, predicted: Predicted, rows: Rows, where: Tensor) -> None:
    """Write a derived feature through its setter, where the corrected features do not have it as claimed."""
    name, (kind, amount) = claim.atom.place.target, claim.strength
    derivation = rows.schema.derivations[name]
    assert isinstance(derivation, Derived)
    assert derivation.put is not None
    value = rows.read(name, True)
    wanted, said = _nearest(claim, value, rows)
    where = where & said & (wanted != value)
    for base, new in derivation.put(rows.next or {}, wanted).items():
        own = predicted[base]
        predicted[base] = (likelier(own, where, new, torch.full((rows.size,), amount)) if kind == "weight"
                           else own.set(where, new))


def _nearest(claim: Claim, value: Tensor, rows: Rows) -> tuple[Tensor, Tensor]:
    """The value nearest to `value [N]` that satisfies a claim, and where the claim says anything, both `[N]`."""
    atom = claim.atom
    operands = [o.run(rows) for o in atom.operands]
    bound, is_whole = operands[0], not value.is_floating_point()
    said = bound != MISSING if rows.schema.feature(atom.place.target).kind == "category" else bound == bound
    match atom.operation:
        case "==":
            near = value.clamp(bound - atom.within, bound + atom.within) if atom.within else bound
            return near.to(value.dtype), said
        case "!=":
            return torch.where(value == bound, value + 1, value), said
        case "in":
            members = torch.stack([o.to(value.dtype) for o in operands])
            return torch.where((members == value).any(0), value, members[0]), said
        case "<" | "<=":
            step = 0.0 if atom.operation == "<=" else 1 if is_whole else 1e-6
            return torch.minimum(value, (bound - step).to(value.dtype)), said
        case _:
            step = 0.0 if atom.operation == ">=" else 1 if is_whole else 1e-6
            return torch.maximum(value, (bound + step).to(value.dtype)), said


def cell_of(array: Distribution, index: Tensor) -> Categorical | Normal:
    """The distribution of the cell `index [N]` of an array (off the board: of the first)."""
    if isinstance(array, Board):
        return array.cell(index)
    one, at = replace(array.feature, shape=()), index.clamp_min(0)[:, None]
    if isinstance(array, Normal):
        mean, std = (part.flatten(1).gather(1, at)[:, 0] for part in (array.mean, array.std))
        low, high = (None if b is None else b.flatten(1).gather(1, at)[:, 0] for b in (array.low, array.high))
        return Normal(one, mean, std, low, high)
    flat = array.logits.flatten(1, -2)
    return Categorical(one, flat.gather(1, at[..., None].expand(-1, 1, flat.shape[-1]))[:, 0])


def with_cell(array: Distribution, index: Tensor, cell: Distribution) -> Distribution:
    """Put a cell's distribution back (off the board: nothing)."""
    at, inside = index.clamp_min(0)[:, None], (index >= 0)[:, None]
    if isinstance(array, Normal):
        assert isinstance(cell, Normal)

        def put(old: Tensor | None, new: Tensor | None, otherwise: float) -> Tensor | None:
            if new is None:
                return old
            flat = (torch.full_like(array.mean, otherwise) if old is None else old).flatten(1)
            return flat.scatter(1, at, torch.where(inside, new[:, None], flat.gather(1, at))).view_as(array.mean)

        mean, std = put(array.mean, cell.mean, 0.0), put(array.std, cell.std, 0.0)
        assert mean is not None
        assert std is not None
        low, high = put(array.low, cell.low, -torch.inf), put(array.high, cell.high, torch.inf)
        return Normal(array.feature, mean, std, low, high)
    assert isinstance(cell, Categorical)
    if isinstance(array, Board):
        return array.with_cell(index, cell)
    flat = array.logits.flatten(1, -2)
    wide = at[..., None].expand(-1, 1, flat.shape[-1])
    new = torch.where(inside[..., None], cell.logits[:, None], flat.gather(1, wide))
    return replace(array, logits=flat.scatter(1, wide, new).view(array.logits.shape))
