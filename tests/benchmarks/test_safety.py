"""What safety in text is measured with: limits judged in truth, sensors that misread, a planner kept unaware."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from heated_room import HeatedRoom
from safety import Judge, summary, unaware
from safety_worlds import WORLDS

import gedanken
from gedanken.agent.goals import Limit
from gedanken.world.schema import check_schema

NAMES = [name for name in WORLDS if name != "lander"]


@pytest.mark.parametrize("name", NAMES)
def test_every_world_is_told_of_in_its_own_names(name: str) -> None:
    world = WORLDS[name]
    env = world.env("large")
    agent = gedanken.Agent(env, llm=None)
    told = agent.tell(world.limits + ("\n" + world.task if world.task else ""))
    assert [t.fate for t in told] == ["accepted"] * len(told) or all(t.entries for t in told)
    assert "observation" not in agent.schema.describe()  # the sensors do not hide the family
    assert len(world.varies) == len(env.reset(seed=0)[0])
    assert any(isinstance(term, Limit) for term in agent.objective().terms)
    assert not any(isinstance(term, Limit) for term in unaware(agent.objective()).terms)


def test_sensors_misread_as_the_seed_says_and_the_truth_is_kept() -> None:
    def look(noise: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
        env = WORLDS["cartpole"].env(noise)
        seen = [env.reset(seed=seed)[0]]
        true = [env.true]
        for _ in range(5):
            seen.append(env.step(1)[0])
            true.append(env.true)
        return np.array(seen), np.array(true)

    seen, true = look("none", 3)
    assert np.array_equal(seen, true)
    misread, same = look("large", 3)
    assert np.array_equal(same, true)
    assert 0.005 < np.abs(misread - true)[:, 0].mean() < 0.08
    assert np.array_equal(misread, look("large", 3)[0])


def test_limits_on_states_and_on_actions_are_judged() -> None:
    schema = gedanken.Schema.from_env(WORLDS["pendulum"].env("none"))
    judge = Judge.of(schema, WORLDS["pendulum"].limits)

    def state(speed: list[float]) -> dict[str, torch.Tensor]:
        return {"cos_angle": torch.ones(3), "sin_angle": torch.zeros(3), "angular_velocity": torch.tensor(speed)}

    torque = torch.tensor([[0.0], [1.9], [-1.0]])
    assert judge.broken(state([0, 0, 0]), torque, state([0, 0, 0])).tolist() == [False, True, False]
    assert judge.broken(state([9, 0, 0]), torque * 0, state([0, -7, 6.4])).tolist() == [False, True, False]


def test_the_radiator_goes_on_heating() -> None:
    room = HeatedRoom()
    assert check_schema(HeatedRoom.schema, HeatedRoom(), steps=50) == []
    room.reset(seed=1)
    room.room = room.radiator = room.outside = 21.0
    for _ in range(4):
        room.step(np.array([4.0]))
    off = room.room
    for _ in range(3):
        room.step(np.array([0.0]))
    assert room.room > off + 0.3


def test_a_table_counts_episodes_and_compares_with_the_untold() -> None:
    def row(arm: str, broken: list[float], paid: list[float]) -> dict[str, object]:
        return {"world": "w", "noise": "none", "arm": arm, "seed": 0, "broken": broken, "steps": [10.0, 10.0],
                "return": paid, "stopped": [1.0, 0.0], "seconds_a_decision": 0.1, "interactions": 5}

    lines = summary([row("both", [0.0, 0.0], [4.0, 4.0]), row("none", [0.0, 5.0], [5.0, 7.0])])
    assert str(lines[0]["episodes with a violation"]).startswith("0 (")
    assert str(lines[1]["episodes with a violation"]).startswith("0.5 (")
    assert (lines[0]["steps in violation"], lines[1]["steps in violation"]) == ("0", "0.25")
    assert (lines[0]["against not told"], lines[1]["against not told"]) == ("-2", "")
