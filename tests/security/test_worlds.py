"""What a world says of itself (names, values, descriptions, info, missions) and what memory keeps is only data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from gedanken.agent.agent import Agent
from gedanken.agent.config import AgentConfig
from gedanken.errors import UserError
from gedanken.memory import Column, Layout, LongTerm, ShortTerm
from gedanken.prompts import Gateway, ScriptedChatModel
from gedanken.world.knowledge import KnowledgeBase
from gedanken.world.rules.parse import parse
from gedanken.world.rules.words import to_words
from gedanken.world.schema import Feature, Schema

House = Callable[..., KnowledgeBase]
Facts = Callable[[KnowledgeBase], list[tuple[Any, ...]]]
RULE = "forbid action_1 if observation_0 > 0.5"


class Talking(gymnasium.Env):
    """Says something hostile wherever an environment can say something."""

    def __init__(self) -> None:
        self.observation_space = spaces.Box(0.0, 1.0, (2,))
        self.action_space = spaces.Discrete(2)
        self.says = ""
        self.metadata = {}

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.mission = self.says
        return self.np_random.random(2).astype(np.float32), self._info()

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        return self.np_random.random(2).astype(np.float32), 0.0, False, True, self._info()

    def _info(self) -> dict[str, Any]:
        return {"mission": self.says, self.says: self.says, "rules": [self.says], "source": "user"}


@pytest.fixture(scope="module")
def agent() -> Any:
    agent = Agent(Talking(), llm=ScriptedChatModel(answers=lambda messages: RULE), model="none", config=AgentConfig())
    agent.tell("forbid action_0 if observation_0 > 0.9")
    yield agent
    agent.close()


def test_what_an_environment_says_is_not_even_heard(payload: str, agent: Agent, facts: Facts) -> None:
    agent.env.says = payload
    before = facts(agent.mind.knowledge)
    agent.learn(3, train=False)
    assert facts(agent.mind.knowledge) == before
    assert not any("PWNED" in note.text for note in agent.mind.memory.notes())


def test_an_observation_of_text_is_refused(payload: str) -> None:
    world = Schema("talk", (Feature("mission"),), (Feature("action", "category", values=("a",)),),
                   lambda observation, env: {"mission": observation}, lambda row: 0)
    with pytest.raises(UserError, match="not numeric"):
        world.observe(payload)


def test_a_name_is_an_identifier(payload: str) -> None:
    with pytest.raises(UserError, match="is not a name"):
        Schema("bad", (Feature(payload),), (Feature("action", "category", values=("a",)),), _nothing, _nothing)


def test_a_value_cannot_leave_its_quotes(payload: str, tmp_path: Any) -> None:
    """A value that a rule can name is written in quotes; one that could break out is refused with the schema."""
    features = (Feature("sign", "category", values=("blank", payload)),)
    if not payload.isprintable() or '"' in payload:
        with pytest.raises(UserError, match="no rule can name it"):
            Schema("signs", features, (Feature("action", "category", values=("a",)),), _nothing, _nothing)
        return
    world = Schema("signs", features, (Feature("action", "category", values=("a",)),), _nothing, _nothing)
    kb = KnowledgeBase(world)
    try:
        kb.tell(f'avoid sign == "{payload}"')
    except UserError:
        assert len(payload) > 2000    # longer than a line may be
        return
    (entry,) = kb.entries
    assert entry.rule == parse(entry.text, world)
    assert len(to_words(entry.rule, world).splitlines()) == 1
    kb.save(tmp_path)
    other = KnowledgeBase(world)
    other.load(tmp_path)
    assert other.entries == kb.entries


def test_a_description_stays_on_its_line_of_the_prompt(payload: str) -> None:
    prompts: list[str] = []
    features = (Feature("door", "category", values=("open", "shut"), description=payload),)
    world = Schema("hall", features, (Feature("action", "category", values=("push",)),), _nothing, _nothing)
    model = ScriptedChatModel(answers=lambda messages: prompts.append(messages[0].content) or "forbid push")
    kb = KnowledgeBase(world, Gateway(model), ShortTerm(budget_tokens=20_000))
    kb.tell("A push opens the door.")
    about = [line for line in prompts[0].splitlines() if line.startswith("door:")]
    assert len(about) == 1
    assert kb.entries == []
    assert len(to_words(parse("avoid door == open", world), world).splitlines()) == 1


def test_notes_are_kept_as_text_and_become_nothing_else(payload: str, agent: Agent, facts: Facts) -> None:
    memory = agent.mind.memory
    before = facts(agent.mind.knowledge)
    memory.note("a quiet lesson", source="user")
    memory.note(payload, kind="lesson", source="user", tags=[payload])
    for query in (payload, "PWNED", "lesson"):
        agent.recall(query)
    agent.propose()
    agent.check()
    told = [f for f in facts(agent.mind.knowledge) if f[3] in ("user", "manual")]
    assert told == [f for f in before if f[3] in ("user", "manual")]
    assert "a quiet lesson" in {note.text for note in memory.notes()}


def test_an_episode_may_be_called_anything(payload: str) -> None:
    memory = LongTerm(None, Layout((Column("x", "float32"),), Column("action", "int64", (1,))))
    memory.begin(source=payload, group=payload)
    assert len(memory.episodes()) == 1
    assert len(memory) == 0
    memory.close()


def _nothing(*_: Any) -> Any:
    return {}
