"""Which rules speak of what is near the agent alone."""

from __future__ import annotations

import gymnasium as gym
import minigrid  # noqa: F401 - registers the environments
import pytest

from gedanken.world.models.slots import Slots
from gedanken.world.refine import Refined
from gedanken.world.rules.nearby import is_near
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Schema

SCHEMA = Schema.from_env(gym.make("MiniGrid-DoorKey-5x5-v0"))
NEAR = (
    "expect front_state' == open if action == toggle and front_state == locked and carrying_object == key",
    "expect agent_x' == front_x and agent_y' == front_y if action == forward and front_object == empty",
    "expect agent_x' == 3 and agent_y' == 1 if action == forward and front_object == floor",
    "reward +1 if object'[agent_x', agent_y'] == goal",
    "reward -0.1 if agent_x' == agent_x and agent_y' == agent_y",
    "end if object[agent_x + 1, agent_y] == lava",
    "forbid action == drop if front_object == empty and direction == up",
    "expect same if action == done",
)
FAR = (
    "reward -2 if agent_x' == 3",
    "end if front_y > 2",
    "end if object[agent_x + 2, agent_y] == lava",
    "end if object[agent_x + 1, agent_y + 1] == lava",
    "end if object[1, 1] == empty",
    "reward +1 if count(object' == key) == 0",
    "end if any(object == lava)",
    "expect same if next_to(object == ball)",
)


@pytest.mark.parametrize("line", NEAR)
def test_rules_of_what_is_near(line: str) -> None:
    assert is_near(parse(line, SCHEMA), SCHEMA)


@pytest.mark.parametrize("line", FAR)
def test_rules_of_where_one_is_or_of_what_is_further_off(line: str) -> None:
    assert not is_near(parse(line, SCHEMA), SCHEMA)


def test_a_refined_model_is_local_as_long_as_its_rules_are() -> None:
    def refined(*lines: str) -> Refined:
        return Refined(Slots(SCHEMA), [parse(line, SCHEMA) for line in lines])

    assert "local" in refined(*NEAR[:1]).provides
    assert "local" not in refined(*NEAR[:1], FAR[0]).provides
