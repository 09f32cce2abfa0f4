"""Every known family, and spaces nobody knows, become schemas that fit their environments."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from gedanken.errors import UserError
from gedanken.world.families import schema_of
from gedanken.world.schema import Features, Grid, Pointed, Schema, check_schema

GRIDS = ("MiniGrid-DoorKey-6x6-v0", "MiniGrid-LavaGapS5-v0")
CLASSIC = ("CartPole-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1", "Acrobot-v1")
TAXI = max(name for name in gymnasium.registry if name.startswith("Taxi-v"))
TOY = ("FrozenLake-v1", "CliffWalking-v1", TAXI, "Blackjack-v1")


def make(name: str, **options: Any) -> gymnasium.Env:
    if name.startswith("MiniGrid"):
        pytest.importorskip("minigrid")
    return gymnasium.make(name, **options)


def walk(env: gymnasium.Env, steps: int, seed: int = 0) -> Iterator[Any]:
    """Observations of a random walk."""
    observation, _ = env.reset(seed=seed)
    env.action_space.seed(seed)
    for _ in range(steps):
        yield observation
        observation, _, terminated, truncated, _ = env.step(env.action_space.sample())
        if terminated or truncated:
            observation, _ = env.reset()


@pytest.mark.parametrize("name", GRIDS + CLASSIC + TOY)
def test_a_known_family_fits_its_environment(name: str) -> None:
    env = make(name)
    schema = schema_of(env)
    assert check_schema(schema, env, steps=200) == []
    assert not any(f.name.startswith("observation") for f in schema.features)
    assert all(f.description for f in schema.features)


# --- MiniGrid ---


def ahead(env: gymnasium.Env) -> Any:
    """What the simulator itself has in front of the agent."""
    inner: Any = env.unwrapped
    return inner.grid.get(*inner.front_pos)


@pytest.mark.parametrize("name", GRIDS)
def test_the_cell_ahead_is_the_simulators(name: str) -> None:
    env = make(name)
    schema = schema_of(env)
    for observation in walk(env, 150):
        inner: Any = env.unwrapped
        rows = schema.batch([schema.observe(observation, env)])
        thing = ahead(env)
        assert (rows_value(schema, rows, "front_x"), rows_value(schema, rows, "front_y")) == tuple(inner.front_pos)
        assert word(schema, rows, "front_object") == (thing.type if thing else "empty")
        assert word(schema, rows, "front_color") == (thing.color if thing else "none")
        door = thing if thing and thing.type == "door" else None
        expected = "none" if not door else "open" if door.is_open else "locked" if door.is_locked else "closed"
        assert word(schema, rows, "front_state") == expected


def test_what_is_carried_is_perceived() -> None:
    env = make("MiniGrid-DoorKey-6x6-v0")
    schema = schema_of(env)
    held = set()
    for observation in walk(env, 600):
        inner: Any = env.unwrapped
        seen = schema.batch([schema.observe(observation, env)])
        held.add(word(schema, seen, "carrying_object"))
        assert word(schema, seen, "carrying_color") == (inner.carrying.color if inner.carrying else "none")
        assert (seen["object"] == 5).sum() == (0 if inner.carrying else 1)
    assert held == {"none", "key"}


def test_writing_the_cell_ahead_writes_that_cell_only() -> None:
    env = make("MiniGrid-DoorKey-6x6-v0")
    schema = schema_of(env)
    pointed = schema.derivations["front_object"]
    assert isinstance(pointed, Pointed)
    rows = schema.batch([schema.observe(o, env) for o in walk(env, 50)])
    cells = rows["object"].flatten(1).clone()
    cells.scatter_(1, pointed.at(rows)[:, None], 9)
    written = {**rows, "object": cells.view_as(rows["object"])}
    assert (schema.value("front_object", written) == 9).all()
    assert ((written["object"] != rows["object"]).flatten(1).sum(1) <= 1).all()


def test_off_the_board_is_a_wall_that_cannot_be_pointed_at() -> None:
    schema = schema_of(make("MiniGrid-LavaGapS5-v0"))
    edges = [(0, 0, 2), (0, 0, 3), (4, 4, 0), (4, 4, 1), (2, 2, 0)]  # x, y, direction; the last looks at the board
    rows: dict[str, torch.Tensor] = {
        f.name: torch.zeros(len(edges), *f.shape, dtype=f.dtype) for f in schema.features}
    for k, name in enumerate(("agent_x", "agent_y", "direction")):
        rows[name] = torch.tensor([edge[k] for edge in edges], dtype=schema.base[name].dtype)
    front = schema.derivations["front_object"]
    assert isinstance(front, Pointed)
    assert front.at(rows).tolist() == [-1, -1, -1, -1, 3 * 5 + 2]
    assert schema.value("front_object", rows).tolist() == [2, 2, 2, 2, 0]
    assert schema.value("front_x", rows).tolist() == [-1, 0, 5, 4, 3]


def test_minigrid_needs_the_simulator() -> None:
    minigrid_wrappers = pytest.importorskip("minigrid.wrappers")
    env = minigrid_wrappers.FullyObsWrapper(make("MiniGrid-DoorKey-6x6-v0"))
    schema = schema_of(env)
    assert schema.name == "minigrid"
    with pytest.raises(UserError, match="pass the environment"):
        schema.observe(env.reset(seed=0)[0])


def word(schema: Schema, rows: Features, name: str) -> str:
    return schema.named[name].values[rows_value(schema, rows, name)]


def rows_value(schema: Schema, rows: Features, name: str) -> int:
    return int(schema.value(name, rows)[0])


# --- classic and toy ---


def test_angles_are_derived() -> None:
    schema = schema_of(make("Pendulum-v1"))
    angle = torch.tensor([0.0, 1.0, -3.0])
    assert torch.allclose(schema.value("angle", {"cos_angle": angle.cos(), "sin_angle": angle.sin()}), angle)
    acrobot, env = schema_of(make("Acrobot-v1")), make("Acrobot-v1")
    for observation in walk(env, 20):
        inner: Any = env.unwrapped
        rows = acrobot.batch([acrobot.observe(observation, env)])
        a, b = inner.state[:2]
        assert float(acrobot.value("tip_height", rows)) == pytest.approx(-np.cos(a) - np.cos(a + b), abs=1e-5)


def test_the_lakes_map_and_pointer_agree() -> None:
    env = make("FrozenLake-v1", is_slippery=True)
    schema = schema_of(env)
    assert schema.grid == Grid(("tile",), "row", "col", down=0)
    values = schema.base["tile"].values
    for observation in walk(env, 60):
        inner: Any = env.unwrapped
        seen = schema.observe(observation, env)
        letter = inner.desc[seen["row"], seen["col"]].decode()
        assert values[seen["tile"][seen["row"], seen["col"]]].startswith(letter.lower())


def test_the_taxi_is_decoded_as_the_simulator_does() -> None:
    env = make(TAXI)
    schema = schema_of(env)
    for observation in walk(env, 50):
        inner: Any = env.unwrapped
        assert [int(v) for v in schema.observe(observation, env).values()] == list(inner.decode(observation))


# --- own schemas, wrappers, and spaces nobody knows ---


class Spaces(gymnasium.Env):
    """An environment of given spaces whose observations are random."""

    def __init__(self, observation: spaces.Space, action: spaces.Space) -> None:
        self.observation_space, self.action_space = observation, action

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        assert self.action_space.contains(action), action
        return self.observation_space.sample(), 0.0, False, False, {}


GO = spaces.Discrete(2)
NESTED = spaces.Dict({
    "arm": spaces.Dict({"angle": spaces.Box(-1, 1, (2,)), "grip-force": spaces.Box(0, 5, ())}),
    "mode": spaces.Discrete(3, start=4),
    "lamps": spaces.MultiBinary(3),
    "0": spaces.Tuple((spaces.Discrete(2), spaces.Box(0, 255, (4, 5, 3), np.uint8))),
})


@pytest.mark.parametrize(("space", "names"), [
    (spaces.Box(-1, 1, (3,)), ["observation_0", "observation_1", "observation_2"]),
    (spaces.Box(-1, 1, (1,)), ["observation"]),
    (spaces.Box(-1, 1, (33,)), ["observation"]),
    (spaces.Box(0, 255, (4, 4), np.uint8), ["observation"]),
    (spaces.Box(-np.inf, np.inf, (2,)), ["observation_0", "observation_1"]),
    (spaces.Discrete(5, start=-2), ["observation"]),
    (spaces.MultiDiscrete([2, 3]), ["observation_0", "observation_1"]),
    (spaces.MultiDiscrete([[2, 3], [4, 5]], start=[[1, 1], [0, 7]]), [f"observation_{k}" for k in range(4)]),
    (spaces.MultiBinary((2, 2)), ["observation"]),
    (spaces.Tuple((spaces.Discrete(2), spaces.Box(0, 1, (2,)))),
     ["observation_0", "observation_1_0", "observation_1_1"]),
    (NESTED, ["observation_0_0", "observation_0_1", "arm_angle_0", "arm_angle_1", "arm_grip_force", "lamps_0",
              "lamps_1", "lamps_2", "mode"]),
], ids=str)
def test_any_fixed_space_has_generic_features(space: spaces.Space, names: list[str]) -> None:
    env = Spaces(space, GO)
    schema = schema_of(env)
    assert sorted(f.name for f in schema.features) == sorted(names)
    assert check_schema(schema, env) == []


@pytest.mark.parametrize(("space", "names"), [
    (spaces.Discrete(3, start=5), ["action"]),
    (spaces.Box(-2, 2, (1,)), ["action"]),
    (spaces.Box(np.array([-1, 0]), np.array([1, 3]), dtype=np.float64), ["action_0", "action_1"]),
    (spaces.Box(-1, 1, (2, 2)), [f"action_{k}" for k in range(4)]),
    (spaces.MultiDiscrete([2, 3], start=[1, 0]), ["action_0", "action_1"]),
    (spaces.MultiBinary(2), ["action_0", "action_1"]),
], ids=str)
def test_actions_reach_the_environment_in_its_own_form(space: spaces.Space, names: list[str]) -> None:
    env = Spaces(spaces.Box(0, 1, (2,)), space)
    schema = schema_of(env)
    assert [a.name for a in schema.actions] == names
    assert check_schema(schema, env) == []  # `Spaces.step` asserts that its space contains the action


@pytest.mark.parametrize(("observation", "action", "named"), [
    (spaces.Text(5), GO, "Text"),
    (spaces.Sequence(GO), GO, "Sequence"),
    (spaces.Dict({"net": spaces.Graph(GO, None)}), GO, "Graph space of 'net'"),
    (GO, spaces.Box(-np.inf, np.inf, (1,)), "no bounds"),
    (GO, spaces.Text(5), "Text"),
    (GO, spaces.Box(0, 3, (2,), np.int64), "MultiDiscrete"),
], ids=["text", "sequence", "graph", "unbounded", "text_action", "whole_numbers"])
def test_other_spaces_are_refused_by_name(observation: spaces.Space, action: spaces.Space, named: str) -> None:
    with pytest.raises(UserError, match=named):
        schema_of(Spaces(observation, action))


def test_a_wrapper_that_changes_the_space_hides_the_family() -> None:
    scaled = gymnasium.wrappers.RescaleAction(make("Pendulum-v1"), -1.0, 1.0)
    schema = schema_of(scaled)
    assert [(a.name, a.high) for a in schema.actions] == [("action", 1.0)]
    assert check_schema(schema, scaled) == []
    assert schema_of(gymnasium.wrappers.TimeLimit(make("Pendulum-v1"), 10)).name == "pendulum"


def test_families_import_nothing_that_is_not_used() -> None:
    code = ("import sys, gymnasium; from gedanken.world.families import schema_of; "
            "schema_of(gymnasium.make('CartPole-v1')); print('minigrid' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "False", done.stderr


@pytest.fixture
def heated_room() -> Any:
    """The environment of the example."""
    path = Path(__file__).parents[2] / "examples" / "own_environment.py"
    return runpy.run_path(str(path))["HeatedRoom"]


def test_an_environments_own_schema_is_used_as_it_is(heated_room: Any) -> None:
    env = heated_room()
    own = env.schema
    assert schema_of(gymnasium.wrappers.TimeLimit(env, 10)) is own
    assert check_schema(own, env, steps=300) == []
    env.schema = lambda: own
    assert schema_of(env) is own


def test_the_heated_room_warms_and_cools(heated_room: Any) -> None:
    end = {}
    for power in (0.0, 3.0):
        env = heated_room()
        env.reset(seed=0)
        steps = [env.step(np.array([power], np.float32)) for _ in range(288)]
        end[power] = steps[-1][0][0]
        assert [s[3] for s in steps].index(True) == 287
    assert end[0.0] < 15 < 30 < end[3.0]


def test_the_lander_is_seen_in_metres_and_seconds() -> None:
    pytest.importorskip("Box2D")
    env = make("LunarLander-v3")
    schema = schema_of(env)
    assert check_schema(schema, env, steps=200) == []
    assert schema.actions[0].values == ("nothing", "left_engine", "main_engine", "right_engine")
    for observation in walk(env, 60, seed=3):
        seen, body = schema.observe(observation, env), env.unwrapped.lander  # type: ignore[attr-defined]
        velocity = seen["horizontal_velocity"], seen["vertical_velocity"]
        assert velocity == pytest.approx(tuple(body.linearVelocity), abs=1e-4)
        assert seen["angular_velocity"] == pytest.approx(body.angularVelocity, abs=1e-4)
        assert seen["horizontal_position"] == pytest.approx(body.position.x - 10, abs=1e-4)
        assert seen["tilt"] == pytest.approx(body.angle, abs=1e-5)
    power = schema_of(make("LunarLander-v3", continuous=True)).actions
    assert [a.name for a in power] == ["main_power", "side_power"]
