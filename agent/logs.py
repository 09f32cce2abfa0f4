"""Training curves on disk, for TensorBoard to read (`tensorboard --logdir DIR`)."""

from __future__ import annotations

import math
from pathlib import Path

from ..errors import UserError
from ..world.training import Progress


class Logs:
    """Writes the losses of a training to a folder; call it with every `Progress`, and close it at the end.

    Needs tensorboardX: raises `UserError` without it. Steps are counted over all trainings of the agent, so that what
    is resumed goes on in the same curves.
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise UserError('writing logs needs tensorboardX; run: python -m pip install "gedanken[logs]"') from error
        self.writer = SummaryWriter(str(folder))
        self._last: tuple[dict[str, float], float] = ({}, math.nan)

    def __call__(self, progress: Progress) -> None:
        losses, held_out = self._last
        if progress.losses != losses:
            for name, value in progress.losses.items():
                self.writer.add_scalar(f"loss/{name}", value, progress.total)
            self.writer.add_scalar("loss", sum(progress.losses.values()), progress.total)
        if math.isfinite(progress.held_out) and progress.held_out != held_out:
            self.writer.add_scalar("held_out", progress.held_out, progress.total)
        self._last = dict(progress.losses), progress.held_out

    def close(self) -> None:
        self.writer.close()

    def __enter__(self) -> Logs:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
