"""`gedanken explain`: the learned causal graph beside the rules."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import torch

import gedanken as package
from gedanken.world.models.slots import Slots

Run = Callable[..., Any]


def test_the_graph_stands_beside_the_rules_that_write_the_same_features(
    gedanken: Run, tiny: str, tmp_path: Path
) -> None:
    agent = package.Agent(gymnasium.make(tiny), llm=None)
    model = agent.mind.learned
    assert isinstance(model, Slots)
    gates = model.mechanisms.gates.log_alpha
    model.mechanisms.close(torch.ones_like(gates, dtype=torch.bool))
    with torch.no_grad():
        gates[5, 1, 1] = gates[5, 1, 6] = gates[2, -3, 1] = 5.0  # ahead if toggle, the move if forward
    agent.tell("expect front_state' == open if action == toggle and front_object == door")
    agent.tell("reward +1 if front_object == goal")
    agent.save(tmp_path / "a")
    agent.close()
    result = gedanken("explain", tmp_path / "a", "--json", tmp_path / "graph.json")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "object, color, state",
        "  ahead <- ahead, carrying_object  if toggle",
        "  r1  expect front_state' == open if action == toggle and front_object == door",
        "agent_x, agent_y",
        "  move <- ahead  if forward",
        "reward",
        "  r2  reward +1 if front_object == goal",
        "nothing learned or told to change: direction; carrying_object; carrying_color; end",
    ]
    assert "has not been trained" in result.stderr
    subjects = {tuple(s["features"]): s for s in json.loads((tmp_path / "graph.json").read_text())}
    move = {"effect": "move", "causes": ["ahead"], "actions": ["forward"]}
    assert subjects["agent_x", "agent_y"]["learned"] == [move]


def test_a_model_without_a_graph_is_said_to_have_none(gedanken: Run, tmp_path: Path) -> None:
    agent = package.Agent(gymnasium.make("CartPole-v1"), llm=None, model="recurrent")
    agent.save(tmp_path / "a")
    agent.close()
    result = gedanken("explain", tmp_path / "a")
    assert result.exit_code == 2
    assert "has no causal graph" in result.stderr
    assert "model='factors'" in result.stderr
