"""Training a world model on sequences from replay: AdamW, early stopping on held-out layouts, everything resumable.

The trainer owns the optimiser and the random states, so that 2N steps equal N steps, a restart, and N more.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from .model import Batch


class Source(Protocol):
    """Where batches come from: replay."""

    def batch(self, size: int, length: int, rng: torch.Generator, held_out: bool = False) -> Batch | None:
        """`size` sequences of `length` transitions, or None where there is nothing (no held-out part yet)."""

    def everything(self) -> Batch | None:
        """All training transitions as sequences of one."""


@dataclass(frozen=True)
class TrainingConfig:
    """`steps` at most; `batch` sequences of `length` transitions a step; the rate falls by a cosine to a tenth.
    Every `check_every` steps the held-out loss is measured; the best weights are kept and training stops after
    `patience` checks without a better one, but not before `min_steps` (sparsity needs time)."""

    steps: int = 1500
    min_steps: int = 600
    batch: int = 64
    length: int = 3
    rate: float = 3e-3
    weight_decay: float = 1e-4
    clip: float = 10.0
    check_every: int = 100
    check_rows: int = 256
    patience: int = 5


@dataclass
class Progress:
    """What a progress bar shows: the step of how many, the losses of the last step, the held-out loss."""

    step: int
    steps: int
    losses: dict[str, float] = field(default_factory=dict)
    held_out: float = float("nan")


class Trainable(Protocol):
    """A world model that learns: an `nn.Module` with these."""

    def loss(self, batch: Batch, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        """Named losses whose sum is minimised."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Groups for AdamW; `rate` is a group's learning rate over the configured one."""

    def prepare(self, everything: Batch, is_first: bool) -> None:
        """Before training: look at all the data (to normalise by it, to open what was closed)."""

    def settle(self, everything: Batch) -> None:
        """After training, also after an interrupted one: what all the data decide (what to close)."""


class Trainer:
    """Trains one model. `state_dict` holds the optimiser, the random state and the count of steps."""

    def __init__(self, model: nn.Module, config: TrainingConfig | None = None, seed: int = 0) -> None:
        from accelerate import Accelerator

        self.config = config or TrainingConfig()
        self.accelerator = Accelerator(cpu=True)  # replay is on the CPU, and models this small are faster there
        self.rng = torch.Generator().manual_seed(seed)
        groups = cast(Trainable, model).parameter_groups()
        self.rates = [float(g.pop("rate", 1.0)) * self.config.rate for g in groups]
        optimiser = torch.optim.AdamW(groups, lr=self.config.rate, weight_decay=self.config.weight_decay)
        self.model, self.optimiser = self.accelerator.prepare(model, optimiser)
        self.steps_done = 0

    def run(
        self, source: Source, steps: int | None = None, progress: Callable[[Progress], None] | None = None
    ) -> float:
        """Train for up to `steps` more and return the best held-out loss (NaN where nothing is held out).

        An interrupt (Ctrl-C) leaves the model with the best weights so far and is raised again.
        """
        config = self.config
        steps = config.steps if steps is None else steps
        best, best_weights, waited, held = float("inf"), None, 0, float("nan")
        report = Progress(0, steps)
        everything = source.everything()
        if everything is None:
            return held
        self.model.prepare(everything, is_first=self.steps_done == 0)
        try:
            for i in range(steps):
                batch = source.batch(config.batch, config.length, self.rng)
                if batch is None:
                    break
                scale = 0.55 + 0.45 * torch.cos(torch.tensor(torch.pi * i / steps)).item()
                for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
                    group["lr"] = rate * scale
                losses = self._descend(batch)
                if (i + 1) % config.check_every == 0 or i + 1 == steps:
                    held = self.held_out_loss(source)
                    if not held >= best:
                        best, waited = held, 0
                        best_weights = copy.deepcopy(self.model.state_dict())
                    else:
                        waited += 1
                    if i + 1 >= config.min_steps and waited >= config.patience:
                        break
                if progress:
                    report.step, report.held_out = i + 1, held
                    report.losses = {k: v.item() for k, v in losses.items()} if (i + 1) % 20 == 0 else report.losses
                    progress(report)
        finally:
            if best_weights is not None:
                self.model.load_state_dict(best_weights)
            self.model.settle(everything)
        return best if best_weights is not None else float("nan")

    def adapt(self, source: Source, steps: int, rate: float, reopen: bool) -> None:
        """Go on for a few steps at `rate` times the learning rate, without early stopping (test-time training).
        `reopen` lets the model decide its structure and scales anew, as a whole training does."""
        everything = source.everything() if reopen else None
        if everything is not None:
            self.model.prepare(everything, is_first=False)
        for group, usual in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * usual
        try:
            for _ in range(steps):
                batch = source.batch(self.config.batch, self.config.length, self.rng)
                if batch is not None:
                    self._descend(batch)
        finally:
            if everything is not None:
                self.model.settle(everything)

    def _descend(self, batch: Batch) -> dict[str, Tensor]:
        """One gradient step; the losses before it."""
        losses: dict[str, Tensor] = self.model.loss(batch, self.rng)
        self.optimiser.zero_grad(set_to_none=True)
        self.accelerator.backward(sum(losses.values(), torch.zeros(())))
        self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.optimiser.step()
        self.steps_done += 1
        return losses

    @torch.no_grad()
    def held_out_loss(self, source: Source) -> float:
        """The loss on held-out sequences, always the same ones; NaN where nothing is held out."""
        batch = source.batch(
            self.config.check_rows, self.config.length, torch.Generator().manual_seed(0), held_out=True
        )
        if batch is None:
            return float("nan")
        losses = self.model.loss(batch)
        return float(sum(v for k, v in losses.items() if k != "autoencode"))

    def state_dict(self) -> dict[str, Any]:
        return {"optimiser": self.optimiser.state_dict(), "rng": self.rng.get_state(), "steps_done": self.steps_done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimiser.load_state_dict(state["optimiser"])
        self.rng.set_state(state["rng"])
        self.steps_done = int(state["steps_done"])


def exact(predicted: dict[str, Tensor], actual: dict[str, Tensor]) -> Tensor:
    """Whether every discrete feature of a row is predicted exactly: `[N]` bool."""
    per = [
        (predicted[k] == actual[k]).flatten(1).all(1) if actual[k].dim() > 1 else predicted[k] == actual[k]
        for k in actual
        if not actual[k].is_floating_point()
    ]
    return torch.stack(per).all(0)
