"""The miner finds what made the transitions, says it shortly, and does not take chance for law."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gedanken.memory.experience.record import Transitions
from gedanken.world.checking import judge, measure
from gedanken.world.miner import MinerConfig, mine
from gedanken.world.rules.text import to_text
from gedanken.world.schema import Derived, Feature, Pointed, Schema

THINGS = ("empty", "wall", "key", "ball", "door")
HANDS = ("none", "key", "ball")
STATES = ("none", "open", "locked")


def _pointed(name: str, values: tuple[str, ...], of: str) -> Pointed:
    return Pointed(Feature(name, "category", values=values), of, _ahead)


def _ahead(f: dict) -> torch.Tensor:
    return (f["at"].long() + 1) % 5


SCHEMA = Schema(
    "ring",
    (
        Feature("thing", "category", (5,), values=THINGS), Feature("state", "category", (5,), values=STATES),
        Feature("at", "integer", low=0, high=4), Feature("clock", "integer", low=0, high=10_000),
        Feature("hand", "category", values=HANDS), Feature("lamp", "boolean"), Feature("heat", low=0, high=1),
    ),
    (Feature("action", "category", values=("wait", "go", "take", "open", "switch")),),
    lambda observation, env: {},
    lambda row: int(row[0]),
    (
        _pointed("front", THINGS, "thing"), _pointed("front_state", STATES, "state"),
        Derived(Feature("front_at", "integer", low=0, high=4), _ahead),
    ),
)


def ring(n: int, seed: int = 0, noise: float = 0.0) -> Transitions:
    """A ring of five cells, each step in a new random state: go, take, open with the key, switch a lamp."""
    rng = np.random.default_rng(seed)
    thing = rng.choice(5, (n, 5), p=[0.3, 0.2, 0.2, 0.1, 0.2])
    state = np.where(thing == 4, rng.integers(1, 3, (n, 5)), 0)
    at, hand, lamp = rng.integers(0, 5, n), rng.integers(0, 3, n), rng.random(n) < 0.5
    clock, action = np.arange(n), rng.integers(0, 5, n)
    front = (at + 1) % 5
    rows = np.arange(n)
    ahead, ahead_state = thing[rows, front], state[rows, front]
    now = {"thing": thing, "state": state, "at": at, "clock": clock, "hand": hand, "lamp": lamp, "heat": rng.random(n)}
    next = {k: v.copy() for k, v in now.items()}
    next["clock"] += 1
    goes = (action == 1) & ((ahead == 0) | (ahead_state == 1))
    next["at"][goes] = front[goes]
    takes = (action == 2) & np.isin(ahead, (2, 3)) & (hand == 0)
    next["hand"][takes] = ahead[takes] - 1
    next["thing"][rows[takes], front[takes]] = 0
    opens = (action == 3) & (ahead_state == 2) & (hand == 1)
    next["state"][rows[opens], front[opens]] = 1
    next["lamp"] = np.where(action == 4, ~lamp, lamp)
    fails = rng.random(n) < noise
    for name in next:
        if name != "clock":
            next[name][fails] = now[name][fails]
    columns = {f.name: f.numpy_dtype for f in SCHEMA.features}
    before, after = ({k: v.astype(columns[k]) for k, v in state.items()} for state in (now, next))
    reward, ends = np.where(takes, np.float32(0.5), np.float32(0)), goes & (ahead_state == 1)
    return Transitions(before, action[:, None], reward, ends, np.zeros(n, bool), after, np.zeros(n, np.int64), rows)


@pytest.fixture(scope="module")
def mined() -> list[str]:
    return [to_text(rule) for rule in mine(SCHEMA, ring(1500))]


@pytest.mark.parametrize("law", [
    "expect clock' == clock + 1",
    "expect hand' == front and front' == empty if action == take and front in {key, ball} and hand == none",
    "expect front_state' == open if action == open and front_state == locked and hand == key",
    "expect at' == front_at if action == go and front in {empty, door} and front_state != locked",
    "expect lamp' != lamp if action == switch",
])
def test_finds_the_laws_of_the_world(mined: list[str], law: str) -> None:
    assert law in mined


def test_finds_ends_and_rewards(mined: list[str]) -> None:
    assert "end if action == go and front_state == open" in mined
    assert "reward +0.5 if hand' != hand" in mined


def test_what_it_finds_holds_on_other_data(mined: list[str]) -> None:
    rules = mine(SCHEMA, ring(1500))
    evidence = measure(rules, SCHEMA, ring(3000, seed=9))
    statuses = [judge(rule, e) for rule, e in zip(rules, evidence, strict=True)]
    assert statuses.count("supported") >= len(rules) - 1, list(zip(mined, map(str, evidence), strict=True))


def test_noise_does_not_hide_a_law() -> None:
    found = [to_text(rule) for rule in mine(SCHEMA, ring(3000, noise=0.02))]
    assert any("front_state' == open" in r and "hand == key" in r for r in found), found
    assert any("hand' == front" in r and "action == take" in r for r in found), found


def test_random_changes_are_no_laws() -> None:
    rng = np.random.default_rng(3)
    chance = ring(1000)
    for name in ("hand", "lamp", "at", "clock", "thing", "state"):
        column = chance.next_features[name]
        column[:] = column[rng.permutation(len(column))]
    chance.terminated[:] = rng.random(1000) < 0.1
    chance.reward[:] = rng.random(1000) < 0.1
    assert len(mine(SCHEMA, chance)) <= 1


def test_surprise_says_what_comes_first() -> None:
    steps = ring(1500)
    opened = (steps.features["state"] != steps.next_features["state"]).any(1)
    assert "front_state' == open" in to_text(mine(SCHEMA, steps, np.where(opened, 5.0, 0.0))[0])
    lit = steps.features["lamp"] != steps.next_features["lamp"]
    assert "lamp'" in to_text(mine(SCHEMA, steps, np.where(lit, 5.0, np.nan))[0])


def test_is_bounded_and_deterministic() -> None:
    many = ring(20_000)
    config = MinerConfig(rules=5, rows=2000)
    first = mine(SCHEMA, many, np.arange(20_000.0), config)
    assert len(first) == 5
    assert mine(SCHEMA, many, np.arange(20_000.0), config) == first


def test_little_data_and_continuous_worlds_give_nothing() -> None:
    assert mine(SCHEMA, ring(0)) == []
    assert mine(SCHEMA, ring(2)) == []
    plant = Schema("plant", (Feature("x"),), (Feature("push", low=-1, high=1),), lambda o, e: {}, lambda row: row)
    x = {"x": np.arange(50, dtype=np.float32)}
    flat = {"reward": np.zeros(50, np.float32), "terminated": np.arange(50) % 7 == 0, "truncated": np.zeros(50, bool),
            "episode": np.zeros(50, np.int64), "t": np.arange(50)}
    steps = Transitions(features=x, action=np.zeros((50, 1), np.float32), next_features=x, **flat)
    assert mine(plant, steps) == []


def test_a_thousand_transitions_of_minigrid_tell_what_picking_up_does() -> None:
    gymnasium = pytest.importorskip("gymnasium")
    pytest.importorskip("minigrid")
    env = gymnasium.make("MiniGrid-DoorKey-5x5-v0")
    schema, rng = Schema.from_env(env), np.random.default_rng(0)
    seen, actions, following = [], rng.integers(0, 7, 1000), []
    for i, action in enumerate(actions):
        if i % 100 == 0:
            now = schema.observe(env.reset(seed=i)[0], env)
        seen.append(now)
        now = schema.observe(env.step(int(action))[0], env)
        following.append(now)
    features, next = ({k: np.stack([r[k] for r in rows]) for k in rows[0]} for rows in (seen, following))
    no = np.zeros(1000, bool)
    time_, reward = np.arange(1000), np.zeros(1000, np.float32)
    steps = Transitions(features, actions[:, None], reward, no, no, next, time_ // 100, time_)
    found = mine(schema, steps)
    assert any("carrying_object' == key" in (text := to_text(r)) and "front_object' == empty" in text for r in found)
    evidence = measure(found, schema, steps)
    assert all(judge(r, e) != "contradicted" for r, e in zip(found, evidence, strict=True))
