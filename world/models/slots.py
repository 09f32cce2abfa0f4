"""A latent world model of slots with sparse, gated, factored dynamics, for worlds of discrete features.

Every cell of the grid and every scalar has a latent slot; the agent's position is an explicit pointer into the grid.
A step reads the cells around the pointer (in the frame of its heading) and the scalars, and writes residuals to the
same slots. Which slots an output may read is learned per action by L0 gates: random data teach false causes that
held-out random data never show (a door blocks whether or not something is carried), and only sparsity cures them.
Nothing depends on the board's size, so weights trained on a small board run on a large one.

N rows, C cells, S scalars, K cells around the pointer, R = K + S reads, O outputs, D latent width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import UserError
from ..distributions import Board, Categorical, decode, encode
from ..model import Batch, Outcome
from ..schema import Features, Schema
from ..training import TrainingConfig
from .elimination import eliminate
from .mechanisms import Mechanism, Mechanisms, joint_names, joint_strides
from .pointer import AROUND, Pointer
from .slot_code import SlotCode

REWARD_PRECISION = 50.0
"""Half the inverse variance of a reward's error: a tenth of a reward is half a nat."""


@dataclass(frozen=True)
class SlotsConfig:
    """Latent `width` a slot, `hidden` units an output; `sparsity` is the L0 penalty a gate, `gate_rate` the gates'
    learning rate over the weights'. `closeness` weighs latent consistency, `autoencode` the reconstruction of random
    valid states, without which told values that never occurred could not be represented. A gate whose closing costs
    less than `price` nats over all data is closed when training ends."""

    width: int = 16
    hidden: int = 48
    sparsity: float = 5e-3
    gate_rate: float = 10.0
    closeness: float = 1.0
    autoencode: float = 1.0
    autoencode_rows: int = 64
    price: float = 1.0


@dataclass(frozen=True)
class SlotState:
    """`cells [N, C, D]` and `scalars [N, S, D]` are latent; `codes [N, C, arrays]` is what the cells decode to,
    carried because a step touches few of them; `x`, `y [N]` the pointer; `touched [N, K]` the cells last written."""

    cells: Tensor
    codes: Tensor
    scalars: Tensor
    x: Tensor
    y: Tensor
    touched: Tensor


class Slots(nn.Module):
    """The model; see the module's text. Raises `UserError` for a schema with real or unbounded features."""

    provides = frozenset({"reward", "end", "uncertainty"})
    strides: Tensor

    def __init__(self, schema: Schema, config: SlotsConfig | None = None) -> None:
        super().__init__()
        self.schema = schema
        self.config = config = config or SlotsConfig()
        grid = schema.grid
        self.arrays = [schema.base[n] for n in grid.arrays] if grid else []
        pointer = {grid.x, grid.y} if grid else set()
        self.scalars = [f for f in schema.features if f not in self.arrays and f.name not in pointer]
        for f in (*self.arrays, *self.scalars, *schema.actions):
            if not f.cardinality:
                raise UserError(
                    f"the slot model needs bounded discrete features, '{f.name}' is {f.kind}; "
                    "use the recurrent model (model='recurrent')"
                )
        if odd := [f.name for f in self.scalars if f.shape]:
            raise UserError(f"the slot model knows no place for the arrays {odd}; name them in the schema's grid")
        self.names = [f.name for f in self.scalars]
        self.pointer = Pointer(schema)
        self.heading = self.names.index(grid.heading) if grid and grid.heading else None
        self.reads_count = self.pointer.count + len(self.scalars)  # every slot that is read is also written
        outputs = self.reads_count + (3 if grid else 2)  # and the pointer's move, the reward, the end
        self.register_buffer("strides", joint_strides(schema))
        d = config.width
        self.code = SlotCode(self.arrays, self.scalars, d)
        self.outside = nn.Parameter(torch.randn(d))
        self.mechanisms = Mechanisms(len(schema.all_actions()), outputs, self.reads_count, d, config.hidden, d)
        self.mechanisms.bias.data[:, -1, 0] = -5.0  # ends are rare: what never ended has nothing to learn

    @staticmethod
    def recipe() -> TrainingConfig:
        """The training that suits this model."""
        return TrainingConfig()

    def parameter_groups(self) -> list[dict]:
        """For AdamW: see `Mechanisms`."""
        return self.mechanisms.parameter_groups(list(self.parameters()), self.config.gate_rate)

    # --- the seam -------------------------------------------------------------------------------------------------

    def initial(self, n: int) -> SlotState:
        """The belief before anything was seen: every feature at its first value."""
        return self._encode({f.name: torch.full((n, *f.shape), f.offset, dtype=f.dtype) for f in self.schema.features})

    def observe(
        self,
        state: SlotState,
        action: Tensor | None,
        features: Features,
        reset: Tensor | None = None,
        rng: torch.Generator | None = None,
    ) -> SlotState:
        """Posterior: the world is fully observed, so the features alone decide."""
        return self._encode(features)

    @torch.no_grad()
    def step(self, state: SlotState, action: Tensor, rng: torch.Generator | None = None) -> tuple[SlotState, Outcome]:
        """One imagined step; the state carries the most likely values (or a draw, with `rng`)."""
        index, dx, dy = self.pointer.around(state.x, state.y, self._headings(state))
        cells, scalars, move, reward, end = self._advance(
            state.cells, state.scalars, index, self._joint(action), self.mechanisms.gates(), self.mechanisms.average
        )
        predicted = self.pointer.after(move, state.x, state.y, dx, dy)
        parts = self.code.cell_logits(cells) if self.arrays else ()
        for i, (f, logits) in enumerate(zip(self.arrays, parts, strict=True)):
            predicted[f.name] = Board(f, state.codes[..., i], index, logits)
        for i, f in enumerate(self.scalars):
            predicted[f.name] = Categorical(f, self.code.scalar_logits(i, scalars))
        values = {k: d.mode() if rng is None else d.sample(rng) for k, d in predicted.items()}
        codes = state.codes
        if self.arrays:  # what the boards already know is not encoded again
            likely = [d.codes for d in predicted.values() if isinstance(d, Board)]
            codes = torch.stack(likely, -1) if rng is None else self.code.codes(values)
        x, y, _ = self.pointer.read(values)
        after = SlotState(_write(state.cells, index, cells), codes, scalars, x, y, index)
        ok = torch.ones(len(reward), dtype=torch.bool)
        if rng is not None:  # the latents follow the draw, or the next step would go on from the most likely values
            after = self.assimilate(after, values, ok)
        uncertainty = torch.stack([d.entropy() for d in predicted.values()]).sum(0)
        ordered = {f.name: predicted[f.name] for f in self.schema.features}
        return after, Outcome(ordered, reward, 1 - end.sigmoid(), ok, uncertainty)

    @torch.no_grad()
    def assimilate(
        self, state: SlotState, features: Features, rows: Tensor, rng: torch.Generator | None = None
    ) -> SlotState:
        """Encode corrected features where `rows` hold: the cells just touched, whatever differs, all scalars."""
        scalars = torch.where(rows[:, None, None], self.code.of_scalars(features), state.scalars)
        grid = self.schema.grid
        if grid is None:
            return SlotState(state.cells, state.codes, scalars, state.x, state.y, state.touched)
        codes = torch.where(rows[:, None, None], self.code.codes(features), state.codes)
        differ = (codes != state.codes).any(-1)
        differ.scatter_(1, state.touched.clamp_min(0), True)
        differ &= rows[:, None]
        n, c = differ.nonzero(as_tuple=True)
        cells = state.cells.index_put((n, c), self.code.of_cells(codes[n, c]))
        x, y = (torch.where(rows, features[k].long(), old) for k, old in ((grid.x, state.x), (grid.y, state.y)))
        return SlotState(cells, codes, scalars, x, y, state.touched)

    def decode(self, state: SlotState) -> dict[str, Tensor]:
        """The most likely features."""
        out = {f.name: decode(f, state.codes[..., i]).view(-1, *f.shape) for i, f in enumerate(self.arrays)}
        if grid := self.schema.grid:
            out |= {grid.x: state.x.to(torch.int32), grid.y: state.y.to(torch.int32)}
        for i, f in enumerate(self.scalars):
            out[f.name] = Categorical(f, self.code.scalar_logits(i, state.scalars)).mode()
        return {f.name: out[f.name] for f in self.schema.features}

    def loss(self, batch: Batch, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        """Unroll the latents over `[B, T]` under the true pointer; errors summed over outputs, mean over rows."""
        gates = self.mechanisms.gates(rng)
        state = self._encode(batch.features_at(0))
        cells, scalars = state.cells, state.scalars
        names = ["cells"] * self.pointer.count + ["scalars"] * len(self.scalars)
        names += (["move"] if self.schema.grid else []) + ["reward", "end"]
        total = dict.fromkeys([*names, "closeness"], torch.zeros(()))
        count = batch.mask.sum().clamp_min(1)
        for t in range(batch.action.shape[1]):
            now, after = batch.features_at(t), batch.features_at(t + 1)
            cells, scalars, errors, closeness = self._errors(
                cells, scalars, now, batch.action[:, t], after, batch.reward[:, t], batch.terminated[:, t], gates
            )
            mask = batch.mask[:, t].float()
            for name, error in zip(names, (errors * mask[:, None]).sum(0) / count, strict=True):
                total[name] = total[name] + error
            total["closeness"] = total["closeness"] + (closeness * mask).sum() / count
        total["closeness"] = total["closeness"] * self.config.closeness * 0.1
        total["autoencode"] = self.code.reconstruction(self.config.autoencode_rows, rng) * self.config.autoencode
        total["sparsity"] = self.mechanisms.gates.open_probability().sum() * self.config.sparsity
        return total

    @torch.no_grad()
    def prepare(self, everything: Batch, is_first: bool) -> None:
        """Before training on more data, open the gates a little again."""
        if not is_first:
            self.mechanisms.reopen()

    @torch.no_grad()
    def settle(self, everything: Batch) -> None:
        """When training ends, fix the average read, and close every gate that the data do not ask for."""
        flat = {k: (v[:, :-1].flatten(0, 1), v[:, 1:].flatten(0, 1)) for k, v in everything.features.items()}
        real = everything.mask.flatten()
        now, after = ({k: v[i][real] for k, v in flat.items()} for i in (0, 1))
        action, reward, terminated = (
            x.flatten(0, 1)[real] for x in (everything.action, everything.reward, everything.terminated)
        )
        state, joint = self._encode(now), self._joint(action)
        index = self.pointer.around(*self.pointer.read(now))[0]
        self.mechanisms.average.copy_(self._reads(state.cells, state.scalars, index).mean(0))

        def cost(gates: Tensor) -> Tensor:
            errors = self._errors(state.cells, state.scalars, now, action, after, reward, terminated, gates)[2]
            return errors.new_zeros(gates.shape[:2]).index_add_(0, joint, errors)

        self.mechanisms.close(eliminate(self.mechanisms.gates(), cost, self.config.price))

    def _errors(
        self,
        cells: Tensor,
        scalars: Tensor,
        now: Features,
        action: Tensor,
        after: Features,
        reward: Tensor,
        terminated: Tensor,
        gates: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One latent step against what came: new cells and scalars, the errors `[N, O]` in nats, and the distance
        of the written latents to the encoding of the truth `[N]`."""
        grid = self.schema.grid
        x, y, headings = self.pointer.read(now)
        index, dx, dy = self.pointer.around(x, y, headings)
        wrote, scalars, move, paid, end = self._advance(cells, scalars, index, self._joint(action), gates)
        closeness = (scalars - self.code.of_scalars(after).detach()).square().sum((-1, -2))
        errors = []
        if grid:
            onboard = (index >= 0).float()
            target = self.code.codes(after).gather(1, index.clamp_min(0)[..., None].expand(-1, -1, len(self.arrays)))
            parts = [_cross_entropy(part, target[..., i]) for i, part in enumerate(self.code.cell_logits(wrote))]
            errors.append(torch.stack(parts).sum(0) * onboard)
            distance = (wrote - self.code.of_cells(target).detach()).square().sum(-1)
            closeness = closeness + (distance * onboard).sum(1)
        errors += [
            _cross_entropy(self.code.scalar_logits(i, scalars), encode(f, after[f.name]))[:, None]
            for i, f in enumerate(self.scalars)
        ]
        if grid:
            x2, y2, _ = self.pointer.read(after)
            moved = (dx == (x2 - x)[:, None]) & (dy == (y2 - y)[:, None])
            errors.append((_cross_entropy(move, moved.long().argmax(1)) * moved.any(1))[:, None])
        errors.append(REWARD_PRECISION * (paid - reward).square()[:, None])
        # Ends are smoothed a little: a logit that may grow without bound keeps reading whatever makes it grow.
        ended = terminated.float().clamp(0.001, 0.999)
        errors.append(F.binary_cross_entropy_with_logits(end, ended, reduction="none")[:, None])
        return _write(cells, index, wrote), scalars, torch.cat(errors, 1), closeness

    def reads(self) -> tuple[Mechanism, ...]:
        """The learned causal graph: the slots that its gates let each effect read, the cells by their place."""
        grid, cells = self.schema.grid, tuple(f.name for f in self.arrays)
        causes = [*AROUND[: self.pointer.count], *self.names]
        effects = [(name, cells) for name in AROUND[: self.pointer.count]] + [(name, (name,)) for name in self.names]
        effects += [("move", (grid.x, grid.y))] if grid else []
        effects += [("reward", ()), ("end", ())]
        return self.mechanisms.graph(joint_names(self.schema), effects, causes)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _advance(
        self,
        cells: Tensor,
        scalars: Tensor,
        index: Tensor,
        action: Tensor,
        gates: Tensor,
        average: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Read, gate, compute: new latents of the K cells `[N, K, D]` and scalars `[N, S, D]`, logits of the move
        `[N, 5]`, reward `[N]`, logit of the end `[N]`."""
        k = index.shape[1]
        reads = self._reads(cells, scalars, index)
        r = reads.shape[1]
        out = self.mechanisms(reads, action, gates, average)
        wrote = reads + out[:, :r]
        rest = out[:, r:]
        move = rest[:, 0, :5] if k else rest[:, 0, :0]
        return wrote[:, :k], wrote[:, k:], move, rest[:, -2, 0], rest[:, -1, 0]

    def _reads(self, cells: Tensor, scalars: Tensor, index: Tensor) -> Tensor:
        """The latents of the cells `index [N, K]` (`outside` off the board) and the scalars: `[N, R, D]`."""
        if not index.shape[1]:
            return scalars
        found = cells.gather(1, index.clamp_min(0)[..., None].expand(-1, -1, cells.shape[-1]))
        return torch.cat([torch.where((index >= 0)[..., None], found, self.outside), scalars], 1)

    def _headings(self, state: SlotState) -> Tensor:
        if self.heading is None:
            return torch.zeros(len(state.scalars), dtype=torch.int64)
        return self.code.scalar_logits(self.heading, state.scalars).argmax(-1)

    def _joint(self, action: Tensor) -> Tensor:
        """Action rows `[N, A]` to one code `[N]`."""
        return (action.long() * self.strides).sum(-1)

    def _encode(self, features: Features) -> SlotState:
        x, y, _ = self.pointer.read(features)
        scalars = self.code.of_scalars(features)
        if self.schema.grid is None:
            empty = scalars.new_zeros(len(x), 0)
            return SlotState(empty[..., None], empty.long()[..., None], scalars, x, y, empty.long())
        codes = self.code.codes(features)
        return SlotState(self.code.of_cells(codes), codes, scalars, x, y, torch.full((len(x), 5), -1))


def _write(cells: Tensor, index: Tensor, wrote: Tensor) -> Tensor:
    """Put the K written latents back into `[N, C, D]`; those off the board are dropped."""
    if not index.shape[1]:
        return cells
    at = index.clamp_min(0)[..., None].expand_as(wrote)
    # Off the board a zero is added to the first cell, so that no two writes compete for one place.
    change = (wrote - cells.gather(1, at)) * (index >= 0)[..., None]
    return cells.scatter_add(1, at, change)


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy without reduction over any leading axes."""
    return -logits.log_softmax(-1).gather(-1, target.long()[..., None])[..., 0]
