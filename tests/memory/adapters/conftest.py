"""A memory file without a world, for the adapters' tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gedanken.memory.database import Database
from gedanken.memory.tables import MIGRATIONS


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "memory.sqlite", MIGRATIONS)
    yield opened
    opened.close()
