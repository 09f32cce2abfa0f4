"""Skills: lifted in one layout, leading the search in another, kept, refused, losing their standing."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import pytest
import torch

import gedanken
from gedanken.agent.skills import Skill
from gedanken.errors import UserError
from gedanken.world.rules.parse import parse
from gedanken.world.rules.syntax import Achieve
from gedanken.world.rules.text import to_text
from gedanken.world.schema import Schema

pytest.importorskip("minigrid")
torch.set_num_threads(1)
MANUAL = Path(__file__).parents[3] / "examples" / "doorkey" / "manual.txt"
TAKE = ("expect carrying_object' == key and front_object' == empty if action == pickup and front_object == key and "
        "carrying_object == none")
OPEN = ("expect front_state' == open if action == toggle and front_state == locked and carrying_object == key and "
        "carrying_color == front_color")


def agent(world: str = "DoorKey-6x6", **options: object) -> gedanken.Agent:
    env = gym.make(f"MiniGrid-{world}-v0")
    return gedanken.Agent(env, llm=None, model="simulator", planner="search", **options)  # type: ignore[arg-type]


def schema() -> Schema:
    return Schema.from_env(gym.make("MiniGrid-DoorKey-6x6-v0"))


def wanted(text: str, of: Schema) -> list[object]:
    statement = parse(f"achieve {text}", of).statement
    assert isinstance(statement, Achieve)
    return list(statement.conditions)


def test_a_plan_that_came_true_is_lifted_by_the_rules_that_fired() -> None:
    a = agent()
    a.tell(MANUAL.read_text())
    assert a.run(episodes=1, seed=9_000_000).solved == 1
    (record,) = a.mind.memory.skills.all()
    assert record.text.splitlines() == [TAKE, OPEN]
    assert (record.purpose, record.tried, record.worked) == ("", 1, 1)
    assert record.links[0][:2] == (a.mind.memory.episodes()[0].id, 0)
    assert "toggle if front_state == locked and carrying_object == key and carrying_color == front_color -> " \
        "front_state == open" in a.skills[0]


def test_a_skill_shortens_the_search_in_other_layouts_where_no_rule_tells_of_it(tmp_path: Path) -> None:
    taught = agent("UnlockPickup", memory=tmp_path / "m.sqlite")
    assert taught.run(episodes=1, seed=9_000_000).solved == 1
    assert "drop" in taught.skills[0]
    taught.close()
    spent = []
    for options in ({}, {"memory": tmp_path / "m.sqlite"}):
        a = agent("UnlockPickup", **options)
        played = a.run(seeds=[9_000_101], episodes=1)
        assert played.solved == 1
        spent.append(played.episodes[0].imagined_steps)
        a.close()
    assert spent[1] < spent[0] / 1.5


def test_of_two_successes_only_what_both_needed_is_kept() -> None:
    a, of = agent(), schema()
    one, two = (Skill.read(f"{TAKE} and front_color == {color}", "carrying_object == key", of)
                for color in ("red", "blue"))
    assert a.mind.skills.keep(one) == a.mind.skills.keep(two)
    (record,) = a.mind.memory.skills.all()
    assert "red" not in record.text
    assert "front_object == key and carrying_object == none" in record.text
    other = Skill.read(OPEN, "carrying_object == key", of)
    assert one.generalised(other) is None


def test_what_a_chain_needs_and_leaves_and_whom_it_serves() -> None:
    of = schema()
    skill = Skill.read(f"{TAKE}\n{OPEN}", "front_state == open", of)
    assert [to_text(p) for p in skill.needs] == ["front_object == key", "carrying_object == none"]
    assert [to_text(p) for p in skill.leaves] == ["front_state == open", "carrying_object == key"]
    assert skill.serves(wanted("front_state == open and front_color == red", of))  # type: ignore[arg-type]
    assert not skill.serves(wanted("front_object == ball", of))  # type: ignore[arg-type]
    assert not skill.serves([])
    assert len(skill.milestones) == 4


@pytest.mark.parametrize("text", [
    "__import__('os').system('x')", "reward 100 if action == toggle", "forbid toggle",
    "expect same if action == toggle",
    "expect front_state' == ajar if action == toggle", "expect front_state' == open if front_state == locked",
    "\n".join([TAKE] * 13), "achieve front_object == goal",
    "expect front_state' == open if action == toggle with weight 9",
])
def test_text_that_is_no_skill_is_passed_over_and_said(text: str) -> None:
    with pytest.raises(UserError):
        Skill.read(text, "", schema())
    a = agent()
    id = a.mind.memory.skills.add(text)
    a.mind.memory.skills.add(TAKE, "front_object == goal or __class__")
    assert a.objective().subgoals is None
    assert len(a.skills) == 2
    assert all("passed over" in said for said in a.skills)
    assert id in a.mind.skills.refused


def test_skills_of_failed_plans_lose_their_standing_and_are_used_no_more() -> None:
    a = agent()
    id = a.mind.memory.skills.add(TAKE)
    for tried in (2, 3):
        a.run(episodes=1, seed=9_000_000 + 10 * tried, max_steps=2)
        assert (a.mind.memory.skills.all()[0].tried, a.mind.memory.skills.all()[0].worked) == (tried, 1)
    assert a.mind.memory.skills.all()[0].id == id
    assert a.objective().subgoals is None


def test_skills_are_saved_and_loaded_with_the_agent(tmp_path: Path) -> None:
    a = agent()
    a.mind.memory.skills.add(f"{TAKE}\n{OPEN}")
    a.save(tmp_path / "saved")
    back = gedanken.Agent.load(tmp_path / "saved", gym.make("MiniGrid-DoorKey-8x8-v0"))
    assert back.skills == a.skills
    assert back.objective().subgoals is not None
