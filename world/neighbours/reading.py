"""What of a world is compared with the past, and how what happened there is told so that it can happen here.

Whole states hardly ever come twice; what decides a step does. In a grid that is what lies around the pointers, in the
frame of their headings, and the features that are no array: the same reads as the slot model's. Where a pointer is and
looks is not compared: a step to the north is like one to the east. Elsewhere it is all features. An event is told
relative to where it happened: a number changes by so much, a code is kept or becomes another, a pointer moves ahead, a
heading turns.

N rows, R reals, C codes beside the boards', K cells around, S = C + arrays * K codes that are read, P pointers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..distributions import decode, encode
from ..models.layout import Layout
from ..models.pointer import Pointer, once
from ..schema import Features, Schema

KEPT = -1
"""What an event tells of a code that stayed as it was."""
OTHER_ACTION = 10.0
"""How far apart situations are in which something else was done; everything else that differs is nearer."""


@dataclass(frozen=True)
class Situation:
    """What is read: `reals [N, R]`, `codes [N, S]` (off the board the code after the last), and where: the flat cells
    `index [N, K]`, the pointers `x`, `y [N, P]` and the offsets of the cells around, `dx`, `dy [N, P, 5]`."""

    reals: Tensor
    codes: Tensor
    index: Tensor
    x: Tensor
    y: Tensor
    dx: Tensor
    dy: Tensor


@dataclass(frozen=True)
class Events:
    """What happened in M situations: changes of `reals [M, R]`; of `codes [M, S]` the new one, `KEPT`, or for integers
    and headings the difference; `moves [M, P]` to one of the five cells around; `reward` and `ended [M]`."""

    reals: Tensor
    codes: Tensor
    moves: Tensor
    reward: Tensor
    ended: Tensor


class Reading:
    """The reads of a schema, without its images: those are compared by a model's latent, if at all."""

    def __init__(self, schema: Schema) -> None:
        self.schema, self.pointer = schema, Pointer(schema)
        self.arrays = [schema.base[n] for n in schema.grid.arrays] if schema.grid else []
        pose = {name for p in self.pointer.poses for name in (p.x, p.y)}
        self.layout = Layout(tuple(f for f in schema.features
                                   if f not in self.arrays and f.name not in pose and not f.is_image))
        self.actions = Layout(schema.actions)
        cells = [f.cardinality or 0 for f in self.arrays for _ in range(self.pointer.count)]
        self.count = torch.cat([self.layout.count, torch.tensor(cells, dtype=torch.int64)])  # [S] values each
        self.is_ordered = F.pad(self.layout.ordered, (0, len(cells)))
        self.base = (self.count + 1).cumsum(0) - self.count - 1  # one place more a code: off the board
        self.places = int((self.count + 1).sum())
        self.is_heading = torch.tensor([f.name in self._headings() for f, size in zip(
            self.layout.discrete, self.layout.code_sizes, strict=True) for _ in range(size)] + [False] * len(cells),
            dtype=torch.bool)
        self.apart = torch.where(self.is_heading, 0.0, 0.5**0.5)  # [S] so far from its origin is each code's axis

    def situation(self, features: Features) -> Situation:
        """What is read of `features [N, *shape]`."""
        x, y, heading = self.pointer.read(features)
        index, dx, dy = self.pointer.around(x, y, heading)
        index = once(index)
        reals, codes = self._packed(features)
        return Situation(reals, torch.cat([codes, *self._around(features, index)], 1), index, x, y, dx, dy)

    def events(self, now: Situation, after: Features, reward: Tensor, ended: Tensor) -> Events:
        """What the step from `now` to the features `after` changed."""
        reals, codes = self._packed(after)
        codes = torch.cat([codes, *self._around(after, now.index)], 1)
        told = torch.where(codes == now.codes, KEPT, codes)
        told = torch.where(self.is_ordered, codes - now.codes, told)
        told = torch.where(self.is_heading, (codes - now.codes) % self.count, told)
        x, y, _ = self.pointer.read(after)
        if not x.shape[1]:
            return Events(reals - now.reals, told, x, reward, ended)
        went = (now.x[..., None] + now.dx == x[..., None]) & (now.y[..., None] + now.dy == y[..., None])
        return Events(reals - now.reals, told, went.long().argmax(-1), reward, ended)  # a jump is taken for staying

    def happened(self, now: Situation, events: Events) -> tuple[Tensor, Tensor]:
        """Reals `[N, ..., R]` and codes `[N, ..., S]` after `events [N, ...]` in the situations `now [N]`."""
        wide = [1] * (events.reals.dim() - 2)
        reals, codes = (v.view(len(v), *wide, v.shape[-1]) for v in (now.reals, now.codes))
        moved = (codes + events.codes).clamp_min(0).minimum(self.count - 1)
        after = torch.where(self.is_ordered, moved, torch.where(events.codes == KEPT, codes, events.codes))
        after = torch.where(self.is_heading, (codes + events.codes) % self.count, after)
        return (reals + events.reals).clamp(self.layout.low, self.layout.high), after

    def applied(self, features: Features, now: Situation, events: Events) -> dict[str, Tensor]:
        """`features [N, ...]` after `events [N]` in the situations `now [N]`: one event a row, images as they are."""
        reals, codes = self.happened(now, events)
        after = dict(features) | (self.layout.unpack(reals, codes[:, : self.layout.codes]) if self.layout.features
                                  else {})
        cells = codes[:, self.layout.codes :].split(max(1, self.pointer.count), 1)
        for f, wrote in zip(self.arrays, cells, strict=False):
            flat = F.pad(after[f.name].flatten(1), (0, 1))  # cells off the board go to a column that is cut off again
            where = torch.where(now.index >= 0, now.index, flat.shape[1] - 1)
            after[f.name] = flat.scatter(1, where, decode(f, wrote))[:, :-1].reshape(-1, *f.shape)
        for k, pose in enumerate(self.pointer.poses):
            for name, at, by in ((pose.x, now.x, now.dx), (pose.y, now.y, now.dy)):
                f = self.schema.base[name]
                to = at[:, k] + by[:, k].gather(1, events.moves[:, k, None])[:, 0]
                after[name] = to.clamp(f.offset, f.offset + (f.cardinality or 1) - 1).to(f.dtype)
        return after

    def key(self, now: Situation, action: Tensor, centre: Tensor, scale: Tensor, latent: Tensor | None) -> Tensor:
        """Rows to be compared by Euclidean distance: what is read as `[N, D]`, or a model's `latent [N, Z]` for it.
        Numbers in their `scale` about their `centre`; two codes that differ are one apart, squared."""
        if latent is not None:
            seen = [(latent - centre) / scale]
        else:
            onehot = now.reals.new_zeros(len(now.codes), self.places).scatter_(
                1, now.codes + self.base, self.apart.expand(now.codes.shape))
            seen = [(now.reals - centre) / scale, onehot]
        return torch.cat([*seen, self._acted(action)], 1)

    def _headings(self) -> set[str]:
        """The features that say where a pointer looks, where their values are turns of a quarter."""
        steps = self.schema.grid.steps if self.schema.grid else ()
        are_turns = len(steps) == 4 and all(steps[(k + 1) % 4] == (-y, x) for k, (x, y) in enumerate(steps))
        found = {p.heading for p in self.pointer.poses if p.heading} if are_turns else set()
        return {name for name in found if self.schema.base[name].cardinality == len(steps)}

    def _acted(self, action: Tensor) -> Tensor:
        is_code = torch.tensor([a.cardinality is not None for a in self.schema.actions])
        low, high = self.actions.low, self.actions.high
        reals = action[:, ~is_code].float()
        bounded = (high - low).isfinite()
        reals = torch.where(bounded, 2 * (reals - low) / (high - low).where(bounded, torch.ones_like(low)) - 1, reals)
        offset = torch.tensor([a.offset for a in self.actions.discrete], dtype=torch.int64)
        codes = action[:, is_code].long() - offset
        return torch.cat([reals, self.actions.onehot(codes) * (OTHER_ACTION * 0.5**0.5)], 1)

    def _packed(self, features: Features) -> tuple[Tensor, Tensor]:
        if not self.layout.features:
            n = len(next(iter(features.values())))
            return torch.zeros(n, 0), torch.zeros(n, 0, dtype=torch.int64)
        return self.layout.pack(features)

    def _around(self, features: Features, index: Tensor) -> list[Tensor]:
        """The codes of the cells `index [N, K]` of every board, each `[N, K]`."""
        return [torch.where(index >= 0, encode(f, features[f.name]).flatten(1).gather(1, index.clamp_min(0)),
                            f.cardinality or 0) for f in self.arrays]
