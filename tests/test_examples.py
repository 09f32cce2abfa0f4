"""The examples run; with few steps here, their figures are for whoever runs them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from gedanken.world.models.ensemble import Ensemble
from gedanken.world.models.slots import Slots
from gedanken.world.training import TrainingConfig

EXAMPLES = Path(__file__).parents[1] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ensemble, "recipe", staticmethod(lambda: TrainingConfig(steps=20, min_steps=10, length=1)))


@pytest.mark.usefixtures("brief")
def test_a_room_of_one_s_own(capsys: pytest.CaptureFixture[str]) -> None:
    load("own_environment").main(steps=100, episodes=1, max_steps=2)
    assert "mean steps 2.0" in capsys.readouterr().out


@pytest.mark.usefixtures("brief")
def test_a_policy_of_another_library_trains_in_imagination(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("stable_baselines3")
    assert load("ppo_in_imagination").main(interactions=100, imagined=64 * 64, episodes=2) >= 8
    assert "imagined ones: 4096" in capsys.readouterr().out


def test_a_langgraph_agent_uses_the_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("langgraph", "langchain", "minigrid"):
        pytest.importorskip(name)
    monkeypatch.setattr(Slots, "recipe", staticmethod(lambda: TrainingConfig(steps=20, min_steps=10, check_every=20)))
    assert load("langgraph_agent").main(steps=60).startswith("I checked it")


def test_a_chest_opens_after_three_examples(capsys: pytest.CaptureFixture[str]) -> None:
    report = load("few_shot_dynamics").main()
    assert "expect chest' == open if action == open and hand == key" in [rule.text for rule in report.rules]
    assert "mean steps 2.0" in capsys.readouterr().out
