"""Workers for the tests of the harness, in a module of their own so that other processes find them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Square:
    number: int
    trace: str = ""


def square(job: Square) -> dict[str, object]:
    """`number` squared; leaves a line in the file `trace`; fails while the file `<trace>.broken` names the number."""
    import torch

    trace = Path(job.trace)
    with trace.open("a") as file:
        file.write(f"{job.number}\n")
    broken = trace.with_suffix(".broken")
    if broken.exists() and str(job.number) in broken.read_text().split():
        raise ValueError(f"{job.number} cannot be squared today")
    if job.number < 0:
        raise KeyboardInterrupt
    return {"square": job.number**2, "threads": torch.get_num_threads(), "process": os.getpid()}
