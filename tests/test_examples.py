"""The examples run; with few steps here, their figures are for whoever runs them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from gedanken.world.models.ensemble import Ensemble
from gedanken.world.training import TrainingConfig

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_a_room_of_one_s_own(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(Ensemble, "recipe", staticmethod(lambda: TrainingConfig(steps=20, min_steps=10, length=1)))
    spec = importlib.util.spec_from_file_location("own_environment", EXAMPLES / "own_environment.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(steps=100, episodes=1, max_steps=2)
    assert "mean steps 2.0" in capsys.readouterr().out
