"""The agent as a Runnable: instructions, streams, batches, chains, and nodes of a graph."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict

import gymnasium
import pytest
import torch
from gymnasium import spaces
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableLambda

from gedanken.agent.agent import Agent
from gedanken.errors import UserError
from gedanken.prompts import ScriptedChatModel
from gedanken.world.schema import Feature, Schema

torch.set_num_threads(1)
SCHEMA = Schema(
    "corridor",
    (Feature("x", "integer", low=0, high=4), Feature("door", "category", values=("shut", "open"))),
    (Feature("action", "category", values=("forward", "toggle", "back")),),
    lambda seen, env: seen, lambda row: int(row[0]),
)  # fmt: skip
RULES = """\
expect x' == x + 1 if action == forward and door != shut
expect x' == x - 1 if action == back and x > 0
expect door' == open if action == toggle
"""
AT_2, AT_3 = "achieve x == 2", "achieve x == 3"


class Corridor(gymnasium.Env):
    """A corridor with a door; one walks to and fro."""

    observation_space, action_space, schema = spaces.Dict({}), spaces.Discrete(3), SCHEMA
    slow_s = 0.0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        super().reset(seed=seed)
        self.now: dict[str, Any] = {"x": 0, "door": 0}
        return dict(self.now), {}

    def step(self, action: int) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        time.sleep(self.slow_s)
        if action == 0 and self.now["door"] == 1:
            self.now["x"] = min(4, self.now["x"] + 1)
        elif action == 1:
            self.now["door"] = 1
        elif action == 2:
            self.now["x"] = max(0, self.now["x"] - 1)
        return dict(self.now), 0.0, False, False, {}


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    model = ScriptedChatModel(answers=lambda messages: "achieve x == 2" if "two" in messages[-1].text else "nothing")
    one = Agent(Corridor(), llm=model, model="none", schema=SCHEMA, memory=tmp_path / "memory.db")
    one.tell(RULES)
    yield one
    one.close()


def test_an_instruction_is_a_goal_for_one_run(agent: Agent) -> None:
    assert isinstance(agent, Runnable)
    told = [entry.text for entry in agent.rules]
    assert agent.invoke(AT_2) == {
        "event": "end", "instruction": AT_2, "goal": [AT_2], "question": "", "solved": True, "total_reward": 0.0,
        "steps": 3, "seed": 1_000_000, "layout": agent.layout, "setbacks": [],
        "obstacle": "",
    }  # fmt: skip
    assert [entry.text for entry in agent.rules] == told
    assert agent.goals() == []
    assert len(agent.mind.memory) == 3


def test_it_is_pursued_instead_of_the_standing_goal_and_stays_where_asked(agent: Agent) -> None:
    agent.tell(AT_3)
    assert agent.invoke({"instruction": AT_2, "seed": 5})["steps"] == 3
    assert agent.invoke({})["goal"] == [AT_3]
    assert agent.invoke("")["steps"] == 4
    agent.invoke({"instruction": "achieve x == 1", "keep": True})
    assert [goal.model_dump() for goal in agent.goals()] != []
    assert agent.rules[-1].text == "achieve x == 1"
    assert agent.rules[-1].source == "user"


@pytest.mark.parametrize(("instruction", "says"), [
    ("forbid back", "is neither a goal nor a limit for a run; tell it with agent.tell"),
    ("achieve y == 2", "unknown feature 'y'"),
    ("Make me a sandwich.", "the word 'sandwich' of 'Make me a sandwich.' means nothing here"),
])  # fmt: skip
def test_what_is_not_understood_is_asked_about_and_nothing_is_done(agent: Agent, instruction: str, says: str) -> None:
    before = [entry.text for entry in agent.rules]
    reply = agent.invoke(instruction)
    assert says in reply["question"]
    assert (reply["solved"], reply["steps"], reply["goal"]) == (False, 0, [])
    assert len(agent.mind.memory) == 0
    assert [entry.text for entry in agent.rules] == before


@pytest.mark.parametrize(("task", "says"), [
    (3, "not int"), ({"max_step": 3}, "did you mean 'max_steps'"), ({"seed": "one"}, "the seed of a task is 'one'"),
])  # fmt: skip
def test_what_is_no_task_is_refused(agent: Agent, task: Any, says: str) -> None:
    with pytest.raises(UserError, match=says):
        agent.invoke(task)


def test_a_stream_tells_what_it_saw_did_imagined_and_by_which_rules(agent: Agent) -> None:
    *moments, reply = agent.stream({"instruction": AT_2, "max_steps": 9})
    assert [m["did"] for m in moments] == ["toggle", "forward", "forward", None]
    assert [m["saw"] for m in moments] == ["the episode begins", "door shut -> open", "x 0 -> 1", "x 1 -> 2"]
    assert moments[0]["imagined"].startswith("door shut -> open; ")
    assert moments[1]["rules"] == ["expect x' == x + 1 if action == forward and door != shut"]
    assert reply["solved"]
    assert list(agent.stream({"instruction": AT_2, "max_steps": 1}))[-1]["solved"] is False


def test_a_stream_left_half_read_ends_when_another_run_begins(agent: Agent) -> None:
    stream = agent.stream(AT_2)
    next(stream)
    assert agent.invoke(AT_3)["solved"]
    with pytest.raises(UserError, match="another run of this agent began"):
        next(stream)
    closed = agent.stream(AT_2)
    next(closed)
    closed.close()  # type: ignore[attr-defined]
    assert agent.goals() == []


def test_batches_are_played_in_order(agent: Agent) -> None:
    replies = agent.batch([AT_2, "achieve y == 1", AT_3])
    assert [reply["steps"] for reply in replies] == [3, 0, 4]
    first, second = agent.batch([AT_2, 3], return_exceptions=True)
    assert first["solved"]
    assert isinstance(second, UserError)


async def test_the_loop_goes_on_meanwhile(agent: Agent) -> None:
    agent.env.unwrapped.slow_s = 0.1
    ticks, done = 0, asyncio.create_task(agent.ainvoke(AT_2))
    while not done.done():
        ticks += 1
        await asyncio.sleep(0.01)
    assert done.result()["solved"]
    assert ticks > 5
    agent.env.unwrapped.slow_s = 0.0
    events = [event async for event in agent.astream(AT_2)]
    assert [event["event"] for event in events] == ["step"] * 4 + ["end"]
    both = await asyncio.gather(agent.ainvoke(AT_2), agent.ainvoke(AT_3))
    assert [reply["steps"] for reply in both] == [3, 4]
    assert len(await agent.abatch([AT_2, AT_3])) == 2


def test_threads_take_turns(agent: Agent) -> None:
    replies: list[Any] = []
    threads = [threading.Thread(target=lambda: replies.append(agent.invoke(AT_2))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [reply["steps"] for reply in replies] == [3, 3, 3]


def test_callbacks_are_told(agent: Agent) -> None:
    class Heard(BaseCallbackHandler):
        def __init__(self) -> None:
            self.heard: list[Any] = []

        def on_chain_start(self, serialized: Any, inputs: Any, **kwargs: Any) -> None:
            self.heard.append(kwargs["name"])

        def on_chain_end(self, outputs: Any, **kwargs: Any) -> None:
            self.heard.append(outputs["solved"])

        def on_chain_error(self, error: BaseException, **kwargs: Any) -> None:
            self.heard.append(type(error))

    one = Heard()
    agent.invoke(AT_2, {"callbacks": [one]})
    list(agent.stream(AT_2, {"callbacks": [one], "run_name": "walk"}))
    with pytest.raises(UserError):
        agent.invoke(3, {"callbacks": [one]})
    assert one.heard == ["Agent", True, "walk", True, "Agent", UserError]


def test_it_stands_in_a_chain(agent: Agent) -> None:
    chain = ChatPromptTemplate.from_template("achieve x == {x}") | agent | RunnableLambda(lambda reply: reply["steps"])
    assert chain.invoke({"x": 2}) == 3
    assert list(chain.stream({"x": 3})) == [4]
    assert (ScriptedChatModel(answers=[AT_2]) | agent).invoke("Where to?")["solved"]
    assert agent.invoke(AIMessage(AT_2))["solved"]


def test_it_is_a_node_of_a_graph(agent: Agent) -> None:
    pytest.importorskip("langgraph")
    from langgraph.graph import END, START, StateGraph

    class State(TypedDict, total=False):
        instruction: str
        solved: bool
        steps: int

    graph = StateGraph(State)
    graph.add_node("act", agent)
    graph.add_edge(START, "act")
    graph.add_edge("act", END)
    assert graph.compile().invoke({"instruction": AT_2}) == {"instruction": AT_2, "solved": True, "steps": 3}
