"""The agent's situation as lines of the working context: its goals and how far they are, and what it saw last."""

from __future__ import annotations

import numpy as np

from ..memory.context import Line
from ..memory.seen import Sight
from ..world.schema import Feature
from .goals import Goal
from .mind import Mind


def situation(mind: Mind) -> list[Line]:
    """What to tell a language model besides what surprised: goals, then the state where an episode is under way."""
    lines = [Line(_goal(mind, entry.text, k), "goal") for k, entry in enumerate(mind.knowledge.goals())]
    told = {f.name: f for f in mind.knowledge.world.features if not f.shape}
    seen = mind.recent.seen
    said = [_sight(told[name], sight, seen.age(name)) for name, sight in seen.sights.items() if name in told]
    return lines + ([Line(", ".join(said), "state")] if said else [])


def _goal(mind: Mind, text: str, k: int) -> str:
    """The `k`-th goal, with the milestones that are behind in this episode."""
    if mind.pursuit is None:
        return text
    pairs = zip(mind.pursuit.objective.terms, mind.pursuit.carry, strict=True)
    goals = [(term, carry) for term, carry in pairs if isinstance(term, Goal)]
    if k >= len(goals):  # told since the episode began
        return text
    term, carry = goals[k]
    return f"{text} ({int(term.progress(carry)[0])} of {term.automaton.root.size} reached)"


def _sight(feature: Feature, sight: Sight, age: int) -> str:
    value = np.asarray(sight.value).item()
    word = feature.values[int(value)] if feature.kind == "category" else f"{value:g}"
    return f"{feature.name} is {word}" + (f" ({age} steps ago)" if age else "")
