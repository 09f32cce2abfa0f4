"""Features of many steps, put together only where they are read: most objectives look at a few of them, or at none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from .schema import Features


class Steps(Mapping[str, Tensor]):
    """The features of T successive steps, `[N, *shape]` each, read as name -> `[T, N, *shape]`."""

    def __init__(self, steps: Sequence[Features]) -> None:
        self.steps, self._read = steps, dict[str, Tensor]()

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._read:
            self._read[name] = torch.stack([step[name] for step in self.steps])
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.steps[0])

    def __len__(self) -> int:
        return len(self.steps[0])

    def rows(self, index: Tensor) -> Steps:
        """The rows `index [M]` of every step."""
        return Steps([{k: v[index] for k, v in step.items()} for step in self.steps])


class View(Mapping[str, Tensor]):
    """Features as `change` makes them of others, one by one as they are read."""

    def __init__(self, features: Features, change: Callable[[Tensor], Tensor]) -> None:
        self.features, self.change = features, change

    def __getitem__(self, name: str) -> Tensor:
        return self.change(self.features[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.features)

    def __len__(self) -> int:
        return len(self.features)
