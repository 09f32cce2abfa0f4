"""A switch that is seen once and decides later: what no feature shows is kept, by itself and under rules.

The `cue` is shown at the first step only. Looking lights the lamp in its colour; not looking leaves it dark. The
battery is unrelated, and what a rule corrects.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gedanken.world import tree
from gedanken.world.model import Batch, begin
from gedanken.world.models.rssm import RSSM, RSSMConfig
from gedanken.world.refine import Refined
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Feature, Schema

torch.set_num_threads(1)
WAIT, LOOK = 0, 1
CUES = ("none", "green", "red")
CUE, LAMP = Feature("cue", "category", values=CUES), Feature("lamp", "category", values=CUES)
SWITCH = Schema("switch", (CUE, LAMP, Feature("battery", low=0, high=10)),
                (Feature("action", "category", values=("wait", "look")),), lambda o, e: o, lambda a: a)
CHARGE = "expect battery' == 10 if action == wait"


def lives(n: int, steps: int, rng: torch.Generator) -> Batch:
    cue = torch.randint(1, 3, (n, 1), generator=rng)
    action = torch.randint(0, 2, (n, steps, 1), generator=rng)
    shown = torch.cat([cue, torch.zeros(n, steps, dtype=torch.int64)], 1)
    lamp = torch.cat([torch.zeros(n, 1, dtype=torch.int64), torch.where(action[..., 0] == LOOK, cue, 0)], 1)
    battery = 10 * torch.rand(n, 1, generator=rng) - 0.2 * torch.arange(steps + 1)
    features = {"cue": shown.to(CUE.dtype), "lamp": lamp.to(LAMP.dtype), "battery": battery.clamp_min(0)}
    nothing = torch.zeros(n, steps)
    return Batch(features, action, nothing, nothing.bool(), torch.ones(n, steps, dtype=torch.bool))


@pytest.fixture(scope="module")
def model() -> RSSM:
    rng = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    model = RSSM(SWITCH, RSSMConfig(deter=32, blocks=2, hidden=24, latents=4, classes=4, units=24))
    data = lives(256, 4, rng)
    model.fit_normaliser(data.features, data.mask, data.reward)
    optimiser = torch.optim.AdamW(model.parameter_groups(), lr=1e-2)
    for _ in range(200):
        loss = sum(model.loss(lives(32, 4, rng), rng).values())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimiser.step()
    return model.requires_grad_(False)


def first(n: int = 64) -> dict[str, Tensor]:
    """The first features of n lives, half of them green, half red."""
    cue = 1 + torch.arange(n) % 2
    return {"cue": cue.to(CUE.dtype), "lamp": torch.zeros(n, dtype=LAMP.dtype), "battery": torch.full((n,), 6.0)}


def act(n: int, action: int) -> Tensor:
    return torch.full((n, 1), action)


def right(lamp: Tensor, cue: Tensor) -> float:
    return (lamp == cue).float().mean().item()


def test_it_keeps_what_is_hidden(model: RSSM) -> None:
    start = first()
    state = begin(model, start)
    for _ in range(3):
        state, out = model.step(state, act(64, WAIT))
        assert (out.mode["cue"] == 0).all()
    _, out = model.step(state, act(64, LOOK))
    assert right(out.mode["lamp"], start["cue"]) == 1


def test_the_decoded_features_do_not_show_it(model: RSSM) -> None:
    """Encoding what was decoded anew at every step loses it: the two colours can no longer be told apart."""
    start = first()
    state = begin(model, start)
    for _ in range(3):
        state, _ = model.step(state, act(64, WAIT))
        state = begin(model, model.decode(state))
    _, out = model.step(state, act(64, LOOK))
    assert right(out.mode["lamp"], start["cue"]) == 0.5


@pytest.mark.parametrize("drawn", [False, True])
def test_correcting_an_unrelated_feature_keeps_it(model: RSSM, drawn: bool) -> None:
    rng = torch.Generator().manual_seed(0) if drawn else None
    start, refined = first(), Refined(model, [parse(CHARGE, SWITCH)])
    state = begin(refined, start)
    for _ in range(3):
        state, _ = refined.step(state, act(64, WAIT), rng)
        assert torch.allclose(refined.decode(state)["battery"], torch.tensor(10.0), atol=0.1)
    state, _ = refined.step(state, act(64, LOOK), rng)
    assert right(refined.decode(state)["lamp"], start["cue"]) > (0.8 if drawn else 0.95)
    assert (refined.decode(state)["battery"] - 9.8).abs().max() < 0.5  # the correction lasts, too


def test_what_is_not_corrected_is_not_touched(model: RSSM) -> None:
    state, _ = model.step(begin(model, first()), act(64, WAIT), torch.Generator().manual_seed(0))
    same = model.assimilate(state, model.decode(state), torch.ones(64, dtype=torch.bool))
    assert all(torch.equal(a, b) for a, b in zip(tree.leaves(same), tree.leaves(state), strict=True))
    told = model.decode(state) | {"battery": torch.where(torch.arange(64) < 8, 1.0, model.decode(state)["battery"])}
    rows = torch.arange(64) < 4
    after = model.assimilate(state, told, rows)
    assert (after.reals[:4, 0] == 1).all()
    for old, new in zip(tree.leaves(state), tree.leaves(after), strict=True):
        assert torch.equal(old[4:], new[4:])
    assert torch.equal(after.deter, state.deter)
    assert torch.equal(after.stoch, state.stoch)


def test_a_told_colour_is_what_the_lamp_shows_next(model: RSSM) -> None:
    """The hidden part itself can be told, in the feature that shows it."""
    state = begin(model, first())
    told = model.decode(state) | {"cue": 3 - first()["cue"]}
    state = model.assimilate(state, told, torch.ones(64, dtype=torch.bool))
    for _ in range(3):
        state, _ = model.step(state, act(64, WAIT))
    _, out = model.step(state, act(64, LOOK))
    assert right(out.mode["lamp"], first()["cue"]) == 0
