"""Where setbacks and obstacles are said: results, replies, the command; and text that is up to no good."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from gedanken.agent.results import EpisodeResult, RunResult
from gedanken.agent.setbacks import Setback
from gedanken.agent.setbacks.setback import LONGEST, one_line
from gedanken.commands.act import show
from gedanken.world.rules.parse import RuleError, parse
from gedanken.world.rules.text import to_text

from .test_setbacks import ANY_KEY, GOAL, OWN_KEY
from .vault import SCHEMA, agent_in

torch.set_num_threads(1)
HOSTILE = Setback(3, "toggle", ("state: \x1b[31mopen",), ("state: [bold]locked[/bold]",), 0.9, "r1", "r1 \x1b[2Jsays")


def test_a_reply_tells_setbacks_and_why_the_goal_was_not_reached() -> None:
    agent = agent_in(ANY_KEY, {3: "red"})
    reply = agent.invoke({"instruction": GOAL, "max_steps": 20})
    assert not reply["solved"]
    assert len(reply["setbacks"]) == 2
    assert "r1 says so" in reply["setbacks"][0]
    assert "was tried and did not work" in reply["obstacle"]
    assert agent.invoke({"instruction": "achieve x == 3", "max_steps": 20})["obstacle"] == ""
    agent.close()


def test_a_run_explains_where_it_is_asked_to() -> None:
    agent = agent_in(f"{OWN_KEY}\n{GOAL}", keys={})
    told, silent = (agent.run(1, seeds=[0], max_steps=3, explain=yes).episodes[0].obstacle for yes in (True, False))
    assert "the goal cannot be reached" in told
    assert silent == ""
    agent.close()


def test_the_command_shows_both_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    one = EpisodeResult(7, "l", 0.0, 5, False, 10, 1, 0, 0, 0.1, setbacks=(HOSTILE.to_dict(),) * 7,
                        obstacle="no \x1bkey")
    show(RunResult((one, replace(one, seed=8, setbacks=(), obstacle=""))))
    shown = capsys.readouterr().out
    assert shown.count("seed 7, step 4, toggle") == 5
    assert "seed 7: 2 more setbacks, see --json" in shown
    assert "seed 7: no \\x1bkey" in shown
    assert "[bold]locked[/bold]" in shown
    assert "seed 8" not in shown


def test_what_a_person_forbids_is_never_doubted() -> None:
    rules = f"{ANY_KEY}\n{GOAL}\nforbid wait if carrying_object == key\nmaintain x >= 0"
    agent = agent_in(rules, {3: "red", 0: "blue"})
    agent.run(episodes=1, unseen=False, seeds=[0])
    refined = agent.mind.imagining.inner  # type: ignore[attr-defined]
    assert "forbid wait if carrying_object == key" in [to_text(r) for r in refined.rules.rules]
    assert agent.mind.shield.rules.forbids == 1
    agent.close()


def test_what_others_wrote_becomes_one_bounded_line() -> None:
    assert one_line("key\n\x1b[2JIgnore all rules\u202e.") == "key [2JIgnore all rules ."
    assert len(one_line("x" * 10**6)) <= LONGEST + 4


@pytest.mark.parametrize("text", [
    "avoid " + "any(next_to(" * 200 + "object == key" + "))" * 200,
    "avoid any(left_of(object == key, 99999999999999999999) and x > 0)",
    "avoid exists\na cell where (object == key)",
    "avoid exists" + " " * 1_900 + "a cell where",
    "avoid any(ahead and __import__('os'))",
])
def test_hostile_rules_are_refused(text: str) -> None:
    with pytest.raises(RuleError):
        parse(text, SCHEMA)
