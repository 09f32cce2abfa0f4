"""A stage: all claims that are corrected at one time, grouped by the place they write.

The pose first and what is read through it after: whole arrays and base features, then derived features through their
setters, then the cells that the corrected features point to, last what ties several features together.

N rows, R rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..distributions import Board, Categorical, Distribution, Normal
from ..schema import Derived, Feature, Pointed, Schema
from .choices import Choices
from .claims import Claim
from .codes import Rows
from .effects import MISSING, Place
from .quantities import Quantities
from .ties import TieClaim, Ties
from .wholes import Whole, likelier

Predicted = dict[str, Distribution]


@dataclass(frozen=True)
class Group:
    """The claims on one place, strongest first."""

    place: Place
    target: str  # the base feature that is written
    feature: Feature
    claims: tuple[Claim, ...]


class Round:
    """Places that are corrected at once; each writes a different feature."""

    def __init__(self, groups: Sequence[Group]) -> None:
        def is_whole(g: Group) -> bool:
            return bool(g.feature.shape)

        self.columns = [c.column for g in groups for c in g.claims]
        self.wholes = [(g.target, Whole(g.claims)) for g in groups if is_whole(g)]
        listed = [g for g in groups if not is_whole(g) and g.feature.cardinality]
        numbers = [g for g in groups if not is_whole(g) and not g.feature.cardinality]
        self.parts: list[tuple[list[Group], Choices | Quantities]] = []
        for kind, mine in ((Choices, listed), (Quantities, numbers)):
            if mine:
                self.parts.append((mine, kind([(g.feature, g.claims) for g in mine])))

    def is_active(self, active: Sequence[bool]) -> bool:
        return any(active[c] for c in self.columns)

    def correct(self, predicted: Predicted, rows: Rows, fired: Tensor, conflict: Tensor) -> None:
        """Correct `predicted` in place where rules `fired [N, R]`, mark in `conflict [N, R]` those that lost."""
        for name, whole in self.wholes:
            mine = fired.index_select(1, whole.columns)
            if bool(mine.any()):
                predicted[name] = whole.correct(predicted[name], mine, rows)
        for groups, expert in self.parts:
            own, at, mine = read_places(groups, expert, predicted, rows, fired)
            corrected, lost = expert.correct(own, mine, rows)  # type: ignore[arg-type]
            new: Sequence[Distribution] = corrected
            for group, index, old, cell in zip(groups, at, own, new, strict=True):
                if cell is not old:
                    whole_now = predicted[group.target]
                    predicted[group.target] = cell if index is None else with_cell(whole_now, index, cell)
            if lost is not None:
                conflict[lost[0], expert.columns[lost[1]]] = True


def read_places(groups: Sequence[Group], expert: Choices | Quantities, predicted: Mapping[str, Distribution],
                rows: Rows, fired: Tensor) -> tuple[list[Distribution], list[Tensor | None], Tensor]:
    """What is predicted of each place, where in its array it is, and where the claims fire there, `[N, K]`."""
    mine, at = fired.index_select(1, expert.columns), [g.place.index(rows) for g in groups]
    if any(index is not None for index in at):
        inside = [torch.ones(rows.size, dtype=torch.bool) if index is None else index >= 0 for index in at]
        mine &= torch.stack(inside, 1).index_select(1, expert.place)
    own = [predicted[g.target] if index is None else cell_of(predicted[g.target], index)
           for g, index in zip(groups, at, strict=True)]
    return own, at, mine


class Modes(Mapping[str, Tensor]):
    """The most likely features, name -> `[N, *shape]`, each found when it is first read."""

    def __init__(self, predicted: Mapping[str, Distribution]) -> None:
        self.predicted, self.found = dict(predicted), dict[str, Tensor]()

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.found:
            self.found[name] = self.predicted[name].mode()
        return self.found[name]

    def __contains__(self, name: object) -> bool:
        return name in self.predicted

    def __iter__(self) -> Iterator[str]:
        return iter(self.predicted)

    def __len__(self) -> int:
        return len(self.predicted)


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

        def correct(rounds: Sequence[Round]) -> Rows:
            for each in rounds:
                if each.is_active(active):
                    each.correct(predicted, rows, fired, conflict)
            return rows.followed_by(Modes(predicted))

        rows = correct(self.pose)
        for claim in reversed(self.derived):
            if active[claim.column]:
                _put(claim, predicted, rows, fired[:, claim.column])
                rows = rows.followed_by(Modes(predicted))
        rows = correct(self.seen)
        if self.ties is not None and any(active[c.column] for c in self.ties.claims):
            self.ties.correct(predicted, rows, fired, conflict, rng)
            rows = rows.followed_by(Modes(predicted))
        return rows, conflict


def _group(place: Place, claims: list[Claim], schema: Schema) -> Group:
    derivation = schema.derivations.get(place.target)
    target = derivation.of if isinstance(derivation, Pointed) else place.target
    feature = schema.base[target]
    is_cell = bool(place.at) or isinstance(derivation, Pointed)
    return Group(place, target, replace(feature, shape=()) if is_cell else feature, tuple(claims))


def _rounds(groups: Sequence[Group]) -> list[Round]:
    """Groups that can be corrected at once: of those that write one feature, each in a round of its own."""
    rounds: list[list[Group]] = []
    for group in groups:
        free = next((r for r in rounds if all(g.target != group.target for g in r)), None)
        if free is None:
            rounds.append([group])
        else:
            free.append(group)
    return [Round(each) for each in rounds]


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
