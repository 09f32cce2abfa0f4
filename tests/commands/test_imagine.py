"""Stepping through imagination from a script."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium

Run = Callable[..., Any]


def test_actions_are_imagined_in_turn(gedanken: Run, saved: Path) -> None:
    report = saved.parent / "walk.json"
    result = gedanken("imagine", saved, "--actions", "left, right,for", "--json", report)
    assert result.exit_code == 0, result.output
    walk = json.loads(report.read_text())
    assert [step["action"] for step in walk["steps"]] == ["left", "right", "forward"]
    assert walk["start"]["direction"] in ("right", "down", "left", "up")


def test_a_rule_told_on_the_way_acts_from_the_next_step(gedanken: Run, saved: Path) -> None:
    report = saved.parent / "walk.json"
    script = "done\ntell expect carrying_object' == ball if action == done\ndone\nundo\nundo\ndone\nquit\nleft\n"
    result = gedanken("imagine", saved, "--llm", "none", "--json", report, stdin=script)
    assert result.exit_code == 0, result.output
    [step] = json.loads(report.read_text())["steps"]
    assert step["features"]["carrying_object"] == "ball"
    assert [(e["id"], e["how"]) for e in step["rules"]] == [("r1", "changed")]
    assert "not kept" in result.stderr


def test_rules_told_on_the_way_are_kept_on_request(gedanken: Run, saved: Path) -> None:
    gedanken("imagine", saved, "--llm", "none", stdin="tell forbid done\nrules\nsave\n")
    assert "forbid done" in gedanken("rules", "list", saved).stdout


def test_an_imagined_end_is_the_end(gedanken: Run, saved: Path) -> None:
    result = gedanken("imagine", saved, "--llm", "none", stdin="tell end if action == done\ndone\nleft\n")
    assert result.exit_code == 2
    assert "has ended in imagination" in result.stderr


def test_the_planner_goes_on(gedanken: Run, saved: Path) -> None:
    report = saved.parent / "walk.json"
    script = "tell reward +1 if action == done\nplan 3\nreset 5\nplan 1\n"
    result = gedanken("imagine", saved, "--llm", "none", "--budget", 60, "--json", report, stdin=script)
    assert result.exit_code == 0, result.output
    assert json.loads(report.read_text())["seed"] == 5


def test_a_mistake_in_a_script_names_its_line_and_the_way_out(gedanken: Run, saved: Path) -> None:
    result = gedanken("imagine", saved, stdin="left\nfly\n")
    assert result.exit_code == 2
    assert "standard input, 2" in result.stderr
    assert "forward" in result.stderr


def test_a_cloned_environment_is_walked_through_and_told_on_the_way(gedanken: Run, tmp_path: Path) -> None:
    import gedanken as package

    agent = package.Agent(gymnasium.make("FrozenLake-v1"), model="simulator", llm=None)
    agent.save(tmp_path / "lake")
    agent.close()
    report = tmp_path / "walk.json"
    script = "\n".join(["down", "undo", "tell expect row' == min(row + 1, 3) and col' == col if action == down",
                        "down", "down", ""])
    result = gedanken("imagine", tmp_path / "lake", "--llm", "none", "--json", report, stdin=script)
    assert result.exit_code == 0, result.output
    steps = json.loads(report.read_text())["steps"]
    assert [step["features"]["row"] for step in steps] == [1, 2]
    assert [step["features"]["col"] for step in steps] == [0, 0]
    assert all(e["how"] in ("changed", "agreed") for step in steps for e in step["rules"])
