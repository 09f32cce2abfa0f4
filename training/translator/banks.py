"""The banks of sentence frames: JSON files of `phrases/`, read once."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any


@cache
def bank(name: str) -> Any:
    """The frames of `phrases/NAME.json`."""
    return json.loads((Path(__file__).parent / "phrases" / f"{name}.json").read_text(encoding="utf-8"))
