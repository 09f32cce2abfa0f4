"""The demo on tiny numbers, and its picture."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gedanken.agent.recording import Frame
from gedanken.commands.filmstrip import chosen, draw
from gedanken.world.schema import Feature, Schema

Run = Callable[..., Any]
PNG = b"\x89PNG"


def test_the_demo_writes_a_report_a_picture_and_the_agent(gedanken: Run, tiny: str, tmp_path: Path) -> None:
    report = tmp_path / "copy.json"
    result = gedanken(
        "demo",
        "--env",
        tiny,
        "--episodes",
        1,
        "--steps",
        60,
        "--train-steps",
        3,
        "--budget",
        40,
        "--out",
        tmp_path / "demo",
        "--json",
        report,
    )
    assert result.exit_code == 0, result.output
    told = json.loads(report.read_text())
    assert told == json.loads((tmp_path / "demo/report.json").read_text())
    assert list(told) == ["env", "seed", "interactions", "sentences", "rules", "arms", "versions"]
    assert (told["env"], told["seed"], told["interactions"]) == (tiny, 0, 60)
    assert "You can step onto the goal." in told["sentences"]
    assert {tuple(rule) for rule in told["rules"]} == {("text", "source", "status", "support", "hits")}
    assert list(told["arms"]) == ["learned", "rules", "hybrid"]
    for arm in told["arms"].values():
        assert {
            "episodes",
            "solved",
            "mean_return",
            "mean_steps",
            "imagined_steps_per_decision",
            "seconds_per_episode",
        } <= set(arm)
        assert arm["episodes"] == 1
    pytest.importorskip("matplotlib")
    assert (tmp_path / "demo/filmstrip.png").read_bytes().startswith(PNG)
    assert gedanken("rules", "list", tmp_path / "demo/agent").exit_code == 0


def test_another_world_without_rules_says_so(gedanken: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    result = gedanken(
        "demo",
        "--env",
        "FrozenLake-v1",
        "--episodes",
        1,
        "--steps",
        40,
        "--train-steps",
        2,
        "--budget",
        20,
        "--llm",
        "none",
        "--out",
        tmp_path,
    )
    assert result.exit_code == 0, result.output
    assert "no rules are told" in result.stdout
    assert "gedanken[plots]" in result.stderr
    assert "seen ones" in result.stderr
    assert not (tmp_path / "filmstrip.png").exists()


def test_steps_on_which_rules_fired_are_preferred() -> None:
    frames = [Frame({}, None, "", ("a rule",) if t in (17, 44) else (), None) for t in range(101)]
    picks = chosen(frames)
    assert {0, 17, 44, 100} <= set(picks)
    assert len(picks) <= 12


def test_scalar_worlds_are_drawn_as_lines(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    features = (Feature("speed", unit="m/s"), Feature("gear", "category", values=("low", "high")))
    schema = Schema("car", features, (Feature("gas"),), lambda o, e: o, lambda row: row)
    frames = [
        Frame(
            {"speed": np.float32(t), "gear": np.int16(t > 2)},
            None,
            "gas",
            ("a rule",) if t == 3 else (),
            {"speed": np.arange(t, t + 4.0), "gear": np.zeros(4)} if t % 2 == 0 else None,
        )
        for t in range(6)
    ]
    assert draw(schema, frames, tmp_path / "lines.png", "a car")
    assert (tmp_path / "lines.png").read_bytes().startswith(PNG)
