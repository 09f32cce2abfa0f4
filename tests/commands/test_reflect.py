"""`gedanken reflect`: lessons from what a saved agent lived, once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., Any]


def test_lessons_are_drawn_once(gedanken: Run, saved: Path, tmp_path: Path) -> None:
    target = tmp_path / "lessons.json"
    result = gedanken("reflect", saved, "--llm", "none", "--json", target)
    assert result.exit_code == 0, result.output
    drawn = json.loads(target.read_text())
    assert drawn["episodes"] > 0
    assert drawn["lessons"]
    assert all(lesson["links"] and lesson["origin"] == "environment" for lesson in drawn["lessons"])
    assert f"{len(drawn['lessons'])} new lessons" in result.stdout
    assert drawn["lessons"][0]["text"] in " ".join(result.stdout.split())
    again = gedanken("reflect", saved, "--llm", "none")
    assert "0 episodes, 0 new lessons" in again.stdout
