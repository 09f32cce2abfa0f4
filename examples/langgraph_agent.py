"""A LangGraph agent that thinks before it acts: gedanken's tools and memory behind any chat model.

    pip install gedanken[langgraph,minigrid]
    python examples/langgraph_agent.py [--quick]

A chat model is given an agent's imagination, its count of a rule, and its notes as tools, and the agent itself as one
that acts. The model here follows a script; put any of LangChain's in its place: `init_chat_model("openai:gpt-5-mini")`.
"""

from __future__ import annotations

import sys

import gymnasium
import minigrid  # noqa: F401  registers the environments
from langchain.agents import create_agent

from gedanken import Agent
from gedanken.agent.tools import tools
from gedanken.memory.adapters.store import MemoryStore
from gedanken.prompts import ScriptedChatModel

RULES = """\
expect carrying_object' == key and front_object' == empty if action == pickup and front_object == key
expect same if action == forward and front_object == wall
"""
SCRIPT = [
    {"name": "check_rule", "args": {"rule": "expect same if action == forward and front_object == wall"}},
    {"name": "imagine", "args": {"actions": ["forward", "left", "forward"]}},
    {"name": "remember", "args": {"text": "Walking into a wall changes nothing.", "importance": 0.7}},
    {"name": "recall", "args": {"query": "What happens at a wall?"}},
    "I checked it, imagined it and noted it: walking into a wall changes nothing.",
]


def main(quick: bool = False) -> str:
    """Let the agent learn, then let the model use it; its last word."""
    agent = Agent(gymnasium.make("MiniGrid-DoorKey-6x6-v0"), llm=None)
    agent.tell(RULES)
    agent.learn(steps=60 if quick else 500, train=False)
    agent.train(steps=60 if quick else None)
    agent.reset(agent.env.reset(seed=0)[0])

    model = ScriptedChatModel(answers=SCRIPT)
    store = MemoryStore(agent.mind.memory)  # for whatever else the graph keeps: the same file, another table
    graph = create_agent(model, tools(agent), store=store, system_prompt="You explore a small world. Think first.")
    state = graph.invoke({"messages": [("human", "What happens when you walk into a wall?")]})
    for message in state["messages"]:
        message.pretty_print()
    agent.close()
    return str(state["messages"][-1].text)


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
