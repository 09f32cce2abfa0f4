"""Proposing: what a model says of surprises becomes checked rules, mended where it was wrong; nothing is said twice."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from langchain_core.messages import BaseMessage

from gedanken.memory.experience.record import Transitions
from gedanken.prompts import Gateway, LocalChatModel, Reading, ScriptedChatModel
from gedanken.prompts.reader import proposer
from gedanken.prompts.reader.items import Item
from gedanken.prompts.reader.network import Network, NetworkConfig
from gedanken.world.guessing import guesses, new
from gedanken.world.items import items_of
from gedanken.world.knowledge import KnowledgeBase
from gedanken.world.prompting import ROUNDS
from gedanken.world.rules.parse import parse
from gedanken.world.rules.text import to_text
from gedanken.world.schema import Schema

Life = Callable[..., Transitions]
RIGHT = "expect carrying' == key if action == pickup and front == key and carrying == none and lamp"
SAME = "expect carrying' == key if lamp and carrying == none and front == key and action == pickup"
WRONG = "expect carrying' == key if action == wait and carrying == ball"
TEXT = "when action is pickup: carrying becomes key if front is key."
TYPO = "expect carying' == key if action == pickup"


class Proposing(ScriptedChatModel):
    """A model trained to propose: reads each surprise as the rules of `written` whose first words stand in it."""

    written: dict[str, list[tuple[str, float]]]
    can_propose: bool = True

    def propose(self, surprise: str, items: Sequence[Item]) -> list[Reading]:
        assert {item.name for item in items} >= {"front", "pickup"}
        return [Reading(*pair) for words, pairs in self.written.items() if words in surprise for pair in pairs]


def test_a_trained_model_reads_each_surprise_and_is_not_prompted(cellar: Schema, lived: Life) -> None:
    written = {"carrying becomes key": [(RIGHT, 0.6), (f"{SAME}\n{TYPO}", 0.3), (WRONG, 0.001)],
               "the episode ends": [("end if heat > limit", 0.9), ("", 0.1)]}
    found = guesses(cellar, Gateway(Proposing(written=written)), [], lived())
    assert sorted(map(to_text, found)) == ["end if heat > limit", RIGHT]
    kb = KnowledgeBase(cellar, Gateway(Proposing(written=written)))
    assert {e.text for e in kb.propose(lived()) if e.source == "model"} <= {RIGHT, "end if heat > limit"}


def test_what_stands_in_other_words_is_not_proposed_again(cellar: Schema, lived: Life) -> None:
    written = {"carrying becomes key": [(RIGHT, 0.9)]}
    assert guesses(cellar, Gateway(Proposing(written=written)), [SAME], lived()) == []
    rules = [parse(line, cellar) for line in (RIGHT, SAME, "end if heat > limit", "end if limit < heat")]
    assert new(rules, [], cellar) == [rules[0], rules[2]]


def test_mistakes_and_counterexamples_go_back_as_quoted_data(cellar: Schema, lived: Life) -> None:
    seen: list[list[BaseMessage]] = []
    answers = iter([f"{TYPO}\n{WRONG}", RIGHT])

    def answer(messages: list[BaseMessage]) -> str:
        seen.append(messages)
        return next(answers)

    assert [to_text(r) for r in guesses(cellar, Gateway(ScriptedChatModel(answers=answer)), [], lived())] == [RIGHT]
    assert len(seen) == 2
    first, second = (messages[-1].text for messages in seen)
    assert "carrying becomes key" in first
    assert any(line.startswith('"action == pickup') and " -> " in line for line in first.splitlines())
    faults = [line for line in second.splitlines() if " - " in line]
    assert all(line[0] == line[-1] == '"' for line in faults)
    assert "unknown feature 'carying'" in faults[0]
    assert "it does not hold: action == wait" in faults[1]


@pytest.mark.parametrize("answer", [TYPO, WRONG])
def test_a_model_that_learns_nothing_is_asked_no_further(cellar: Schema, lived: Life, answer: str) -> None:
    gateway = Gateway(ScriptedChatModel(answers=lambda messages: answer))
    assert guesses(cellar, gateway, [], lived()) == []
    assert gateway.usage.calls == 2    # the same again is not tried again
    counted = iter(range(100))
    gateway = Gateway(ScriptedChatModel(answers=lambda messages: f"end if heat > x{next(counted)}"))
    assert guesses(cellar, gateway, [], lived()) == []
    assert gateway.usage.calls == 1 + ROUNDS


def test_few_transitions_are_shown_one_by_one(cellar: Schema, lived: Life) -> None:
    seen: list[str] = []
    model = ScriptedChatModel(answers=lambda messages: seen.append(messages[-1].text) or RIGHT)
    some: Transitions = lived().take(np.arange(2))
    assert [to_text(r) for r in guesses(cellar, Gateway(model), [], some)] == [RIGHT]
    assert seen[0].count(" -> ") == 2


def test_a_network_s_weights_make_the_embedded_model_propose(
        cellar: Schema, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gedanken.prompts.embeddings import load_encoder

    path = tmp_path / "proposer.safetensors"
    monkeypatch.setattr(proposer, "PROPOSER", path)
    assert not Gateway(LocalChatModel()).can_propose
    torch.manual_seed(0)
    bert = copy.deepcopy(load_encoder("local")[0].auto_model)
    bert.pooler = None
    proposer.save(Network(bert, NetworkConfig()), path)
    door = Gateway(LocalChatModel())
    assert door.can_propose
    found = door.propose(TEXT, items_of(cellar), "propose")
    assert all(0 <= one.confidence <= 1 for one in found)
    assert found == door.propose(TEXT, items_of(cellar), "propose")
