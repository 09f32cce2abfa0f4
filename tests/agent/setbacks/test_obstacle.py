"""What cannot be done is said, with the reason."""

from __future__ import annotations

import torch

from .test_setbacks import ANY_KEY, GOAL, OWN_KEY
from .vault import agent_in

torch.set_num_threads(1)


def test_a_missing_key_is_found_to_be_the_reason() -> None:
    agent = agent_in(f"{OWN_KEY}\n{GOAL}", keys={})
    found = agent.why_not()
    assert found.kind == "impossible"
    assert found
    text = str(found)
    assert "r1" in text
    assert "carrying object is key" in text
    assert "nothing is left unseen" in text or "nothing brings it about" in text
    agent.close()


def test_a_key_of_the_wrong_color_is_not_the_key() -> None:
    agent = agent_in(f"{OWN_KEY}\n{GOAL}", keys={0: "red"})
    found = agent.why_not()
    assert found.kind == "impossible"
    assert "carrying color" in str(found)
    agent.close()


def test_what_has_not_been_seen_is_counted() -> None:
    rule = "expect carrying_object' == key if action == pickup and here_object == key"
    agent = agent_in(f"{OWN_KEY}\n{rule}\n{GOAL}", keys={}, unseen=1)
    found = agent.why_not()
    assert "no cell's object is key; 1 cells have not been seen" in str(found)
    agent.close()


def test_what_only_a_prohibition_prevents_names_it() -> None:
    agent = agent_in(f"{OWN_KEY}\n{GOAL}\nno_doors: forbid forward if front_object == door")
    found = agent.why_not()
    assert found.kind == "forbidden"
    assert found.rules == ("no_doors: forbid forward if front_object == door",)
    agent.tell("prefer clock == 0")
    agent.close()


def test_what_only_a_limit_prevents_names_it() -> None:
    agent = agent_in(f"{OWN_KEY}\n{GOAL}\navoid front_state == open")
    found = agent.why_not()
    assert found.kind == "forbidden"
    assert found.rules == ("avoid front_state == open",)
    agent.close()


def test_a_deadline_too_short_says_how_long_it_takes() -> None:
    agent = agent_in(f"{OWN_KEY}\n{GOAL} within 9 steps")
    found = agent.why_not()
    assert found.kind == "deadline"
    assert found.needs == 2 + 1 + 4 + 1 + 3
    assert "9 steps were allowed" in found.text
    agent.close()


def test_what_can_be_done_and_what_is_done_is_no_obstacle() -> None:
    agent = agent_in(f"{OWN_KEY}\n{GOAL}")
    found = agent.why_not()
    assert found.kind == "possible"
    assert not found
    assert found.needs
    agent.run(episodes=1, unseen=False, seeds=[0])
    assert agent.why_not().kind == "none"
    agent.close()


def test_too_small_a_budget_is_not_called_impossible() -> None:
    agent = agent_in(f"{OWN_KEY}\n{GOAL}", keys={})
    found = agent.why_not(budget=20)
    assert found.kind == "budget"
    assert "there may be one further away" in found.text
    agent.close()


def test_what_was_tried_and_failed_is_told() -> None:
    agent = agent_in(f"{ANY_KEY}\n{GOAL}", keys={3: "red"})
    agent.run(episodes=1, unseen=False, seeds=[0], max_steps=25)
    found = agent.why_not()
    assert found.kind in ("failed", "impossible")
    assert "toggle" in str(found)
    agent.close()
