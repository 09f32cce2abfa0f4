"""Every code block of the documents runs: Python is executed, rules are parsed, commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "benchmarks").glob("*.md"))]


def blocks(language: str) -> list[tuple[str, str]]:
    found = []
    for path in DOCUMENTS:
        for i, code in enumerate(re.findall(rf"^```{language}\n(.*?)^```", path.read_text(), re.M | re.S)):
            found.append((f"{path.name}-{i}", code))
    return found


def programs() -> dict[str, list[str]]:
    """Of each document its blocks of Python, which run one after the other."""
    found: dict[str, list[str]] = {}
    for name, code in blocks("python"):
        found.setdefault(name.rsplit("-", 1)[0], []).append(code)
    return found


@pytest.mark.parametrize(("name", "codes"), programs().items(), ids=programs())
def test_the_python_of_a_document_runs(
    name: str, codes: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("minigrid")
    from gedanken.world.models.slots import Slots
    from gedanken.world.training import TrainingConfig

    # The same program with little training and few episodes: what it shows is measured in benchmarks/.
    monkeypatch.setattr(Slots, "recipe", staticmethod(lambda: TrainingConfig(steps=40, min_steps=10, check_every=20)))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    namespace: dict[str, object] = {"__name__": "__main__"}
    for i, code in enumerate(codes):
        code = code.replace("steps=1_000", "steps=60").replace("episodes=20", "episodes=1, max_steps=5")
        exec(compile(code, f"{name}-{i}", "exec"), namespace)


@pytest.mark.parametrize(("name", "code"), blocks("rules"))
def test_rule_blocks_parse(name: str, code: str) -> None:
    from gedanken.world.rules.parse import parse_file

    parse_file(code, source=name)


def test_every_command_in_a_document_is_a_command() -> None:
    pytest.importorskip("typer")
    from typer.main import get_command

    from gedanken.commands.app import app

    known = set(get_command(app).commands)  # type: ignore[attr-defined]
    for path in DOCUMENTS:
        for word in re.findall(r"^ {4}gedanken ([a-z]+)", path.read_text(), re.M):
            assert word in known, f"{path.name} names the command 'gedanken {word}'"
