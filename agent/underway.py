"""An episode under way, in a checkpoint: the belief, the goals' state, what failed, and the action not yet answered.

A loaded agent goes on in the middle of an episode where its environment does: call `act` with the next observation; or
call `reset`, and the episode is over. A plan is not saved: the agent plans anew. What is lived from then on is a new
episode in memory, for the old one may be another process's that goes on with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from ..memory import Step, Transitions
from ..world import tree
from ..world.model import begin
from .mind import Pursuit

if TYPE_CHECKING:
    from .agent import Agent

T = TypeVar("T")
COUNTERS = ("imagined_steps", "departures", "broken", "conflicts", "reward")


def state(agent: Agent) -> dict[str, Any] | None:
    """What `resume` needs: tensors and JSON data; None between episodes, and for a model whose states are no tensors to
    keep (clones of an environment)."""
    mind = agent.mind
    is_kept = isinstance(mind.learned, nn.Module) and mind.belief is not None and mind.features is not None
    if not is_kept or mind.pursuit is None or agent._pending is None:
        return None
    before, action = agent._pending
    return {
        "episodes": [*agent._before, *([] if agent._episode is None else [agent._episode])],
        "steps": mind.recent.t,
        "seen": {k: torch.tensor(v) for k, v in agent._seen.items()},
        "before": {k: torch.tensor(v) for k, v in before.items()},
        "action": action.clone(),
        "features": {k: v.clone() for k, v in (mind.features or {}).items()},
        "belief": [leaf.clone() for leaf in tree.leaves(mind.belief)],
        "carry": [leaf.clone() for leaf in tree.leaves(mind.pursuit.carry)],
        "failures": mind.failures.keys.clone(),
        "counters": {name: getattr(mind, name) for name in COUNTERS},
    }


def resume(agent: Agent, saved: dict[str, Any], recent: dict[str, Any]) -> bool:
    """Go on with the episode; False, and nothing is done, where memory does not hold it as it was left, or rules and
    model have changed so that the belief or the goals' state fits no more."""
    mind = agent.mind
    steps = [step for id in saved["episodes"] for step in _steps(mind.memory.transitions([id]))]
    if len(steps) != saved["steps"]:
        return False
    features, objective = saved["features"], agent.objective()
    belief = _filled(begin(mind.imagining, features), saved["belief"])
    carry = _filled(objective.start(features), saved["carry"])
    if belief is None or carry is None:
        return False
    mind.recent.load_state_dict(recent, steps)
    mind.features, mind.belief, mind.pursuit = features, belief, Pursuit(objective, carry)
    mind.failures.keys = saved["failures"]
    for name in COUNTERS:
        setattr(mind, name, saved["counters"][name])
    agent._seen = {k: v.numpy() for k, v in saved["seen"].items()}
    agent._before = tuple(saved["episodes"])
    agent._pending = {k: v.numpy() for k, v in saved["before"].items()}, saved["action"]
    with torch.no_grad():
        _, mind.predicted = mind.imagining.step(mind.belief, saved["action"])
    return True


def _steps(found: Transitions) -> list[Step]:
    """The transitions of one episode as it lived them."""
    return [Step({k: v[i] for k, v in found.features.items()}, found.action[i], float(found.reward[i]),
                 bool(found.terminated[i]), bool(found.truncated[i]), {k: v[i] for k, v in found.next_features.items()})
            for i in range(len(found))]


def _filled(structure: T, values: list[Tensor]) -> T | None:
    """The tree with other leaves; None where they do not fit it."""
    old, rest = tree.leaves(structure), iter(values)
    if [(leaf.shape, leaf.dtype) for leaf in old] != [(leaf.shape, leaf.dtype) for leaf in values]:
        return None
    return tree.tree_map(lambda _: next(rest), structure)
