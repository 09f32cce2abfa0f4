"""The worlds of `rules_mining`: five invented ones, five of Gymnasium's and MiniGrid's, and what is true of each.

A law is a rule line, or several of which any will do because the data of a random walk cannot tell them apart. It is
stated as widely as it is true.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import minigrid  # noqa: F401 - registers the environments
import numpy as np

from gedanken.memory.experience.record import Transitions
from gedanken.world.schema import Feature, Pointed, Schema

Columns = dict[str, np.ndarray]
Step = Callable[[Columns, np.ndarray, np.random.Generator], tuple[Columns, np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class World:
    """`sample(n, seed)` gives transitions as they truly were; `laws` are what is true of them."""

    name: str
    schema: Schema
    sample: Callable[[int, int], Transitions]
    laws: tuple[tuple[str, ...], ...]


def worlds() -> list[World]:
    """All ten."""
    return [workshop(), warehouse(), boiler(), cart(), casino(), door_key(), taxi(), frozen_lake(), cliff_walking(),
            cart_pole()]


# --- invented: every step from a new random state ---------------------------------------------------------------------


def workshop() -> World:
    """Categories: a lock that wants the key of its color, a hand that takes what lies on the bench, a clock."""
    colors, things = ("red", "green", "blue"), ("none", "saw", "glue", "nail")
    features = (_category("key_color", *colors), _category("door_color", *colors),
                _category("door", "locked", "closed", "open"), _category("hand", *things),
                _category("bench", *things), Feature("lamp", "boolean"), Feature("clock", "integer", low=0, high=11))

    def step(s: Columns, a: np.ndarray, rng: np.random.Generator) -> tuple[Columns, np.ndarray, np.ndarray]:
        unlocks = (a == 0) & (s["door"] == 0) & (s["key_color"] == s["door_color"])
        opens = (a == 1) & (s["door"] == 1)
        takes = (a == 2) & (s["hand"] == 0)
        return s | {
            "door": np.select([unlocks, opens], [1, 2], s["door"]),
            "hand": np.where(takes, s["bench"], s["hand"]), "bench": np.where(takes, 0, s["bench"]),
            "lamp": np.where(a == 3, ~s["lamp"], s["lamp"]), "clock": (s["clock"] + 1) % 12,
        }, np.where(opens, 1.0, 0.0), opens & s["lamp"]

    return _invented("workshop", features, ("unlock", "push", "take", "switch", "wait"), step, (
        "expect door' == closed if action == unlock and door == locked and key_color == door_color",
        ("expect door' == open if action == push and door == closed",
         "expect door' == open if action == push and door != locked"),
        "expect hand' == bench if action == take and hand == none",
        "expect bench' == none if action == take and hand == none",
        "expect lamp' != lamp if action == switch", "expect clock' == (clock + 1) % 12",
        "reward +1 if action == push and door == closed", "end if action == push and door == closed and lamp",
    ))


def warehouse() -> World:
    """Integers: bounds, thresholds, relations between features, and an alarm that no action explains."""
    features = (_integer("x", 0, 9), _integer("goal_x", 0, 9), _integer("load", 0, 8), _integer("battery", 0, 20),
                Feature("alarm", "boolean"))

    def step(s: Columns, a: np.ndarray, rng: np.random.Generator) -> tuple[Columns, np.ndarray, np.ndarray]:
        x, load, battery = s["x"], s["load"], s["battery"]
        delivers = (a == 4) & (x == s["goal_x"])
        return s | {
            "x": np.select([a == 0, (a == 1) & (load <= 5)], [np.maximum(x - 1, 0), np.minimum(x + 1, 9)], x),
            "load": np.select([(a == 2) & (battery > 3), delivers], [np.minimum(load + 1, 8), 0], load),
            "battery": np.select([a == 3, a <= 2], [20, np.maximum(battery - 2, 0)], battery),
            "alarm": load > 6,
        }, np.where(delivers, 1.0, np.where((a == 1) & (x > s["goal_x"]), -0.5, 0.0)), (battery == 0) & (a <= 2)

    return _invented("warehouse", features, ("left", "right", "lift", "charge", "deliver"), step, (
        "expect x' == max(x - 1, 0) if action == left", "expect x' == min(x + 1, 9) if action == right and load <= 5",
        "expect load' == min(load + 1, 8) if action == lift and battery > 3",
        "expect load' == 0 if action == deliver and x == goal_x", "expect battery' == 20 if action == charge",
        "expect battery' == max(battery - 2, 0) if action in {left, right, lift}",
        "expect alarm' if load > 6", "expect not alarm' if load <= 6",
        "reward +1 if action == deliver and x == goal_x", "reward -0.5 if action == right and x > goal_x",
        "end if battery == 0 and action in {left, right, lift}",
    ))


def boiler() -> World:
    """Reals: a different update for every action, cuts, and a valve that no action touches."""
    features = (Feature("temperature", low=0, high=100), Feature("outside", low=0, high=30),
                Feature("pressure", low=0, high=10), _category("valve", "shut", "open"), Feature("alarm", "boolean"))

    def step(s: Columns, a: np.ndarray, rng: np.random.Generator) -> tuple[Columns, np.ndarray, np.ndarray]:
        t, p = s["temperature"], s["pressure"]
        alarm = t > 70
        return s | {
            "temperature": np.clip(np.select([a == 0, a == 1], [t + 5, t - 0.1 * t + 0.1 * s["outside"]], t), 0, 100),
            "pressure": np.clip(np.where(s["valve"] == 0, p + 0.02 * t, 0.5 * p), 0, 10),
            "valve": np.where(a == 2, 1 - s["valve"], s["valve"]), "alarm": alarm,
        }, np.where(p > 8, -1.0, 0.0), p > 9.5

    return _invented("boiler", features, ("heat", "cool", "turn", "wait"), step, (
        "expect temperature' == min(temperature + 5, 100) within 0.1 if action == heat",
        "expect temperature' == 0.9 * temperature + 0.1 * outside within 0.1 if action == cool",
        "expect pressure' == min(pressure + 0.02 * temperature, 10) within 0.1 if valve == shut",
        "expect pressure' == 0.5 * pressure within 0.1 if valve == open",
        "expect valve' == open if action == turn and valve == shut",
        "expect valve' == shut if action == turn and valve == open",
        "expect alarm' if temperature > 70", "expect not alarm' if temperature <= 70",
        "reward -1 if pressure > 8", "end if pressure > 9.5",
    ))


def cart() -> World:
    """Reals under continuous actions: a torque, a brake, two grounds, a wall."""
    features = (Feature("position", low=-5, high=5), Feature("velocity", low=-2, high=2),
                _category("ground", "road", "grass"), Feature("fuel", low=0, high=50))
    actions = (Feature("torque", low=-1, high=1), Feature("brake", low=0, high=1))

    def step(s: Columns, a: np.ndarray, rng: np.random.Generator) -> tuple[Columns, np.ndarray, np.ndarray]:
        x, v, torque = s["position"], s["velocity"], a[:, 0]
        moved = np.where(s["ground"] == 0, v + 0.3 * torque, 0.8 * v + 0.1 * torque)
        position = np.clip(x + 0.2 * v, -5, 5)
        return s | {"position": position, "velocity": np.clip(moved, -2, 2), "fuel": np.maximum(s["fuel"] - 1, 0)}, \
            np.where(position > 4, 1.0, 0.0), s["fuel"] < 3

    return _invented("cart", features, actions, step, (
        "expect position' == clip(position + 0.2 * velocity, -5, 5) within 0.01",
        "expect velocity' == clip(velocity + 0.3 * torque, -2, 2) within 0.01 if ground == road",
        "expect velocity' == 0.8 * velocity + 0.1 * torque within 0.01 if ground == grass",
        "expect fuel' == max(fuel - 1, 0) within 0.01", "reward +1 if position' > 4", "end if fuel < 3",
    ))


def casino() -> World:
    """Chance: a lever that sometimes opens, a bet that is won or lost, moods."""
    features = (_category("door", "shut", "open"), _integer("coins", 0, 8),
                _category("mood", "sad", "calm", "glad"), Feature("day", "boolean"))

    def step(s: Columns, a: np.ndarray, rng: np.random.Generator) -> tuple[Columns, np.ndarray, np.ndarray]:
        n, coins = len(a), s["coins"]
        bets = (a == 1) & (coins > 0) & (coins < 7)
        wins = rng.random(n) < 0.4
        return s | {
            "door": np.where((a == 0) & (rng.random(n) < 0.7), 1, s["door"]),
            "coins": np.where(bets, np.where(wins, coins + 2, coins - 1), coins),
            "mood": np.where((a == 2) & (s["mood"] == 0) & (rng.random(n) < 0.6), 2, s["mood"]),
            "day": np.where(rng.random(n) < 0.25, ~s["day"], s["day"]),
        }, np.where(bets & wins, 1.0, 0.0), coins == 0

    return _invented("casino", features, ("pull", "bet", "sing", "wait"), step, (
        "expect door' == open with probability 0.7 if action == pull and door == shut",
        "expect coins' == coins + 2 with probability 0.4 if action == bet and 0 < coins < 7",
        "expect coins' == coins - 1 with probability 0.6 if action == bet and 0 < coins < 7",
        "expect mood' == glad with probability 0.6 if action == sing and mood == sad",
        "expect day' != day with probability 0.25", "end if coins == 0",
        "reward +1 if action == bet and coins' > coins",
    ))


# --- of Gymnasium and MiniGrid: random walks --------------------------------------------------------------------------


def door_key() -> World:
    turns = ("right", "down", "left", "up")
    turning = [
        (f"expect direction' == {turns[(k + by) % 4]} if action == {action} and direction == {turns[k]}",)
        for action, by in (("left", -1), ("right", 1)) for k in range(4)
    ]
    free = ("(front_object in {empty, goal} or front_state == open)", "front_object in {empty, goal}",
            "(front_object == empty or front_state == open)", "front_object == empty")
    going = [tuple(f"expect {axis}' == front_{axis[-1]} if action == forward and {where}" for where in free)
             for axis in ("agent_x", "agent_y")]
    return _real("MiniGrid-DoorKey-6x6-v0", 50, (
        *turning, *going,
        ("expect carrying_object' == key if action == pickup and front_object == key and carrying_object == none",),
        ("expect front_object' == key if action == drop and front_object == empty and carrying_object == key",),
        ("expect carrying_object' == none if action == drop and front_object == empty",),
    ))


def taxi() -> World:
    blocked = "(taxi_col == 1 and taxi_row <= 1 or taxi_col in {0, 2} and taxi_row >= 3 or taxi_col == 4)"
    walled = "(taxi_col == 2 and taxi_row <= 1 or taxi_col in {1, 3} and taxi_row >= 3 or taxi_col == 0)"
    return _real("Taxi-v4", 50, (
        ("expect taxi_row' == min(taxi_row + 1, 4) if action == south",),
        ("expect taxi_row' == max(taxi_row - 1, 0) if action == north",),
        (f"expect taxi_col' == taxi_col + 1 if action == east and not {blocked}",),
        (f"expect taxi_col' == taxi_col - 1 if action == west and not {walled}",),
        ("reward -1 if not (action in {pickup, dropoff})",),
        ("reward -10 if action == dropoff and passenger != in_taxi or action == pickup and not "
         "(passenger == red and taxi_row == 0 and taxi_col == 0 or passenger == green and taxi_row == 0 and "
         "taxi_col == 4 or passenger == yellow and taxi_row == 4 and taxi_col == 0 or passenger == blue and "
         "taxi_row == 4 and taxi_col == 3)",),
    ))


def frozen_lake() -> World:
    moves = (("row", "+", "action != up and row < 3"), ("row", "-", "action != down and row > 0"),
             ("col", "+", "action != left and col < 3"), ("col", "-", "action != right and col > 0"))
    return _real("FrozenLake-v1", 100, (
        *((f"expect {axis}' == {axis} {sign} 1 with probability 0.33 if {guard}",) for axis, sign, guard in moves),
        ("end if tile'[row', col'] in {hole, goal}", "end if tile'[row', col'] == hole"),
    ))


def cliff_walking() -> World:
    falls = "(action == down and row == 2 and 1 <= col <= 10 or action == right and row == 3)"
    wider = falls.replace("1 <= col <= 10", "col >= 1")    # hardly any random walk gets to column 11
    return _real("CliffWalking-v1", 100, (
        ("expect row' == max(row - 1, 0) if action == up",), ("expect row' == min(row + 1, 3) if action == down",),
        ("expect col' == max(col - 1, 0) if action == left",),
        ("expect col' == min(col + 1, 11) if action == right and row < 3",
         "expect col' == col + 1 if action == right and row < 3 and col < 11",
         "expect col' == col + 1 if action == right and row < 3"),
        ("expect col' == 0 if action == down and row == 2 and col <= 10 or action == right and row == 3 or "
         "col == 0 and action != right or col == 1 and action == left",
         "expect col' == 0 if action == down and row == 2 and col >= 1",
         "expect col' == 0 if action == down and row == 2 and 1 <= col <= 10",
         "expect col' == 0 if action == down and row == 2",
         "expect col' == 0 if action == down and row == 2 and col <= 10"),
        (f"reward -100 if {falls}", f"reward -100 if {wider}"),
        (f"reward -1 if not {falls}", f"reward -1 if not {wider}"),
    ))


def cart_pole() -> World:
    return _real("CartPole-v1", 500, (
        ("expect cart_position' == cart_position + 0.02 * cart_velocity within 0.001",),
        ("expect pole_angle' == pole_angle + 0.02 * pole_angular_velocity within 0.001",),
        ("reward +1",), ("end if abs(pole_angle') > 0.2095",),
    ))


# --- how they are made ------------------------------------------------------------------------------------------------


def _category(name: str, *values: str) -> Feature:
    return Feature(name, "category", values=values)


def _integer(name: str, low: int, high: int) -> Feature:
    return Feature(name, "integer", low=low, high=high)


def _invented(name: str, features: tuple[Feature, ...], actions: tuple[Any, ...], step: Step,
              laws: tuple[str | tuple[str, ...], ...]) -> World:
    acting = actions if isinstance(actions[0], Feature) else (_category("action", *actions),)
    schema = Schema(name, features, acting, lambda observation, env: {}, lambda row: row)

    def drawn(f: Feature, n: int, rng: np.random.Generator) -> np.ndarray:
        if f.kind == "real":
            return rng.uniform(f.low, f.high, n)
        return rng.integers(f.offset, f.offset + (f.cardinality or 0), n).astype(bool if f.kind == "boolean" else int)

    def sample(n: int, seed: int) -> Transitions:
        rng = np.random.default_rng(seed)
        now = {f.name: drawn(f, n, rng).astype(f.numpy_dtype) for f in features}
        action = np.stack([drawn(a, n, rng) for a in acting], 1)
        next_, reward, ended = step(now, action[:, 0] if schema.discrete_actions else action, rng)
        after = {f.name: np.asarray(next_[f.name]).astype(f.numpy_dtype) for f in features}
        return _joined(now, action, reward, ended, after)

    return World(name, schema, sample, tuple((law,) if isinstance(law, str) else law for law in laws))


def _real(id: str, restart: int, laws: tuple[tuple[str, ...], ...]) -> World:
    env = gym.make(id)
    schema = Schema.from_env(env)

    def sample(n: int, seed: int) -> Transitions:
        rng = np.random.default_rng(seed)
        rows: list[tuple[Any, ...]] = []
        age, now = restart, {}
        for k in range(n):
            if age >= restart:
                now, age = schema.observe(env.reset(seed=seed * 1_000_003 + k)[0], env), 0
            action = rng.integers(schema.actions[0].cardinality)
            seen, reward, terminated, truncated, _ = env.step(schema.act(np.array([action])))
            after = schema.observe(seen, env)
            rows.append((now, [action], reward, terminated, after))
            now, age = after, restart if terminated or truncated else age + 1
        before, action, reward, ended, after = zip(*rows, strict=True)
        return _joined(_stacked(before), np.array(action), np.array(reward), np.array(ended), _stacked(after))

    return World(schema.name, schema, sample, laws)


def _stacked(rows: tuple[Columns, ...]) -> Columns:
    return {k: np.stack([r[k] for r in rows]) for k in rows[0]}


def _joined(now: Columns, action: np.ndarray, reward: np.ndarray, ended: np.ndarray, after: Columns) -> Transitions:
    n = len(action)
    return Transitions(now, action, reward.astype(np.float32), ended.astype(bool), np.zeros(n, bool), after,
                       np.zeros(n, np.int64), np.arange(n))


# --- misreading -------------------------------------------------------------------------------------------------------


def misread(transitions: Transitions, schema: Schema, rate: float, shake: float, seed: int) -> Transitions:
    """On a share `rate` of the steps one thing, drawn evenly from the next features, the reward (where it varies) and
    the end, is another than it was: any other value of its range (of an array: the cell ahead, where the schema has
    one). Every real is shaken by a Gaussian of `shake` times the root mean square of its change."""
    rng, n = np.random.default_rng(seed), len(transitions)
    after = {k: v.copy() for k, v in transitions.next_features.items()}
    reward, ended = transitions.reward.copy(), transitions.terminated.copy()
    paid = np.unique(reward)
    for f in schema.features:
        if f.kind == "real":
            size = np.sqrt(np.mean((after[f.name] - transitions.features[f.name]) ** 2))
            after[f.name] += rng.normal(0, shake * size, n).astype(np.float32)
    things = [*schema.features, "end", *(["reward"] if len(paid) > 1 else [])]
    ahead = {d.of: d.at(schema.batch(transitions.next_features)).numpy() for d in schema.derived
             if isinstance(d, Pointed)}
    for row in np.flatnonzero(rng.random(n) < rate):
        f = things[rng.integers(len(things))]
        if f == "end":
            ended[row] = not ended[row]
        elif f == "reward":
            reward[row] = rng.choice(paid[paid != reward[row]])
        else:
            cells = after[f.name][row].reshape(-1) if f.shape else after[f.name][row : row + 1]
            spot = int(ahead[f.name][row]) if f.name in ahead else rng.integers(len(cells))
            if f.kind == "real":
                column = transitions.next_features[f.name]
                cells[spot] = rng.uniform(column.min(), column.max())
            else:
                values = np.arange(f.offset, f.offset + (f.cardinality or 0))
                cells[spot] = rng.choice(values[values != cells[spot]])
    return Transitions(transitions.features, transitions.action, reward, ended, transitions.truncated, after,
                       transitions.episode, transitions.t)
