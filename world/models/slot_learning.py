"""How the slot model learns: the loss of unrolled latents, whether anything moves by itself, which gates are closed.

N rows, B sequences, T steps, K cells around the pointers, O outputs, C cells, D latent width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import tree
from ..distributions import encode
from ..model import Batch
from .elimination import eliminate
from .field import Moving
from .pointer import beside, gather, once, scatter

if TYPE_CHECKING:
    from .slots import Slots

REWARD_PRECISION = 50.0
"""Half the inverse variance of a reward's error: a tenth of a reward is half a nat."""
_FIELD_ROWS = 256  # transitions by which the gates of the rule of all cells are closed
_SAMPLED = 16  # cells of a board, by which it learns
_SURE = 0.01  # nats a transition, below which an output is as good as certain
_CHANCE = 2.0


@dataclass(frozen=True)
class Transitions:
    """N transitions: features `[N, ...]` before and after, `action [N, A]`, `reward [N]`, `terminated [N]`."""

    now: dict[str, Tensor]
    after: dict[str, Tensor]
    action: Tensor
    reward: Tensor
    terminated: Tensor

    @staticmethod
    def at(batch: Batch, t: int) -> Transitions:
        """Those at time t of every sequence."""
        return Transitions(batch.features_at(t), batch.features_at(t + 1), batch.action[:, t], batch.reward[:, t],
                           batch.terminated[:, t])

    @staticmethod
    def of(batch: Batch) -> Transitions:
        """All real ones, in one row each."""
        real = batch.mask
        now, after = ({k: v[:, part][real] for k, v in batch.features.items()} for part in (slice(-1), slice(1, None)))
        return Transitions(now, after, batch.action[real], batch.reward[real], batch.terminated[real])


@dataclass(frozen=True)
class Errors:
    """One latent step against what came: the new latents, the errors `outputs [N, O]` and, of all cells that no pointer
    stands by, `field [N]`, in nats; `distance [N]` of the written latents to the encoding of the truth."""

    cells: Tensor
    scalars: Tensor
    outputs: Tensor
    field: Tensor
    distance: Tensor


def unrolled(model: Slots, batch: Batch, rng: torch.Generator | None) -> dict[str, Tensor]:
    """The losses of latents unrolled over `[B, T]`: summed over outputs, mean over rows."""
    config, inner = model.config, model.field.mechanisms
    gates = model.mechanisms.gates(rng)
    of_field = inner.gates(rng) if model.field.is_on else None
    board = len(model.field.near)
    state = model.encode(batch.features_at(0))
    cells, scalars = model.cells(state), state.scalars
    names = ["cells"] * model.pointer.count + ["scalars"] * len(model.scalars)
    names += ["move"] * len(model.pointer.poses) + ["reward", "end"]
    total = dict.fromkeys([*names, "closeness"], torch.zeros(()))
    count = batch.mask.sum().clamp_min(1)
    for t in range(batch.action.shape[1]):
        which = None
        if rng is not None and of_field is not None and board > _SAMPLED:
            which = torch.randint(board, (len(cells), _SAMPLED), generator=rng)
        found = step_errors(model, cells, scalars, Transitions.at(batch, t), gates, Moving(of_field, which))
        cells, scalars, mask = found.cells, found.scalars, batch.mask[:, t].float()
        for name, error in zip(names, (found.outputs * mask[:, None]).sum(0) / count, strict=True):
            total[name] = total[name] + error
        total["closeness"] = total["closeness"] + (found.distance * mask).sum() / count
        if of_field is not None:
            total["field"] = total.get("field", torch.zeros(())) + (found.field * mask).sum() / count
    total["closeness"] = total["closeness"] * config.closeness * 0.1
    total["autoencode"] = model.code.reconstruction(config.autoencode_rows, rng) * config.autoencode
    total["sparsity"] = model.mechanisms.gates.open_probability().sum() * config.sparsity
    if of_field is not None:
        total["sparsity"] = total["sparsity"] + inner.gates.open_probability().sum() * config.sparsity
    return total


def step_errors(model: Slots, cells: Tensor, scalars: Tensor, lived: Transitions, gates: Tensor,
                moving: Moving) -> Errors:
    """One step from the latents `cells [N, C, D]` and `scalars [N, S, D]` under the true pointers; see `advance`."""
    code, now, after = model.code, lived.now, lived.after
    x, y, headings = model.pointer.read(now)
    index, dx, dy = model.pointer.around(x, y, headings)
    around = gather(cells, index, model.outside)
    wrote = model.advance(around, scalars, x, y, index, model.joint(lived.action), gates, moving, cells)
    distance = (wrote.scalars - code.of_scalars(after).detach()).square().sum((-1, -2))
    errors, field = [], torch.zeros(len(x))
    if model.arrays:
        onboard, truth = (index >= 0).float(), code.codes(after)
        target = truth.gather(1, index.clamp_min(0)[..., None].expand(-1, -1, len(model.arrays)))
        errors.append(_cells(model, wrote.cells, target) * onboard)
        far = (wrote.cells - code.of_cells(target).detach()).square().sum(-1)
        distance = distance + (far * onboard).sum(1)
        cells = scatter(cells, once(index), wrote.cells)
        if wrote.board is not None:
            away, came = ~beside(index, truth.shape[1]), truth
            if moving.which is not None:
                away, came = away.gather(1, moving.which), truth[torch.arange(len(x))[:, None], moving.which]
            field = (_cells(model, wrote.board, came) * away).sum(1) * (truth.shape[1] / came.shape[1])
            cells = code.of_cells(truth)  # as a step goes on from what it decoded, or a board of doubts would blur
    errors += [_cross_entropy(code.scalar_logits(i, wrote.scalars), encode(f, after[f.name]))[:, None]
               for i, f in enumerate(model.scalars)]
    x2, y2, _ = model.pointer.read(after)
    for k in range(x.shape[1]):
        moved = (dx[:, k] == (x2 - x)[:, k, None]) & (dy[:, k] == (y2 - y)[:, k, None])
        errors.append((_cross_entropy(wrote.moves[:, k], moved.long().argmax(1)) * moved.any(1))[:, None])
    errors.append(REWARD_PRECISION * (wrote.reward - lived.reward).square()[:, None])
    # Ends are smoothed a little: a logit that may grow without bound keeps reading whatever makes it grow.
    ended = lived.terminated.float().clamp(0.001, 0.999)
    errors.append(F.binary_cross_entropy_with_logits(wrote.end, ended, reduction="none")[:, None])
    return Errors(cells, wrote.scalars, torch.cat(errors, 1), field, distance)


def moves_by_itself(model: Slots, everything: Batch) -> Tensor:
    """Whether any cell changes that lies around no pointer."""
    if not model.arrays:
        return torch.tensor(False)
    lived = Transitions.of(everything)
    x, y, headings = model.pointer.read(lived.now)
    changed = (model.code.codes(lived.now) != model.code.codes(lived.after)).any(-1)
    index = model.pointer.around(x, y, headings)[0]
    return (changed & ~beside(index, changed.shape[1])).any()


def close_gates(model: Slots, everything: Batch) -> None:
    """Fix the average reads, and close every gate that costs less than its price."""
    lived = Transitions.of(everything)
    state, mechanisms = model.encode(lived.now), model.mechanisms
    index = model.pointer.around(*model.pointer.read(lived.now))[0]
    joint = model.joint(lived.action)
    cells = model.cells(state)
    mechanisms.average.copy_(torch.cat([gather(cells, index, model.outside), state.scalars], 1).mean(0))
    board = None
    if model.field.is_on:
        rows = torch.linspace(0, len(joint) - 1, min(len(joint), _FIELD_ROWS)).long()
        _close_field(model, tree.take(lived, rows))
        inner = model.field.mechanisms
        board = model.field(cells, state.scalars, model.standing(state.x, state.y), inner.gates(), inner.average)

    def cost(gates: Tensor) -> Tensor:
        errors = step_errors(model, cells, state.scalars, lived, gates, Moving(board=board)).outputs
        return errors.new_zeros(gates.shape[:2]).index_add_(0, joint, errors)

    count = torch.bincount(joint, minlength=len(mechanisms.bias))[:, None]
    mechanisms.close(eliminate(mechanisms.gates(), cost, _price(model, cost(mechanisms.gates()), count)))


def _close_field(model: Slots, lived: Transitions) -> None:
    """The same for the rule of all cells; these are so many that a part of the transitions is enough."""
    state, inner = model.encode(lived.now), model.field.mechanisms
    gates = model.mechanisms.gates()
    cells, at = model.cells(state), model.standing(state.x, state.y)
    inner.average.copy_(model.field.reads(cells, state.scalars, at).flatten(0, 1).mean(0))

    def cost(of_field: Tensor) -> Tensor:
        return step_errors(model, cells, state.scalars, lived, gates, Moving(of_field)).field.sum().view(1, 1)

    inner.close(eliminate(inner.gates(), cost, _price(model, cost(inner.gates()), torch.tensor(len(lived.reward)))))


def _price(model: Slots, cost: Tensor, count: Tensor) -> Tensor:
    """What a gate must be worth, where outputs `cost` so many nats over `count` transitions: where chance rules, a few
    parameters gain some nats by chance (Schwarz 1978), where nothing is left to explain a single event is enough."""
    return model.config.price + _CHANCE * (cost - _SURE * count).clamp_min(0).log1p()


def _cells(model: Slots, latents: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of cells `[N, K, D]` against codes `[N, K, arrays]`, summed over the arrays: `[N, K]`."""
    parts = [_cross_entropy(part, target[..., i]) for i, part in enumerate(model.code.cell_logits(latents))]
    return torch.stack(parts).sum(0)


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy without reduction over any leading axes."""
    return -logits.log_softmax(-1).gather(-1, target.long()[..., None])[..., 0]
