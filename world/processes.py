"""Several processes as one learner (`accelerate launch -m gedanken learn ...`): who writes, who waits, whose rows.

All processes draw the same batches from the same memory and each takes its rows of them; gradients are averaged in one
message. Models are small and leave parameters unused in many steps, which is what wrappers around them trip over.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from . import tree

T = TypeVar("T")
PATIENCE = timedelta(days=7)
"""How long processes wait for each other: the first one collects meanwhile."""


def state() -> Any:
    """The process as accelerate sees it (`accelerate.PartialState`): one of one where nobody launched several."""
    from accelerate import PartialState

    return PartialState(cpu=not torch.cuda.is_available(), timeout=PATIENCE)


def wait() -> None:
    """Until every process is here."""
    state().wait_for_everyone()


def device_named(name: str) -> torch.device:
    """"cpu", or with "auto" the accelerator that this process is given (the CPU where there is none)."""
    here = state()
    if name == "cpu":
        return torch.device("cpu")
    return here.device if here.num_processes > 1 else here.default_device


def own_rows(batch: T) -> T:
    """This process's rows of a batch that all of them drew alike."""
    here = state()
    if here.num_processes == 1:
        return batch
    return tree.tree_map(lambda x: x[here.process_index :: here.num_processes], batch)


def mean(value: Tensor) -> Tensor:
    """The mean of a tensor over the processes."""
    from accelerate.utils import reduce

    return value if state().num_processes == 1 else reduce(value, reduction="mean")


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Give every process the mean of all gradients; a parameter without one counts as zero."""
    if state().num_processes == 1:
        return
    every = list(parameters)
    flat = mean(torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in every]))
    for p, part in zip(every, flat.split([p.numel() for p in every]), strict=True):
        p.grad = part.view_as(p).clone()
