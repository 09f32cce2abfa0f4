"""`gedanken explain`: the causal graph that a saved agent learned, beside the rules that write the same features."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from . import options
from .output import note, out, say, write_json

if TYPE_CHECKING:
    from ..world.causes import Subject


def explain(folder: options.Folder, env: options.Env = None, json: options.Json = None) -> None:
    """Explain what the agent holds to cause what: the causal graph that its world model learned, read off its gates,
    and beside each feature the rules that act on it.

    `door <- door, key  if unlock` says: under unlock the next door depends on the door and the key, on nothing else.
    What is not listed stays as it is. For one rule and its evidence: gedanken rules explain.
    """
    from ..world.causes import causes, graph_of
    from .worlds import load_agent

    agent = load_agent(folder, env)
    try:
        knowledge = agent.mind.knowledge
        subjects = causes(graph_of(agent.mind.learned), knowledge.schema, knowledge.active())
        if not agent.trained_on:
            note("the model has not been trained yet: nothing is ruled out, everything may depend on everything")
        _say(subjects)
        write_json(json, [s.to_dict() for s in subjects])
    finally:
        agent.close()


def _say(subjects: tuple[Subject, ...]) -> None:
    for subject in subjects:
        if not subject.learned and not subject.told:
            continue
        out.print(Text(", ".join(subject.features), style="bold"))
        for learned in subject.learned:
            say(f"  {learned}")
        for id, text in subject.told:
            say(Text(f"  {id}  {text}", style="green"))
    still = [", ".join(s.features) for s in subjects if not s.learned and not s.told]
    if still:
        say(f"nothing learned or told to change: {'; '.join(still)}")
