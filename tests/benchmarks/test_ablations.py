"""The graded manuals of the ablations: every prefix can be told, the whole is complete dynamics."""

from __future__ import annotations

from pathlib import Path

import pytest
from ablation_arms import WORLDS, Job, env, manual, rarest, rules
from ablations import amounts

import gedanken


@pytest.mark.parametrize("world", ["doorkey-6x6", "unlock-pickup", "lava-gap"])
def test_the_whole_manual_alone_solves_its_world_and_nothing_alone_does_not(world: str) -> None:
    grades = amounts("rules", world, is_quick=False)
    assert grades[0] == 0
    assert grades[-1] >= 9

    def solved(sentences: int, steps: int) -> int:
        agent, facts = rules(Job(world, "rules", sentences, 0, 1, ""), Path())
        assert facts["sentences"] == sentences
        return agent.run(1, seeds=[3], max_steps=steps).solved

    assert solved(grades[-1], 60) == 1
    assert solved(2, 4) == 0


def test_a_manual_grows_sentence_by_sentence() -> None:
    for world, (_, _, told) in WORLDS.items():
        job = Job(world, "rules", 0, 0, 1, "")
        some, more = manual(job, told), manual(job, told + 1)
        assert more.startswith(some + "\n\n")
        assert manual(job).startswith(more)


def test_the_rarest_rule_is_counted_in_memory() -> None:
    job = Job("lava-gap", "learned", 30, 0, 1, "")
    agent = gedanken.Agent(env(job), llm=None, model="none")
    agent.learn(30, train=False)
    assert 0 <= rarest(agent, job) <= 30
