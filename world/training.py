"""Training a world model on sequences from replay: AdamW, early stopping on held-out layouts, everything resumable.

The trainer owns the optimiser, the random state and the run it is in (the place in its schedule, the best weights, how
long it has waited for better ones), so that 2N steps equal N steps, a restart, and N more. Replay stays on the CPU;
batches are moved to the device.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, cast

import torch
from torch import Tensor, nn

from ..errors import UserError
from . import processes, tree
from .interrupts import deferred
from .model import Batch
from .seeding import mixed

REPORT_EVERY = 20
"""Steps between two looks at the losses: each look waits for the device."""


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
    `patience` checks without a better one, but not before `min_steps` (sparsity needs time). `device` "auto" is the
    accelerator where there is one; `precision` "bf16" computes losses in half precision. Every `save_every` steps a
    caller that wants it is asked to save. Of a batch, a share `recent` is drawn by age and one `surprising` by
    surprise, measured every `refresh` steps; the rest uniformly. Raises `UserError` where these do not fit."""

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
    device: Literal["cpu", "auto"] = "cpu"
    precision: Literal["no", "bf16"] = "no"
    save_every: int = 200
    recent: float = 0.0
    surprising: float = 0.0
    refresh: int = 100

    def __post_init__(self) -> None:
        if min(self.recent, self.surprising) < 0 or self.recent + self.surprising >= 1 or self.refresh < 1:
            raise UserError(f"a training draws {self.recent} of a batch as recent and {self.surprising} as surprising, "
                            f"refreshed every {self.refresh} steps: give shares from 0 that sum to less than 1, and at "
                            "least 1 step")


@dataclass
class Progress:
    """What a progress bar shows: the step of how many, the losses of a recent step, the held-out loss, and the `total`
    of steps ever taken."""

    step: int
    steps: int
    losses: dict[str, float] = field(default_factory=dict)
    held_out: float = float("nan")
    total: int = 0


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


@dataclass
class Run:
    """One training from its first step to its last: of how many steps, on how many transitions, how far it is, and
    what it found. `weights` are those it goes on with, while it rests and the model has the best."""

    steps: int
    rows: int
    step: int = 0
    waited: int = 0
    best: float = float("inf")
    held_out: float = float("nan")
    losses: dict[str, float] = field(default_factory=dict)
    best_weights: dict[str, Tensor] | None = None
    weights: dict[str, Tensor] | None = None


class Trainer:
    """Trains one model. A run that was broken off (Ctrl-C, an error, kill -9 and a checkpoint) goes on where it was,
    bit for bit, at the next `run` on the same data; on other data a new one begins.

    In several processes (see `processes`) every one calls `run`, on the same data.
    """

    def __init__(self, model: nn.Module, config: TrainingConfig | None = None, seed: int = 0) -> None:
        self.config = config or TrainingConfig()
        self.seed = seed
        self.rng = torch.Generator().manual_seed(seed)
        self.model, self.steps_done = model, 0
        groups = cast(Trainable, model).parameter_groups()
        self.rates = [float(g.pop("rate", 1.0)) * self.config.rate for g in groups]
        self.optimiser = torch.optim.AdamW(groups, lr=self.config.rate, weight_decay=self.config.weight_decay)
        self.running: Run | None = None

    def run(
        self,
        source: Source,
        steps: int | None = None,
        progress: Callable[[Progress], None] | None = None,
        save: Callable[[], None] | None = None,
    ) -> float:
        """Train, or go on with the run that was broken off, and return the best held-out loss (NaN where nothing is
        held out). `save` is called every `save_every` steps.

        An interrupt (Ctrl-C, SIGTERM) is raised between two steps; the model then has the best weights so far.
        """
        everything = source.everything()
        if everything is None:
            return float("nan")
        run = self._begun(everything, self.config.steps if steps is None else steps)
        device = processes.device_named(self.config.device)
        try:
            with deferred() as check:
                self._move(device)
                while not self._is_over(run):
                    batch = source.batch(self.config.batch, self.config.length, self.rng)
                    if batch is None:
                        break
                    losses = self._step(run, batch, device)
                    if run.step % self.config.check_every == 0 or run.step == run.steps:
                        self._check(run, source)
                    if progress:
                        progress(self._report(run, losses))
                    if save and run.step % self.config.save_every == 0:
                        save()
                    check()
            self.running = None
        finally:
            self._move(torch.device("cpu"))
            if self.running is run:
                run.weights = copy.deepcopy(self.model.state_dict())
            self._settle(run, source)
        return run.best if run.best_weights is not None else float("nan")

    def rest(self, source: Source) -> None:
        """Give the model of a run that was broken off and loaded the best weights so far, to act with meanwhile."""
        if self.running is not None:
            self._settle(self.running, source)

    def adapt(self, source: Source, steps: int, rate: float, reopen: bool) -> None:
        """Go on for a few steps at `rate` times the learning rate, without early stopping (test-time training).
        `reopen` lets the model decide its structure and scales anew, as a whole training does."""
        everything = source.everything() if reopen else None
        if everything is not None:
            self.model.prepare(everything, is_first=False)  # type: ignore[operator]
        device = processes.device_named(self.config.device)
        try:
            self._move(device)
            for _ in range(steps):
                batch = source.batch(self.config.batch, self.config.length, self.rng)
                if batch is not None:
                    self._descend(batch, device, rate)
        finally:
            self._move(torch.device("cpu"))
            if everything is not None:
                self.model.settle(everything)  # type: ignore[operator]

    def held_out_loss(self, source: Source) -> float:
        """The loss on held-out sequences, always the same ones; NaN where nothing is held out."""
        batch = source.batch(
            self.config.check_rows, self.config.length, torch.Generator().manual_seed(0), held_out=True
        )
        if batch is None:
            return float("nan")
        with torch.no_grad():
            losses = self._losses(batch, next(self.model.parameters()).device, None)
        return float(processes.mean(sum((v for k, v in losses.items() if k != "autoencode"), torch.zeros(()))))

    def state_dict(self) -> dict[str, Any]:
        """Everything but the model: tensors and JSON values, nested."""
        run = None
        if self.running is not None:
            now = {k: v.clone() for k, v in self.model.state_dict().items()}
            run = vars(self.running) | {"weights": self.running.weights or now}
        return {"optimiser": self.optimiser.state_dict(), "rng": self.rng.get_state(), "steps_done": self.steps_done,
                "run": run}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Return to a `state_dict`, also one whose keys were made strings."""
        moments = {int(k): v for k, v in state["optimiser"]["state"].items()}
        self.optimiser.load_state_dict(state["optimiser"] | {"state": moments})
        self.rng.set_state(state["rng"])
        self.steps_done = int(state["steps_done"])
        self.running = None if state["run"] is None else Run(**state["run"])

    # --- one step -------------------------------------------------------------------------------------------------

    def _begun(self, everything: Batch, steps: int) -> Run:
        run, rows = self.running, len(everything.reward)
        if run is not None and run.weights is not None and (run.rows, run.steps) == (rows, steps):
            self.model.load_state_dict(run.weights)
            run.weights = None
            return run
        self.model.prepare(everything, is_first=self.steps_done == 0)  # type: ignore[operator]
        self.running = Run(steps, rows)
        return self.running

    def _is_over(self, run: Run) -> bool:
        is_waiting = run.step >= self.config.min_steps and run.waited >= self.config.patience
        return run.step >= run.steps or is_waiting

    def _step(self, run: Run, batch: Batch, device: torch.device) -> dict[str, Tensor]:
        losses = self._descend(batch, device, 0.55 + 0.45 * math.cos(math.pi * run.step / run.steps))
        run.step += 1
        return losses

    def _descend(self, batch: Batch, device: torch.device, scale: float) -> dict[str, Tensor]:
        """One gradient step at `scale` times the learning rate; the losses before it."""
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * scale
        noise = torch.Generator(device)
        noise.manual_seed(mixed(self.seed, self.steps_done, processes.state().process_index))
        losses = self._losses(batch, device, noise)
        self.optimiser.zero_grad(set_to_none=True)
        sum(losses.values(), torch.zeros((), device=device)).backward()
        processes.average_gradients(self.model.parameters())
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.optimiser.step()
        self.steps_done += 1
        return losses

    def _losses(self, batch: Batch, device: torch.device, noise: torch.Generator | None) -> dict[str, Tensor]:
        """The named losses of this process's rows, weighted such that their mean over the processes is that of the
        whole batch."""
        own: Batch = tree.tree_map(lambda x: x.to(device), processes.own_rows(batch))
        whole = own is batch or len(own.mask) == len(batch.mask)
        share = 1.0 if whole else processes.state().num_processes * own.mask.sum() / batch.mask.sum().clamp_min(1)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.config.precision == "bf16"):
            losses = self.model.loss(own, noise)  # type: ignore[operator]
        return {name: loss * share for name, loss in losses.items()}

    def _check(self, run: Run, source: Source) -> None:
        run.held_out = self.held_out_loss(source)
        if not run.held_out >= run.best:
            run.best, run.waited = run.held_out, 0
            run.best_weights = copy.deepcopy(self.model.state_dict())
        else:
            run.waited += 1

    def _report(self, run: Run, losses: dict[str, Tensor]) -> Progress:
        if run.step % REPORT_EVERY == 0:
            values = processes.mean(torch.stack([v.detach().float() for v in losses.values()]))
            run.losses = dict(zip(losses, values.tolist(), strict=True))
        return Progress(run.step, run.steps, run.losses, run.held_out, self.steps_done)

    def _settle(self, run: Run, source: Source) -> None:
        if run.best_weights is not None:
            self.model.load_state_dict(run.best_weights)
        if (everything := source.everything()) is not None:
            self.model.settle(everything)  # type: ignore[operator]

    def _move(self, device: torch.device) -> None:
        self.model.to(device)
        for state in self.optimiser.state.values():
            state.update({k: v.to(device) for k, v in state.items() if isinstance(v, Tensor) and k != "step"})


def exact(predicted: Mapping[str, Tensor], actual: Mapping[str, Tensor]) -> Tensor:
    """Whether every discrete feature of a row is predicted exactly: `[N]` bool."""
    per = [
        (predicted[k] == actual[k]).flatten(1).all(1) if actual[k].dim() > 1 else predicted[k] == actual[k]
        for k in actual
        if not actual[k].is_floating_point()
    ]
    return torch.stack(per).all(0)
