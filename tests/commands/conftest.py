"""A tiny DoorKey and one agent that learned a little in it, saved once for all tests of the command line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from typer.testing import CliRunner

from gedanken.commands.app import app
from gedanken.commands.output import err, out

pytest.importorskip("minigrid")
TINY = "TinyDoorKey-v0"


@pytest.fixture(scope="session", autouse=True)
def tiny() -> str:
    """DoorKey of 5 x 5 cells whose episodes end after 8 steps; `DoorKey` in its id brings its manual."""
    if TINY not in gymnasium.registry:
        gymnasium.register(TINY, entry_point="minigrid.envs:DoorKeyEnv", kwargs={"size": 5, "max_steps": 8})
    return TINY


@pytest.fixture(scope="session")
def gedanken() -> Callable[..., Any]:
    """Run the command line; returns the result with `exit_code`, `stdout`, `stderr`."""
    runner = CliRunner(env={"NO_COLOR": "1"})
    out.width = err.width = 120

    def run(*words: object, stdin: str | None = None) -> Any:
        return runner.invoke(app, [str(w) for w in words], input=stdin)

    return run


@pytest.fixture(scope="session")
def learned(tmp_path_factory: pytest.TempPathFactory, gedanken: Callable[..., Any], tiny: str) -> Path:
    folder = tmp_path_factory.mktemp("learned") / "agent"
    result = gedanken("learn", "--env", tiny, "--steps", 40, "--train-steps", 3, "--llm", "none", "--out", folder)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def saved(learned: Path, tmp_path: Path) -> Path:
    """A copy of the saved agent that the test may change."""
    return Path(shutil.copytree(learned, tmp_path / "agent"))


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, gedanken: Callable[..., Any], tiny: str) -> Path:
    """A run with all there is to report: told rules, a refused and a hostile sentence, a training, two episodes."""
    home = tmp_path_factory.mktemp("run")
    folder, told = home / "run", home / "manual.txt"
    manual = (Path(__file__).parents[2] / "examples/doorkey/manual.txt").read_text()
    told.write_text(manual + "\n<script>alert('told')</script> & \"quotes\"\n    forbid done\n")
    words = ("learn", "--env", tiny, "--steps", 80, "--train-steps", 8, "--llm", "none", "--out", folder)
    result = gedanken(*words, "--rules", told)
    assert result.exit_code == 0, result.output
    refused = gedanken("rules", "tell", folder, "Keys are shiny.", "--llm", "none")
    assert "refused" in refused.output
    played = gedanken("act", folder, "--episodes", 2, "--steps", 4, "--budget", 60)
    assert played.exit_code == 0, played.output
    return folder
