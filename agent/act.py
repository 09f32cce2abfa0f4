"""a'_t = E(a_t): from the intended action to the environment's own, through the shield."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..errors import GedankenError
from ..world.schema import Schema
from .mind import Mind


def within(schema: Schema, intended: Tensor) -> Tensor:
    """Intended actions `[N, A]` inside their bounds. Raises `GedankenError` where one is not a number."""
    if intended.is_floating_point() and bool(intended.isnan().any()):
        raise GedankenError(f"the planner's action {intended.tolist()} is not a number: a model or an objective gives "
                            "NaN there; plan with another, or train the model on more data")
    return schema.clamp(intended)


def act(mind: Mind, schema: Schema, intended: Tensor) -> tuple[Tensor, Any]:
    """Guard the intended action `[1, A]`; return what is executed and the same as the environment takes it.
    Raises `GedankenError` where it is not a number.

    What the model expects of it is kept, to be compared with what comes.
    """
    assert mind.features is not None
    assert mind.belief is not None
    planned = None
    if mind.pursuit and mind.pursuit.plan:
        planned = schema.clamp(mind.pursuit.plan.sequence[mind.pursuit.at :])
    action, decision = mind.shield.guard(within(schema, intended), mind.features, mind.imagining, mind.belief, mind.rng,
                                         planned)
    if decision is not None:
        mind.decisions.append(decision)
        mind.recent.say(f"at step {mind.recent.t} another action was taken than planned: {decision.rule}")
        if mind.pursuit:
            mind.pursuit.plan = None
    with torch.no_grad():
        _, mind.predicted = mind.imagining.step(mind.belief, action)
    return action, schema.act(action[0].numpy())
