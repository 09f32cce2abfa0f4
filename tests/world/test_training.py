"""The trainer: what is broken off goes on where it was, signals wait for a whole step, and what a step costs is equal
however it is shared out."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gedanken.agent.packing import pack, unpack
from gedanken.world import processes
from gedanken.world.model import Batch
from gedanken.world.models.recurrent import Recurrent, RecurrentConfig
from gedanken.world.schema import Feature, Schema
from gedanken.world.training import Progress, Trainer, TrainingConfig

torch.set_num_threads(1)
LINE = Schema("line", (Feature("x"), Feature("lamp", "boolean")),
              (Feature("action", "category", values=("left", "right")),), lambda o, e: {}, lambda a: a)
SMALL = RecurrentConfig(hidden=12, latent=3, width=12, overshoot=2)
BRIEF = TrainingConfig(steps=12, min_steps=2, batch=6, length=3, check_every=3, check_rows=8, patience=2, save_every=4)


@dataclass
class Walks:
    """A source of walks on a line: every draw another one."""

    rows: int = 40

    def batch(self, size: int, length: int, rng: torch.Generator, held_out: bool = False) -> Batch | None:
        action = torch.randint(2, (size, length, 1), generator=rng)
        noise = torch.randn(size, length, generator=rng) * 0.1
        x = torch.cat([torch.zeros(size, 1), (2.0 * action[..., 0] - 1 + noise).cumsum(1)], 1)
        ended = torch.rand(size, length, generator=rng) < 0.1
        mask = torch.cat([torch.ones(size, 1, dtype=torch.bool), ~ended[:, :-1]], 1).cumprod(1).bool()
        return Batch({"x": x, "lamp": x > 1}, action, x[:, 1:], ended & mask, mask)

    def everything(self) -> Batch | None:
        return self.batch(self.rows, 1, torch.Generator().manual_seed(9))


def trainer(config: TrainingConfig = BRIEF) -> Trainer:
    torch.manual_seed(0)
    return Trainer(Recurrent(LINE, SMALL), config, seed=4)


def weights(of: Trainer) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in of.model.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return all(torch.equal(a[k], b[k]) for k in a)


def stop_at(step: int) -> Any:
    def progress(p: Progress) -> None:
        if p.step == step:
            raise KeyboardInterrupt

    return progress


def restarted(old: Trainer, config: TrainingConfig = BRIEF) -> Trainer:
    """Another process's trainer, from what the old one's file would hold."""
    tensors, plain = pack(old.state_dict(), "trainer")
    new = trainer(config)
    new.model.load_state_dict({k: v.clone() for k, v in old.model.state_dict().items()})
    new.load_state_dict(unpack(plain, {k: v.clone() for k, v in tensors.items()}))
    return new


@pytest.mark.parametrize("at", [1, 3, 11])
def test_a_run_that_was_broken_off_goes_on_bit_for_bit(at: int) -> None:
    whole, broken = trainer(), trainer()
    best = whole.run(Walks())
    with pytest.raises(KeyboardInterrupt):
        broken.run(Walks(), progress=stop_at(at))
    again = restarted(broken)
    assert again.run(Walks()) == best
    assert same(weights(whole), weights(again))
    assert whole.steps_done == again.steps_done
    assert again.running is None


def test_what_was_saved_in_mid_run_goes_on_too_and_rests_on_the_best() -> None:
    whole, killed, states = trainer(), trainer(), []

    def save() -> None:
        states.append(restarted(killed))

    whole.run(Walks())
    killed.run(Walks(), save=save)
    assert len(states) >= 2
    for again in states:
        again.rest(Walks())  # acts with the best meanwhile
        assert same(again.running.best_weights, weights(again))  # type: ignore[union-attr, arg-type]
        again.run(Walks())
        assert same(weights(whole), weights(again))


def test_patience_goes_on_where_it_was() -> None:
    config = replace(BRIEF, rate=0.5, steps=60, check_every=2)  # diverges: waits in vain, and stops early
    whole, broken = trainer(config), trainer(config)
    whole.run(Walks())
    assert whole.steps_done < 60
    with pytest.raises(KeyboardInterrupt):
        broken.run(Walks(), progress=stop_at(whole.steps_done - 1))
    again = restarted(broken, config)
    again.run(Walks())
    assert again.steps_done == whole.steps_done


def test_on_other_data_another_run_begins() -> None:
    broken = trainer()
    with pytest.raises(KeyboardInterrupt):
        broken.run(Walks(), progress=stop_at(5))
    steps: list[int] = []
    broken.run(Walks(rows=41), progress=lambda p: steps.append(p.step))
    assert steps[0] == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_a_whole_step_and_loses_nothing(number: signal.Signals) -> None:
    whole, broken = trainer(), trainer()
    whole.run(Walks())
    handler = signal.getsignal(number)
    loss, calls = broken.model.loss, []

    def interrupted(*args: Any) -> dict[str, Tensor]:
        calls.append(1)
        if len(calls) == 7:
            os.kill(os.getpid(), number)  # in the middle of a step
        return loss(*args)  # type: ignore[operator]

    broken.model.loss = interrupted  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        broken.run(Walks())
    assert signal.getsignal(number) is handler
    again = restarted(broken)
    again.run(Walks())
    assert same(weights(whole), weights(again))


def test_the_best_weights_are_there_after_an_interrupt() -> None:
    broken = trainer()
    with pytest.raises(KeyboardInterrupt):
        broken.run(Walks(), progress=stop_at(11))
    assert same(weights(broken), broken.running.best_weights)  # type: ignore[union-attr, arg-type]
    assert not same(weights(broken), broken.running.weights)  # type: ignore[union-attr, arg-type]


def test_held_out_loss_is_of_the_same_rows_and_changes_nothing() -> None:
    one = trainer()
    before, rng = weights(one), one.rng.get_state()
    assert one.held_out_loss(Walks()) == one.held_out_loss(Walks())
    assert same(before, weights(one))
    assert torch.equal(rng, one.rng.get_state())


def test_half_precision_learns_about_the_same() -> None:
    full, half = trainer(), trainer(replace(BRIEF, precision="bf16"))
    a, b = full.run(Walks()), half.run(Walks())
    assert b == pytest.approx(a, rel=0.1)
    assert all(p.dtype == torch.float32 for p in half.model.parameters())


class Quiet(Recurrent):
    """The model without noise, so that one process and two compute the same."""

    def loss(self, batch: Batch, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return super().loss(batch)


class Endless(Walks):
    def batch(self, size: int, length: int, rng: torch.Generator, held_out: bool = False) -> Batch | None:
        batch = super().batch(size, length, rng, held_out)
        assert batch is not None
        return replace(batch, mask=torch.ones_like(batch.mask), terminated=torch.zeros_like(batch.mask))


def quiet() -> tuple[dict[str, Tensor], list[float]]:
    """Weights and losses of a small training without noise."""
    torch.manual_seed(0)
    one = Trainer(Quiet(LINE, SMALL), replace(BRIEF, check_rows=6, steps=20, min_steps=20), seed=4)
    losses: list[float] = []
    one.run(Endless(), progress=lambda p: losses.append(p.held_out if p.step < 20 else sum(p.losses.values())))
    return weights(one), losses[3::3] + losses[-1:]


def _in_one_of_two(path: str) -> None:
    from accelerate.state import PartialState

    PartialState._reset_state()  # what the parent process was
    here = processes.state()
    assert here.num_processes == 2
    assert processes.own_rows(torch.arange(5)).tolist() == ([0, 2, 4] if here.is_main_process else [1, 3])
    found, losses = quiet()
    flat = torch.cat([v.flatten() for v in found.values()])
    assert torch.equal(processes.mean(flat), flat)  # all processes end with the same weights
    if here.is_main_process:
        torch.save((found, losses), path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks this process")
def test_two_processes_learn_what_one_does_from_the_same_batches(tmp_path: Path) -> None:
    from accelerate import debug_launcher

    alone, losses = quiet()
    debug_launcher(_in_one_of_two, (str(tmp_path / "two.pt"),), num_processes=2)
    together, theirs = torch.load(tmp_path / "two.pt", weights_only=True)
    assert theirs == pytest.approx(losses, rel=1e-4)
    for name, value in alone.items():
        assert torch.allclose(value, together[name], atol=1e-4), name
