"""Cloned environments as world models: exact, bound to the live one, blind to its luck, corrected by rules, and gone
when nobody speaks of them."""

from __future__ import annotations

import re
import threading
import weakref
from dataclasses import replace
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

import gedanken
from gedanken.errors import GedankenError, UserError
from gedanken.world import tree
from gedanken.world.model import State, WorldModel, begin, rollout
from gedanken.world.models.simulator import Copies, Simulator, check_clone, pair
from gedanken.world.models.simulator.handles import Handles, things_of
from gedanken.world.refine import Refined
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Feature, Schema

NO_SLIP = (
    "expect row' == row and col' == max(col - 1, 0) if action == left",
    "expect row' == row and col' == min(col + 1, 3) if action == right",
    "expect row' == max(row - 1, 0) and col' == col if action == up",
    "expect row' == min(row + 1, 3) and col' == col if action == down",
)


def live(env: gym.Env, seed: int = 0, **options: Any) -> tuple[Simulator, State]:
    """A simulator and its state where `env` is after a reset."""
    model = Simulator(env, **options)
    observation, _ = env.reset(seed=seed)
    return model, begin(model, model.schema.batch([model.schema.observe(observation, env)]))


def told(model: Simulator, *rules: str) -> Refined:
    return Refined(model, [parse(rule, model.schema) for rule in rules])


def code(model: WorldModel, *names: str) -> torch.Tensor:
    return torch.tensor([[model.schema.actions[0].values.index(name)] for name in names])


def walk(model: WorldModel, state: State, *names: str, rng: torch.Generator | None = None) -> tuple[State, list[Any]]:
    outcomes = []
    for name in names:
        state, out = model.step(state, code(model, name), rng)
        outcomes.append(out)
    return state, outcomes


class Counter(gym.Env):
    """Counts its steps in a way of its own, up to 8; a step of 3 is refused."""

    observation_space = spaces.Box(0, 99, (1,), np.float32)
    action_space = spaces.Discrete(4)
    common: ClassVar[dict[str, int]] = {"steps": 0}

    def __init__(self) -> None:
        self.at, self.parts = 0, {"steps": 0}

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.at = 0
        return self.seen(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        if action == 3:
            raise ValueError("no such step")
        self.at += int(action)
        return self.seen(), float(action), self.at >= 8, False, {}

    def seen(self) -> np.ndarray:
        return np.array([self.at], np.float32)


class ClassLevel(Counter):
    def step(self, action: int) -> Any:
        self.common["steps"] += 1
        return super().step(action)


class Global(Counter):
    def step(self, action: int) -> Any:
        return np.array([np.random.random()], np.float32), *super().step(action)[1:]


class Sharing(Counter):
    def step(self, action: int) -> Any:
        self.parts["steps"] += 1
        return super().step(action)


class Locked(Counter):
    def __init__(self) -> None:
        super().__init__()
        self.guard = threading.Lock()


class Hidden(Counter):
    def __init__(self) -> None:
        super().__init__()
        steps = [0]
        self.hidden = lambda: steps.__setitem__(0, steps[0] + 1) or steps[0]

    def step(self, action: int) -> Any:
        return np.array([self.hidden()], np.float32), *super().step(action)[1:]


# --- cloning ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", ["CartPole-v1", "Pendulum-v1", "Acrobot-v1", "MountainCarContinuous-v0",
                                "FrozenLake-v1", "CliffWalking-v1", "Blackjack-v1"])
def test_gymnasiums_own_are_cloned_exactly(id: str) -> None:
    assert check_clone(gym.make(id), steps=20) == []


def test_minigrid_is_cloned_exactly() -> None:
    pytest.importorskip("minigrid")
    assert check_clone(gym.make("MiniGrid-Dynamic-Obstacles-6x6-v0"), steps=20) == []


@pytest.mark.parametrize("id", ["Hopper-v5", "Ant-v5"])
def test_mujoco_is_cloned_exactly(id: str) -> None:
    pytest.importorskip("mujoco")
    assert check_clone(gym.make(id), steps=10) == []


@pytest.mark.parametrize(("env", "options", "says"), [
    (ClassLevel(), {}, r"class Counter\.common\['steps'\] is shared by all clones: make it an attribute"),
    (Global(), {}, r"draws from numpy's global generator .*draw from `self.np_random`"),
    (Sharing(), {"cloning": Copies(frozenset({"parts"}))}, r"env\.unwrapped\.parts\['steps'\] of the original changes"),
    (Locked(), {}, r"Locked.guard \(a lock\) cannot be copied.*cloning=pair"),
    (Hidden(), {}, r"differ in observation .*Something is not cloned"),
])
def test_what_leaks_is_named(env: gym.Env, options: Any, says: str) -> None:
    problems = check_clone(env, **options)
    assert any(re.search(says, p) for p in problems), problems


def test_a_users_pair_of_functions_clones_what_cannot_be_copied() -> None:
    env = gym.wrappers.TimeLimit(Locked(), 5)
    worker = gym.wrappers.TimeLimit(Locked(), 5)
    get, put = (lambda e: e.at), (lambda e, at: setattr(e, "at", at))
    with pytest.raises(UserError, match="not registered"):
        pair(env, get, put)
    with pytest.raises(UserError, match="the worker is wrapped as Locked, the environment as TimeLimit in Locked"):
        pair(env, get, put, Locked())
    assert check_clone(env, pair(env, get, put, worker), steps=10) == []
    forgetful = check_clone(env, pair(env, get, lambda e, at: None, worker), steps=10)
    assert "two clones of one moment differ in observation" in forgetful[0]


# --- handles ------------------------------------------------------------------------------------------------------


def test_handles_own_what_they_hold_and_nothing_else() -> None:
    a, b = Handles.of(["x", "y", "x"]), Handles.of(["z", None])
    assert a[0] == a[2]
    both = tree.concatenate([tree.take(a, torch.tensor([1, 1])), tree.repeat(b, 2)])
    assert things_of(both) == ["y", "y", "z", "z", None, None]
    assert set(both.owned.values()) == {"y", "z"}
    chosen = tree.choose(torch.tensor([True, False]), a[:2], b)
    assert things_of(chosen) == ["x", None]
    assert [things_of(part) for part in a.split(2)] == [["x", "y"], ["x"]]
    with pytest.raises(GedankenError, match="lost them"):
        things_of(torch.tensor(a.tolist()))


class Watched(Copies):
    """Copies that are counted as long as they live."""

    alive: ClassVar[weakref.WeakSet[gym.Env]] = weakref.WeakSet()

    def save(self, env: gym.Env) -> gym.Env:
        self.alive.add(copy := super().save(env))
        return copy


def test_clones_are_freed_when_no_state_speaks_of_them() -> None:
    env = gym.make("CartPole-v1")
    model, state = live(env, cloning=Watched())
    counts = []
    for decision in range(60):
        futures = tree.repeat(state, 4)
        rng = torch.Generator().manual_seed(decision)
        for _ in range(3):
            futures, _ = model.step(futures, torch.randint(2, (4, 1), generator=rng), rng)
        observation, _, terminated, _, _ = env.step(decision % 2)
        if terminated:
            observation, _ = env.reset()
        features = model.schema.batch([model.schema.observe(observation, env)])
        state = model.observe(state, code(model, "left"), features)
        counts.append(len(Watched.alive))
    assert max(counts) <= 10


# --- the model ----------------------------------------------------------------------------------------------------


def test_it_foretells_the_environment_and_leaves_it_alone() -> None:
    pytest.importorskip("minigrid")
    env = gym.make("MiniGrid-DoorKey-5x5-v0")
    model, state = live(env)
    torch.manual_seed(0)
    actions = torch.randint(7, (25, 1, 1))
    at = env.unwrapped.agent_pos, env.unwrapped.step_count
    imagined = rollout(model, state, actions)
    assert (env.unwrapped.agent_pos, env.unwrapped.step_count) == at
    for t in range(25):
        observation, reward, terminated, _, _ = env.step(int(actions[t]))
        for name, value in model.schema.observe(observation, env).items():
            assert np.array_equal(imagined.features[name][t + 1, 0].numpy(), value)
        assert imagined.reward[t, 0] == pytest.approx(reward)
        assert (imagined.cont[t, 0] == 0) == terminated


def test_the_future_of_a_random_world_is_not_seen_unless_asked_for() -> None:
    env = gym.make("FrozenLake-v1")
    blind, state = live(env)
    rng = torch.Generator().manual_seed(0)
    rows, _ = blind.step(tree.repeat(state, 300), code(blind, "right").expand(300, 1), rng)
    shares = torch.stack([(rows.features["row"] == 1).float().mean(), (rows.features["col"] == 1).float().mean()])
    assert shares.tolist() == pytest.approx([1 / 3, 1 / 3], abs=0.08)
    once, _ = blind.step(state, code(blind, "right"))
    again, _ = blind.step(state, code(blind, "right"))
    assert not tree.differ(blind.decode(once), blind.decode(again)).any()
    seeing = Simulator(env, peek=True)
    for seed in range(4):
        observation, _ = env.reset(seed=seed)
        state = begin(seeing, seeing.schema.batch([seeing.schema.observe(observation, env)]))
        imagined = rollout(seeing, state, code(seeing, "right", "down", "down", "right")[:, None])
        lived = [env.step(a)[0] for a in (2, 1, 1, 2)]
        place = imagined.features["row"][1:, 0] * 4 + imagined.features["col"][1:, 0]
        assert place.tolist() == lived


def test_after_the_end_nothing_comes() -> None:
    model, state = live(Counter())
    _, outs = walk(model, state, *["action_2"] * 6)
    assert [float(o.cont[0]) for o in outs] == [1, 1, 1, 0, 0, 0]
    assert [float(o.reward[0]) for o in outs] == [2, 2, 2, 2, 0, 0]


def test_a_step_that_the_environment_refuses_is_infeasible() -> None:
    model, state = live(Counter())
    state, (first, refused) = walk(model, state, "action_2", "action_3")
    assert bool(first.feasible[0])
    assert not bool(refused.feasible[0])
    assert float(model.decode(state)["observation"][0]) == 2


def test_it_is_set_where_the_schema_can_write_and_says_where_it_cannot() -> None:
    model, state = live(gym.make("CartPole-v1"))
    elsewhere = {k: torch.tensor([0.5, 0.01]) for k in model.decode(state)}
    _, out = model.step(begin(model, elsewhere), torch.tensor([[0], [0]]))
    assert float(out.mode["cart_position"][1]) == pytest.approx(0.01 + 0.02 * 0.01)
    assert out.cont.tolist() == [0, 1]  # a pole that leans by half a radian has fallen
    model, state = live(Counter())
    with pytest.raises(UserError, match="another observation: its schema has no `restore`"):
        begin(model, {"observation": torch.tensor([5.0])})
    with pytest.raises(UserError, match=r"`observe` the environment's features first"):
        model.step(model.initial(1), torch.tensor([[0]]))


# --- refined ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_told_that_the_ice_does_not_slip_it_does_not_and_pays_as_the_world_does(seed: int | None) -> None:
    model, state = live(gym.make("FrozenLake-v1"))
    rng = None if seed is None else torch.Generator().manual_seed(seed)
    refined = told(model, *NO_SLIP)
    state = begin(refined, model.decode(state))
    _, outs = walk(refined, state, "right", "right", "down", "down", "down", "right", rng=rng)
    path = [(int(o.mode["row"][0]), int(o.mode["col"][0])) for o in outs]
    assert path == [(0, 1), (0, 2), (1, 2), (2, 2), (3, 2), (3, 3)]
    assert [float(o.reward[0]) for o in outs] == [0, 0, 0, 0, 0, 1]
    assert [float(o.cont[0]) for o in outs] == [1, 1, 1, 1, 1, 0]


def test_a_rule_on_the_cart_is_written_into_the_cart() -> None:
    model, state = live(gym.make("CartPole-v1"))
    refined = told(model, "expect cart_velocity' == 0.5")
    free, held = begin(model, model.decode(state)), begin(refined, model.decode(state))
    for _ in range(3):
        free, _ = model.step(free, code(model, "left"))
        held, out = refined.step(held, code(model, "left"))
    assert float(out.mode["cart_velocity"][0]) == 0.5
    start = float(model.decode(state)["cart_position"][0] + 0.02 * model.decode(state)["cart_velocity"][0])
    assert float(out.mode["cart_position"][0]) == pytest.approx(start + 2 * 0.02 * 0.5)
    assert float(model.decode(free)["cart_velocity"][0]) < 0


def test_a_door_told_to_open_without_its_key_is_walked_through() -> None:
    pytest.importorskip("minigrid")
    env = gym.make("MiniGrid-DoorKey-5x5-v0")
    env.reset(seed=0)
    inner: Any = env.unwrapped
    x, y = next((i % 5, i // 5) for i, o in enumerate(inner.grid.grid) if o is not None and o.type == "door")
    inner.agent_pos, inner.agent_dir = (x - 1, y), 0
    model = Simulator(env)
    features = model.schema.batch([model.schema.observe(None, env)])
    refined = told(model, "expect front_state' == open if action == toggle and front_object == door")
    _, (_, alone) = walk(model, begin(model, features), "toggle", "forward")
    _, (_, freed) = walk(refined, begin(refined, features), "toggle", "forward")
    assert int(alone.mode["agent_x"][0]) == x - 1
    assert int(freed.mode["agent_x"][0]) == x
    assert inner.grid.get(x, y).is_locked


def test_rewards_and_ends_that_are_told_stay_told() -> None:
    model, state = live(gym.make("FrozenLake-v1"))
    refined = told(model, *NO_SLIP, "reward 5 if col' == 1", "end if col' == 1")
    _, (out,) = walk(refined, begin(refined, model.decode(state)), "right")
    assert (float(out.reward[0]), float(out.cont[0])) == (5, 0)


def test_what_cannot_be_written_is_refused_by_name() -> None:
    model, state = live(Counter())
    refined = told(model, "expect observation' == 7 if action == action_1")
    with pytest.raises(UserError, match="another observation"):
        walk(refined, begin(refined, model.decode(state)), "action_1")
    lake, state = live(gym.make("FrozenLake-v1"))
    thaw = {**lake.decode(state), "tile": torch.zeros(1, 4, 4, dtype=torch.int16)}
    with pytest.raises(UserError, match="the map of a frozen lake is fixed"):
        lake.assimilate(state, thaw, torch.tensor([True]))


def test_a_users_own_setter_lets_rules_in() -> None:
    def restore(env: gym.Env, features: Any) -> bool:
        env.unwrapped.at = int(features["n"])  # type: ignore[attr-defined]
        return bool(features["n"] >= 8)

    schema = Schema("count", (Feature("n", "integer", low=0, high=99),),
                    (Feature("action", "category", values=("stay", "one", "two")),),
                    lambda o, e: {"n": int(o[0])}, lambda a: int(a[0]), restore=restore)
    model, state = live(Counter(), schema=schema)
    refined = told(model, "expect n' == n + 4 if action == two")
    _, outs = walk(refined, begin(refined, model.decode(state)), "two", "one", "two")
    assert [int(o.mode["n"][0]) for o in outs] == [4, 5, 9]
    assert [float(o.cont[0]) for o in outs] == [1, 1, 0]


def test_a_mujoco_body_is_written_by_positions_and_speeds() -> None:
    pytest.importorskip("mujoco")
    model, state = live(gym.make("Hopper-v5"))
    here = model.decode(state)
    higher = {**here, "observation_0": here["observation_0"] + 0.1}
    raised = model.assimilate(state, higher, torch.tensor([True]))
    action = torch.zeros(1, 3)
    _, out = model.step(raised, action)
    assert float(out.mode["observation_0"][0]) == pytest.approx(float(higher["observation_0"][0]), abs=0.01)


# --- the agent ----------------------------------------------------------------------------------------------------


def test_an_agent_takes_it_by_name_solves_and_comes_back(tmp_path: Any) -> None:
    env = gym.make("FrozenLake-v1", is_slippery=False)
    agent = gedanken.Agent(env, llm=None, model="simulator")
    assert agent.run(episodes=1, max_steps=10).episodes[0].total_reward == 1
    agent.save(tmp_path)
    agent.close()
    again = gedanken.Agent.load(tmp_path, env)
    assert isinstance(again.mind.learned, Simulator)
    again.close()


def test_an_agent_takes_one_made_by_its_user() -> None:
    env = gym.make("FrozenLake-v1", is_slippery=False)
    schema = replace(Schema.from_env(env), name="pond")
    agent = gedanken.Agent(env, llm=None, model=Simulator(env, schema))
    assert agent.schema.name == "pond"
    assert agent.run(episodes=1, max_steps=10).episodes[0].departures == 0
    agent.close()


def test_without_an_environment_there_is_nothing_to_clone() -> None:
    from gedanken.world.models.build import build

    with pytest.raises(UserError, match="imagines with clones of an environment"):
        build("simulator", Schema.from_env(gym.make("CartPole-v1")))


def test_it_says_that_it_is_random_where_it_is() -> None:
    assert "stochastic" in Simulator(gym.make("FrozenLake-v1")).provides
    assert "stochastic" not in Simulator(gym.make("CartPole-v1")).provides
    env = gym.make("Blackjack-v1")
    env.reset(seed=3)
    before = env.unwrapped.np_random.bit_generator.state
    assert "stochastic" in Simulator(env).provides
    assert env.unwrapped.np_random.bit_generator.state == before
