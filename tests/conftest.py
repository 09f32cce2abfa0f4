"""Shared by all tests: one thread (the machine is small and results shall not depend on its load), seeds."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)
