"""A latent world model of slots with sparse, gated, factored dynamics, for worlds of discrete features.

Every cell of the grid and every scalar has a latent slot; the agent's position is an explicit pointer.
A step reads the cells around the pointer (in the frame of its heading) and the scalars, and writes residuals to the
same slots. Which slots an output may read is learned per action by L0 gates: random data teach false causes that
held-out random data never show (a door blocks whether or not something is carried), and only sparsity cures them.
Nothing depends on the board's size, so weights trained on a small board run on a large one.

Several pointers are read around each. Cells that change far from all of them follow a rule of their own (`field.py`),
which exists only where the data show such changes. Outcomes are beliefs: with a generator a step draws from them.

N rows, C cells, S scalars, P pointers, K = 5 P cells around them, R = K + S reads, O outputs, D latent width.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ...errors import UserError
from ..distributions import Board, Categorical, Distribution, decode
from ..model import Batch, Outcome
from ..schema import Feature, Features, Schema
from ..training import TrainingConfig
from ..tree import choose
from .field import Field, Moving
from .mechanisms import Mechanism, Mechanisms, joint_names, joint_strides, parameter_groups
from .pointer import Pointer, gather, once, scatter
from .slot_code import SlotCode
from .slot_learning import close_gates, moves_by_itself, unrolled


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
    """`codes [N, C, arrays]` is what the cells decode to, and all there is of most: their latents are made where they
    are read. Those that the last step wrote are carried: `written [N, K, D]`, of the cells `touched [N, K]`. `scalars
    [N, S, D]` are latent; `x`, `y [N, P]` are the pointers."""

    codes: Tensor
    scalars: Tensor
    x: Tensor
    y: Tensor
    touched: Tensor
    written: Tensor


@dataclass(frozen=True)
class Written:
    """What one latent step writes: `cells [N, K, D]` around the pointers, `scalars [N, S, D]`, logits of the `moves`
    `[N, P, 5]`, `reward [N]`, the logit of the `end [N]`, and the `board [N, C, D]` where things move by themselves."""

    cells: Tensor
    scalars: Tensor
    moves: Tensor
    reward: Tensor
    end: Tensor
    board: Tensor | None


class Slots(nn.Module):
    """The model; see the module's text. Raises `UserError` for a schema with real or unbounded features."""

    provides = frozenset({"reward", "end", "uncertainty", "stochastic", "local"})
    strides: Tensor

    def __init__(self, schema: Schema, config: SlotsConfig | None = None) -> None:
        super().__init__()
        self.schema = schema
        self.config = config = config or SlotsConfig()
        grid = schema.grid
        self.arrays = [schema.base[n] for n in grid.arrays] if grid else []
        pointer = {name for pose in grid.poses for name in (pose.x, pose.y)} if grid else set()
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
        self.headings = [self.names.index(p.heading) if p.heading else None for p in self.pointer.poses]
        self.reads_count = self.pointer.count + len(self.scalars)  # every slot that is read is also written
        outputs = self.reads_count + len(self.headings) + 2  # and the pointers' moves, the reward, the end
        self.register_buffer("strides", joint_strides(schema))
        d = config.width
        self.code = SlotCode(self.arrays, self.scalars, d)
        self.outside = nn.Parameter(torch.randn(d))
        self.mechanisms = Mechanisms(len(schema.all_actions()), outputs, self.reads_count, d, config.hidden, d)
        self.field = Field(self.pointer.shape, len(self.scalars), len(self.headings), d, config.hidden)
        self.mechanisms.bias.data[:, -1, 0] = -5.0  # ends are rare: what never ended has nothing to learn

    @staticmethod
    def recipe() -> TrainingConfig:
        """The training that suits this model."""
        return TrainingConfig()

    def parameter_groups(self) -> list[dict]:
        """For AdamW: gates and constants learn faster."""
        return parameter_groups(self, self.config.gate_rate)

    # --- the seam -------------------------------------------------------------------------------------------------

    def initial(self, n: int) -> SlotState:
        """The belief before anything was seen: every feature at its first value."""
        return self.encode({f.name: torch.full((n, *f.shape), f.offset, dtype=f.dtype) for f in self.schema.features})

    def observe(
        self,
        state: SlotState,
        action: Tensor | None,
        features: Features,
        reset: Tensor | None = None,
        rng: torch.Generator | None = None,
    ) -> SlotState:
        """Posterior: the world is fully observed, so the features alone decide."""
        return self.encode(features)

    @torch.no_grad()
    def step(self, state: SlotState, action: Tensor, rng: torch.Generator | None = None) -> tuple[SlotState, Outcome]:
        """One imagined step; the state carries the most likely values (or a draw, with `rng`)."""
        around, dx, dy = self.pointer.around(state.x, state.y, self._headings(state))
        index = once(around)
        cells = self.cells(state) if self.field.is_on else None
        wrote = self.advance(self._read(state, around), state.scalars, state.x, state.y, around, self.joint(action),
                             cells=cells)
        place = state.x, state.y, dx, dy
        predicted = self.pointer.after(wrote.moves, *place)
        for i, f in enumerate(self.arrays):
            predicted[f.name] = self._array(i, f, state, index, wrote)
        for i, f in enumerate(self.scalars):
            predicted[f.name] = Categorical(f, self.code.scalar_logits(i, wrote.scalars))
        if rng is None:
            values = {k: d.mode() for k, d in predicted.items()}
        else:
            values = self.pointer.draw(wrote.moves, *place, rng)
            values |= {k: d.sample(rng) for k, d in predicted.items() if k not in values}
        codes = state.codes
        if self.arrays:  # what the boards already know is not encoded again
            boards = [d for d in predicted.values() if isinstance(d, Board)]
            codes = torch.stack([d.codes for d in boards], -1) if boards and rng is None else self.code.codes(values)
        x, y, _ = self.pointer.read(values)
        after = SlotState(codes, wrote.scalars, x, y, index, wrote.cells)
        if self.field.is_on:  # everything may have been written: what it decoded to is what goes on
            after = replace(after, touched=torch.full_like(index, -1))
        ok = torch.ones(len(action), dtype=torch.bool)
        if rng is not None:  # the latents follow the draw, or the next step would go on from the most likely values
            after = self.assimilate(after, values, ok)
        uncertainty = torch.stack([d.entropy() for d in predicted.values()]).sum(0)
        ordered = {f.name: predicted[f.name] for f in self.schema.features}
        return after, Outcome(ordered, wrote.reward, 1 - wrote.end.sigmoid(), ok, uncertainty)

    @torch.no_grad()
    def assimilate(
        self, state: SlotState, features: Features, rows: Tensor, rng: torch.Generator | None = None
    ) -> SlotState:
        """Encode corrected features where `rows` hold: the cells, those just written too, and all scalars."""
        told = self.encode(features)
        return told if bool(rows.all()) else choose(rows, told, state)

    def decode(self, state: SlotState) -> dict[str, Tensor]:
        """The most likely features."""
        out = {f.name: decode(f, state.codes[..., i]).view(-1, *f.shape) for i, f in enumerate(self.arrays)}
        for k, pose in enumerate(self.pointer.poses):
            out |= {pose.x: state.x[:, k].to(torch.int32), pose.y: state.y[:, k].to(torch.int32)}
        for i, f in enumerate(self.scalars):
            out[f.name] = Categorical(f, self.code.scalar_logits(i, state.scalars)).mode()
        return {f.name: out[f.name] for f in self.schema.features}

    def loss(self, batch: Batch, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        """Unroll the latents over `[B, T]` under the true pointer; see `slot_learning`."""
        return unrolled(self, batch, rng)

    @torch.no_grad()
    def prepare(self, everything: Batch, is_first: bool) -> None:
        """Before training on more data, open the gates a little again; see whether anything moves by itself."""
        if not is_first:
            self.mechanisms.reopen()
            self.field.mechanisms.reopen()
        self.field.is_on |= moves_by_itself(self, everything)

    @torch.no_grad()
    def settle(self, everything: Batch) -> None:
        """When training ends, fix the average read, and close every gate that the data do not ask for."""
        close_gates(self, everything)

    def reads(self) -> tuple[Mechanism, ...]:
        """The learned causal graph: the slots that its gates let each effect read, the cells by their place."""
        cells, around = tuple(f.name for f in self.arrays), self.pointer.names
        effects = [(name, cells) for name in around] + [(name, (name,)) for name in self.names]
        effects += [("move" if k == 0 else f"move of {pose.x}", (pose.x, pose.y))
                    for k, pose in enumerate(self.pointer.poses)]
        effects += [("reward", ()), ("end", ())]
        graph = self.mechanisms.graph(joint_names(self.schema), effects, [*around, *self.names])
        return (*graph, *self.field.graph(cells, self.names)) if self.field.is_on else graph

    # --- inside ---------------------------------------------------------------------------------------------------

    def advance(self, around: Tensor, scalars: Tensor, x: Tensor, y: Tensor, index: Tensor, action: Tensor,
                gates: Tensor | None = None, moving: Moving | None = None, cells: Tensor | None = None) -> Written:
        """Read, gate, compute, from the latents of the cells `around [N, K, D]`, which are `index [N, K]`, of the
        scalars, the pointers `x`, `y [N, P]` and the joint action `[N]`; where things move by themselves from all
        `cells [N, C, D]`. While learning, `gates` are given, and averages are the batch's own."""
        mechanisms = self.mechanisms
        reads = torch.cat([around, scalars], 1)
        k, r, p = index.shape[1], reads.shape[1], x.shape[1]
        out = mechanisms(reads, action, *((mechanisms.gates(), mechanisms.average) if gates is None else (gates,)))
        board = None
        if self.field.is_on:
            assert cells is not None
            around, board = self._moved(cells, scalars, x, y, index, moving or Moving())
            reads = torch.cat([around, scalars], 1)
        wrote = reads + out[:, :r]
        rest = out[:, r:]
        return Written(wrote[:, :k], wrote[:, k:], rest[:, :p, :5], rest[:, -2, 0], rest[:, -1, 0], board)

    def _moved(self, cells: Tensor, scalars: Tensor, x: Tensor, y: Tensor, index: Tensor, moving: Moving,
               ) -> tuple[Tensor, Tensor]:
        """What the field makes of the cells around `[N, K, D]`, and of those that are asked for (or all)."""
        inner, at, k = self.field.mechanisms, self.standing(x, y), index.shape[1]
        by = (inner.gates(), inner.average) if moving.gates is None else (moving.gates, None)
        if moving.which is None:
            board = self.field(cells, scalars, at, *by) if moving.board is None else moving.board
            return gather(board, index, self.outside), board
        both = self.field(cells, scalars, at, *by, which=torch.cat([index.clamp_min(0), moving.which], 1))
        return torch.where((index >= 0)[..., None], both[:, :k], self.outside), both[:, k:]

    def cells(self, state: SlotState) -> Tensor:
        """The latents of all cells, `[N, C, D]`."""
        if self.schema.grid is None:
            return state.written
        return scatter(self.code.of_cells(state.codes), state.touched, state.written)

    def _read(self, state: SlotState, index: Tensor) -> Tensor:
        """The latents of the cells `index [N, K]`: as they were last written, else what their codes stand for."""
        if self.schema.grid is None:
            return state.written
        at = index.clamp_min(0)[..., None]
        found = self.code.of_cells(state.codes.gather(1, at.expand(-1, -1, len(self.arrays))))
        same = index[:, :, None] == state.touched[:, None, :]
        carried = state.written.gather(1, same.byte().argmax(-1, keepdim=True).expand_as(found))
        found = torch.where(same.any(-1, keepdim=True), carried, found)
        return torch.where((index >= 0)[..., None], found, self.outside)

    def standing(self, x: Tensor, y: Tensor) -> Tensor:
        """The flat indices of the cells `[N, P]` that the pointers stand on."""
        width, height = self.pointer.shape
        return x.clamp(0, width - 1) * height + y.clamp(0, height - 1)

    def joint(self, action: Tensor) -> Tensor:
        """Action rows `[N, A]` to one code `[N]`."""
        return (action.long() * self.strides).sum(-1)

    def encode(self, features: Features) -> SlotState:
        """The state that stands for `features [N, ...]`."""
        x, y, _ = self.pointer.read(features)
        scalars = self.code.of_scalars(features)
        if self.schema.grid is None:
            empty = x.new_zeros(len(x), 0)
            return SlotState(empty[..., None], scalars, x, y, empty, scalars[:, :0])
        touched = torch.full((len(x), self.pointer.count), -1)
        return SlotState(self.code.codes(features), scalars, x, y, touched,
                         scalars.new_zeros(*touched.shape, self.config.width))

    def _array(self, i: int, f: Feature, state: SlotState, index: Tensor, wrote: Written) -> Distribution:
        """The distribution of the i-th array: known but around the pointers, or open everywhere if things move."""
        logits = self.code.cell_logits(wrote.cells)[i]
        if wrote.board is None:
            return Board(f, state.codes[..., i], index, logits)
        everywhere = scatter(self.code.cell_logits(wrote.board)[i], index, logits)
        return Categorical(f, everywhere.view(-1, *f.shape, everywhere.shape[-1]))

    def _headings(self, state: SlotState) -> Tensor:
        """Where each pointer looks, `[N, P]`."""
        found = [torch.zeros_like(state.x[:, 0]) if i is None else self.code.scalar_logits(i, state.scalars).argmax(-1)
                 for i in self.headings]
        return torch.stack(found, 1) if found else state.x
