"""What an agent makes of its rules: definitions, fitted numbers, edits of `rules.txt`, effects, conflicts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gymnasium as gym
import pytest
import torch

import gedanken
from gedanken.agent.tools import what_if, would_hold
from gedanken.world.rules.text import to_text
from gedanken.world.training import TrainingConfig

pytest.importorskip("minigrid")
torch.set_num_threads(1)
BRIEF = gedanken.AgentConfig(training=TrainingConfig(steps=40, min_steps=20, batch=32, check_every=20))
DEFINED = """
let row_one = agent_y == 1
let risky = front_object == wall or row_one
forbid forward if risky
avoid row_one and carrying_object == key
maintain agent_x > 0 or row_one
prefer not risky with weight 0.2
achieve row_one then not row_one
reward 0.5 if row_one' and not row_one
"""


@pytest.fixture
def agent() -> Iterator[gedanken.Agent]:
    made = gedanken.Agent(gym.make("MiniGrid-DoorKey-6x6-v0"), llm=None, config=BRIEF)
    yield made
    made.close()


def test_definitions_are_known_wherever_rules_act(agent: gedanken.Agent) -> None:
    agent.tell(DEFINED)
    agent.learn(steps=80)
    result = agent.run(episodes=1, max_steps=8)
    assert result.episodes[0].steps > 0
    seen = agent.mind.memory.transitions()
    risky = agent.mind.knowledge.schema.value("risky", agent.schema.batch(seen.features)).numpy()
    forward = agent.schema.actions[0].values.index("forward")
    assert risky.any()
    assert not (risky & (seen.action[:, 0] == forward)).any()
    assert len(agent.mind.limits) == 2
    assert agent.objective().terms[0].done(torch.tensor([[2.0, 5.0]])).all()  # type: ignore[attr-defined]


def test_definitions_are_known_to_the_tools(agent: gedanken.Agent) -> None:
    agent.tell("let row_one = agent_y == 1\nforbid toggle if row_one or not row_one")
    agent.learn(steps=60, train=False)
    assert "transitions" in would_hold(agent, "expect same if row_one and action == done")
    observation, _ = agent.env.reset(seed=0)
    agent.reset(observation)
    assert "not possible: `forbid toggle" in what_if(agent, ["toggle"])


def test_a_number_left_open_is_fitted_before_it_is_counted(agent: gedanken.Agent) -> None:
    agent.learn(steps=120, train=False)
    told = would_hold(agent, "expect agent_x' == agent_x + ? if action == left")
    assert "? = 0" in told
    assert "supported" in told
    assert not agent.rules


def test_a_variant_has_definitions_and_fitted_numbers(agent: gedanken.Agent) -> None:
    agent.tell("avoid row_one\nlet row_one = agent_y == 1\nexpect agent_x' == agent_x + ? if action == left")
    agent.learn(steps=120, train=False)
    agent.check()
    other = agent.variant()
    texts = [to_text(e.rule) for e in other.rules]
    assert "let row_one = agent_y == 1" in texts
    assert "expect agent_x' == agent_x + 0 if action == left" in texts
    assert len(other.mind.limits) == 1
    other.close()


def test_what_a_person_adds_to_the_file_acts_after_saving(agent: gedanken.Agent, tmp_path: Path) -> None:
    agent.tell("forbid toggle")
    agent.save(tmp_path)
    file = tmp_path / "rules.txt"
    file.write_text(file.read_text() + "let row_one = agent_y == 1\navoid row_one\nforbid forward if not row_one\n")
    agent.save(tmp_path)
    assert [limit.text for limit in agent.mind.limits] == ["avoid row_one"]
    assert agent.mind.shield.rules.forbids == 2


def test_a_check_of_a_trained_agent_measures_effects(agent: gedanken.Agent) -> None:
    agent.tell("expect same if action == done\nexpect agent_x' == 0 if action == done\nforbid toggle")
    agent.check()
    assert all(e.effect is None for e in agent.rules)
    agent.learn(steps=200)
    assert all(e.effect is None for e in agent.rules)    # while it learns, only counted
    right, wrong, will = agent.check()
    assert right.effect is not None
    assert wrong.effect is not None
    assert right.effect > 0 > wrong.effect
    assert right.weight is not None
    assert will.weight == 0


def test_evidence_over_time_is_kept_in_memory(agent: gedanken.Agent, tmp_path: Path) -> None:
    agent.tell("expect same if action == done")
    for steps in (60, 60):
        agent.learn(steps=steps, train=False)
        agent.check()
    history = agent.mind.memory.rules.history("r1")
    counted = [record.rule.evidence["hits"] for record in history]
    assert counted[0] == 0 < counted[1] < counted[2]
    assert [record.position for record in history] == sorted(record.position for record in history)
    agent.mind.knowledge.retire("r1")
    agent.save(tmp_path)
    agent.refresh()
    assert agent.mind.memory.rules.latest()[0].rule.status == "retired"
    recorded = len(agent.mind.memory.rules.history("r1"))
    other = gedanken.Agent.load(tmp_path, agent.env, config=BRIEF)
    assert len(other.mind.memory.rules.history("r1")) == recorded    # nothing has changed but what is saved
    other.close()


def test_rules_that_contradict_each_other_are_counted(agent: gedanken.Agent) -> None:
    agent.tell("expect agent_x' == agent_x\nexpect agent_x' == agent_x + 1 if agent_x < 3")
    result = agent.run(episodes=1, max_steps=4)
    assert result.episodes[0].conflicts > 0
    assert result.summary()["conflicts"] == result.episodes[0].conflicts
