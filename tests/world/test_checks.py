"""The checker of world models: quiet about the sound ones, and plain about each way of breaking the seam."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gymnasium as gym
import pytest
import torch
from torch import Tensor, nn

import gedanken
from gedanken.errors import UserError
from gedanken.world.checks import check_world_model
from gedanken.world.distributions import Normal
from gedanken.world.model import Batch, Outcome
from gedanken.world.models.build import MODELS, build
from gedanken.world.models.persistence import Persistence
from gedanken.world.models.simulator import Simulator
from gedanken.world.refine import Refined
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Feature, Schema
from gedanken.world.trial import random_actions, random_features

ROOM = Schema(
    "room",
    (Feature("door", "category", values=("open", "closed")), Feature("heat", low=0, high=50),
     Feature("cells", "category", (2, 2), values=("empty", "wall", "key"))),
    (Feature("action", "category", values=("wait", "push")),), lambda o, e: {}, lambda a: int(a[0]),
)
State = dict[str, Tensor]


def autoencoded(model: Any) -> Any:
    """A model whose encoding is learned, so far that it reads back what it wrote."""
    if not isinstance(model, nn.Module):
        return model
    rng = torch.Generator().manual_seed(0)
    rows = random_features(model.schema, 64, rng)
    batch = Batch({k: v.view(32, 2, *v.shape[1:]) for k, v in rows.items()},
                  random_actions(model.schema, (32, 1), rng), torch.zeros(32, 1), torch.zeros(32, 1, dtype=torch.bool),
                  torch.ones(32, 1, dtype=torch.bool))
    if "autoencode" not in model.loss(batch, rng):
        return model
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(60):
        optimiser.zero_grad()
        model.loss(batch, rng)["autoencode"].backward()
        optimiser.step()
    return model


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("id", ["CartPole-v1", "FrozenLake-v1", "MiniGrid-DoorKey-5x5-v0"])
def test_every_model_keeps_the_promises_of_the_seam(name: str, id: str) -> None:
    if id.startswith("MiniGrid"):
        pytest.importorskip("minigrid")
    env = gym.make(id)
    observation, _ = env.reset(seed=0)
    torch.manual_seed(0)
    try:
        model = autoencoded(build(name, Schema.from_env(env), env))
    except UserError:
        pytest.skip(f"{name} does not serve {id}")
    real = model.schema.batch([model.schema.observe(observation, env)])
    assert check_world_model(model, real if isinstance(model, Simulator) else None) == []


def test_a_refined_model_is_a_model() -> None:
    rules = [parse("expect door' == open if action == push", ROOM), parse("reward 1 if door' == open", ROOM)]
    assert check_world_model(Refined(Persistence(ROOM), rules)) == []


def test_it_is_public() -> None:
    assert gedanken.check_world_model is check_world_model
    assert callable(gedanken.check_clone)


class Changed(Persistence):
    """A sound model whose outcome is then changed."""

    change: Callable[[Outcome, Tensor, torch.Generator | None], Outcome] = staticmethod(lambda out, action, rng: out)

    def step(self, state: State, action: Tensor, rng: torch.Generator | None = None) -> tuple[State, Outcome]:
        state, out = super().step(state, action, rng)
        return state, type(self).change(out, action, rng)


def changed(change: Callable[[Outcome, Tensor, torch.Generator | None], Outcome], *provides: str) -> Any:
    model = type("Changed", (Changed,), {"change": staticmethod(change)})(ROOM)
    model.provides = frozenset(provides)
    return model


def made(provides: Any = frozenset(), **methods: Any) -> Any:
    model = type("Made", (Persistence,), methods)(ROOM)
    model.provides = provides
    return model


def _in_place(self: Any, state: State, action: Tensor, rng: Any = None) -> Any:
    state["heat"] += 1
    return Persistence.step(self, state, action, rng)


def _counting(self: Any, state: State, action: Tensor, rng: Any = None) -> Any:
    self.steps = getattr(self, "steps", 0) + 1
    return Persistence.step(self, state, action, rng)


def _forgetting(self: Any, state: State, features: Any, rows: Tensor, rng: Any = None) -> State:
    return state


def _everywhere(self: Any, state: State, features: Any, rows: Tensor, rng: Any = None) -> State:
    return dict(features)


def _half(out: Outcome) -> Any:
    return {**out.features, "door": replace(out.features["door"], logits=torch.zeros(len(out.reward), 3))}  # type: ignore


def _global(out: Outcome, action: Tensor, rng: Any) -> Outcome:
    return replace(out, reward=torch.rand(len(action)))


BROKEN: dict[str, tuple[Any, str]] = {
    "no method": (object(), "no 'schema', 'provides', 'initial'"),
    "provides is a list": (made(["reward"]), "make it a frozenset"),
    "provides what nobody knows": (made(frozenset({"magic"})), "names magic, which nobody asks for"),
    "a leaf without rows": (made(initial=lambda self, n: {"h": torch.zeros(3, n)}), r"initial\(N\).*shape \(3, 6\)"),
    "a list in the state": (made(initial=lambda self, n: {"h": [1]}), "no tree of tensors"),
    "decode of another type": (made(decode=lambda self, s: {**s, "heat": s["heat"].double()}),
                               "decode gives 'heat' as .*float64, expected"),
    "decode of something else": (made(decode=lambda self, s: {**s, "heat": s["heat"] * 0}), "another 'heat'"),
    "a missing feature": (made(decode=lambda self, s: {"heat": s["heat"]}), "decode gives no 'door'"),
    "a reward too wide": (changed(lambda o, a, r: replace(o, reward=torch.ones(len(a), 1)), "reward"),
                          r"Outcome.reward is \(6, 1\)"),
    "a reward that is none": (changed(lambda o, a, r: replace(o, reward=o.reward + torch.nan), "reward"), "not finite"),
    "a logit for a probability": (changed(lambda o, a, r: replace(o, cont=o.cont * 3), "end"), "through sigmoid"),
    "floats for feasible": (changed(lambda o, a, r: replace(o, feasible=o.reward)), "Outcome.feasible is .*torch.bool"),
    "too many values": (changed(lambda o, a, r: replace(o, features=_half(o))), "3 values, the schema lists 2"),
    "a normal of a category": (
        changed(lambda o, a, r: replace(o, features={**o.features, "door": Normal(ROOM.features[0], o.cont, o.cont)})),
        "'door' has listed values: use Categorical"),
    "another order": (changed(lambda o, a, r: replace(o, features=dict(reversed(o.features.items())))), "that order"),
    "a reward nobody hears of": (changed(lambda o, a, r: replace(o, reward=o.reward + 1)), "predicts 'reward'"),
    "an idle promise": (changed(lambda o, a, r: o, "uncertainty"), "uncertainty is zero everywhere"),
    "no value": (changed(lambda o, a, r: o, "value"), "names 'value' and Outcome has none"),
    "global randomness": (changed(_global, "reward"), "draws from torch's global generator"),
    "random without rng": (changed(_global, "reward"), "two steps without `rng` from one state differ"),
    "rows that know each other": (
        changed(lambda o, a, r: replace(o, reward=o.reward + len(a)), "reward"), "two rows alone bring something else"),
    "a state changed in place": (made(step=_in_place), "`step` changes the state it was given"),
    "a model that counts": (made(step=_counting), "`step` changes steps of the model"),
    "assimilates nothing": (made(assimilate=_forgetting), "after assimilate `decode` gives another"),
    "assimilates everywhere": (made(assimilate=_everywhere), "rows where `rows` is False"),
    "deaf to rules": (made(assimilate=_forgetting), "refined by .* the model remembers"),
    "a failing method": (made(decode=lambda self, s: 1 / 0), "could not be checked: ZeroDivisionError"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_each_break_is_named(how: str) -> None:
    model, says = BROKEN[how]
    problems = check_world_model(model)
    assert any(re.search(says, p) for p in problems), "\n".join(problems)


class Learner(Persistence, nn.Module):
    """Learns one number, as `losses` says."""

    def __init__(self, losses: Callable[[Tensor], Any]) -> None:
        nn.Module.__init__(self)
        self.schema, self.number, self.losses = ROOM, nn.Parameter(torch.ones(())), losses

    def loss(self, batch: Batch, rng: torch.Generator | None = None) -> Any:
        return self.losses(self.number)


@pytest.mark.parametrize(("losses", "says"), [
    (lambda x: {"error": x.square()}, None),
    (lambda x: {}, "no named losses"),
    (lambda x: {"error": x.expand(3)}, "'error' is .* not a finite scalar"),
    (lambda x: {"error": (x - 1).log()}, "not a finite scalar"),
    (lambda x: {"error": x.detach()}, "no gradient"),
    (lambda x: {"error": x * 0}, "no parameter gets a gradient"),
    (lambda x: {"error": (x - 1).abs().sqrt()}, "gradient of the losses is not finite"),
])
def test_losses_are_finite_scalars_with_gradients(losses: Callable[[Tensor], Any], says: str | None) -> None:
    problems = check_world_model(Learner(losses))
    assert not problems if says is None else any(re.search(says, p) for p in problems), problems
