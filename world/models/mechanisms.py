"""Mechanisms: what writes an output, and the slots it reads. A gated network of them, and the causal graph it learned.

Under each joint action every output has a mechanism: a small network over the slots whose gates are open. N rows,
A joint actions, O outputs, R slots read, D numbers a slot, H hidden units, K numbers an output.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..schema import Schema
from .gates import CLOSED, Gates


@dataclass(frozen=True)
class Mechanism:
    """Under `action` ("" for whatever is done), `effect` depends on `causes`, and on nothing else; without causes it
    stays as it is, or changes by a constant. `features` are the schema's names that the effect writes."""

    action: str
    effect: str
    causes: tuple[str, ...]
    features: tuple[str, ...]


@runtime_checkable
class Causal(Protocol):
    """A model whose gates are a causal graph."""

    def reads(self) -> tuple[Mechanism, ...]:
        """The learned causal graph: a mechanism an action and effect."""


class Mechanisms(nn.Module):
    """`actions` x `outputs` gated networks of one hidden layer, computed together.

    Gates pass deviations from the average read: a read that never varied can then not serve as a bias, which would keep
    its gate open and decide wherever it does vary. While training, the average is a batch's own, and when it ends
    that of all data. The constants `bias` learn as fast as gates, so that no read is needed to make up for a slow one.
    """

    average: Tensor

    def __init__(self, actions: int, outputs: int, reads: int, width: int, hidden: int, numbers: int) -> None:
        super().__init__()
        self.register_buffer("average", torch.zeros(reads, width))
        self.gates = Gates(actions, outputs, reads)
        self.first = nn.Parameter(torch.randn(outputs, reads * width, hidden) / (reads * width) ** 0.5)
        self.of_action = nn.Parameter(torch.randn(actions, outputs, hidden) * 0.1)
        self.second = nn.Parameter(torch.zeros(outputs, hidden, numbers))
        self.bias = nn.Parameter(torch.zeros(actions, outputs, numbers))

    def forward(self, reads: Tensor, action: Tensor, gates: Tensor, average: Tensor | None = None) -> Tensor:
        """What `reads [N, R, D]` write under the joint action `[N]`, through `gates [A, O, R]`: `[N, O, K]`."""
        n, r, d = reads.shape
        average = reads.detach().mean(0) if average is None else average
        if len(gates) == 1:  # gates that all rows share gate the weights
            first = self.first * gates[0].repeat_interleave(d, 1)[..., None]
            hidden = torch.matmul((reads - average).view(n, r * d), first)  # [O, N, H]
        else:
            gated = (reads - average)[:, None] * gates[action][..., None]  # [N, O, R, D]
            hidden = torch.bmm(gated.view(n, -1, r * d).transpose(0, 1), self.first)
        hidden = hidden + self.of_action.index_select(0, action).transpose(0, 1)
        return torch.bmm(F.silu(hidden), self.second).transpose(0, 1) + self.bias[action]

    @torch.no_grad()
    def reopen(self) -> None:
        """Before training on more data, open the gates a little again: what was not needed may be now."""
        self.gates.log_alpha.clamp_min_(0.0)

    @torch.no_grad()
    def close(self, which: Tensor) -> None:
        """Close gates `[A, O, R]` for good."""
        self.gates.log_alpha.masked_fill_(which, CLOSED)

    def graph(self, actions: Sequence[str], effects: Sequence[tuple[str, tuple[str, ...]]], causes: Sequence[str]
              ) -> tuple[Mechanism, ...]:
        """The open gates by name; an effect comes with the features that it writes."""
        opened = (self.gates() > 0).tolist()
        return tuple(
            Mechanism(action, effect, tuple(c for c, is_open in zip(causes, reads, strict=True) if is_open), features)
            for action, outputs in zip(actions, opened, strict=True)
            for (effect, features), reads in zip(effects, outputs, strict=True)
        )


def parameter_groups(model: nn.Module, gate_rate: float) -> list[dict]:
    """For AdamW: weights at the base rate; gates and constants of all `Mechanisms` in the model at `gate_rate` times
    that, without decay."""
    fast = [p for part in model.modules() if isinstance(part, Mechanisms) for p in (part.gates.log_alpha, part.bias)]
    slow = [p for p in model.parameters() if all(p is not q for q in fast)]
    return [{"params": slow, "rate": 1.0}, {"params": fast, "rate": gate_rate, "weight_decay": 0.0}]


def joint_names(schema: Schema) -> list[str]:
    """The joint actions of a discrete world in words, in the order of `Schema.all_actions`."""
    return ["+".join(f.values[c] if f.values else str(int(c)) for f, c in zip(schema.actions, row, strict=True))
            for row in schema.all_actions().tolist()]


def joint_strides(schema: Schema) -> Tensor:
    """By what to multiply the codes of an action row `[..., A]`, so that their sum is the joint action's index."""
    counts = torch.tensor([a.cardinality or 0 for a in schema.actions])
    return torch.cat([counts.flip(0).cumprod(0).flip(0)[1:], torch.ones(1)]).long()
