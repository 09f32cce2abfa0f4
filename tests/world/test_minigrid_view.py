"""The map that is put together from MiniGrid's own views: equal to the truth on what was seen, read from them alone."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gedanken import Schema, UserError

pytest.importorskip("minigrid")

WORLDS = ("MiniGrid-FourRooms-v0", "MiniGrid-DoorKey-8x8-v0", "MiniGrid-KeyCorridorS3R3-v0",
          "MiniGrid-LavaCrossingS9N2-v0", "MiniGrid-ObstructedMaze-1Dlhb-v0", "BabyAI-GoToObjMazeS4-v0")
MOVES = (0.15, 0.15, 0.4, 0.1, 0.1, 0.1)  # left, right, forward, pickup, drop, toggle


class Slippery(gymnasium.Wrapper):
    """Forward fails or slides to a side with a chance of 0.1 each, unless it changed the world."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.rng = np.random.default_rng(seed)
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        inner: Any = self.unwrapped
        drawn = self.rng.random()
        if action != 2 or drawn > 0.2:
            return super().step(action)
        if drawn < 0.1:
            return super().step(6)
        heading, inner.agent_dir = inner.agent_dir, (inner.agent_dir + self.rng.choice((1, 3))) % 4
        _, *rest = super().step(2)
        inner.agent_dir = heading
        return inner.gen_obs(), *rest


def world(name: str) -> gymnasium.Env:
    return gymnasium.make(name, disable_env_checker=True)


def wrong(partial: dict[str, np.ndarray], whole: dict[str, np.ndarray], shift: np.ndarray) -> int:
    """How many cells that were seen differ from the whole grid's, which lies `shift` cells from the map's corner."""
    size = np.array(whole["object"].shape)
    own = {k: partial[k][shift[0]: shift[0] + size[0], shift[1]: shift[1] + size[1]]
           for k in ("object", "color", "state")}
    here = np.zeros(own["object"].shape, bool)
    here[tuple(np.array([whole["agent_x"], whole["agent_y"]]))] = True  # what one stands on does not show
    seen = (own["object"] != 0) & ~here
    return int(sum((own[k] != whole[k])[seen].any() for k in own))


def pose(features: dict[str, np.ndarray]) -> np.ndarray:
    return np.array([features["agent_x"], features["agent_y"]])


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(WORLDS), st.integers(0, 10_000))
def test_the_map_is_the_truth_on_what_was_seen(name: str, seed: int) -> None:
    env, rng = world(name), np.random.default_rng(seed)
    full, view = Schema.from_env(env), Schema.from_env(env, view="partial")
    observation, _ = env.reset(seed=seed)
    truth, seen = full.observe(observation, env), view.observe(observation)
    shift = pose(seen) - pose(truth)
    for _ in range(60):
        action = np.array([rng.choice(6, p=MOVES)])
        observation, _, terminated, truncated, _ = env.step(int(action[0]))
        truth, seen = full.observe(observation, env), view.observe(observation, None, (seen, action))
        assert (pose(seen) - pose(truth) == shift).all()
        assert [int(seen[k]) for k in ("direction", "carrying_object", "carrying_color")] == [
            int(truth[k]) for k in ("direction", "carrying_object", "carrying_color")]
        moved = wrong(seen, truth, shift)
        assert moved == 0
        if terminated or truncated:
            break


def test_a_step_that_slips_is_noticed() -> None:
    right, steps = 0, 0
    for seed in range(6):
        env, rng = Slippery(world("MiniGrid-FourRooms-v0")), np.random.default_rng(seed)
        full, view = Schema.from_env(env), Schema.from_env(env, view="partial")
        observation, _ = env.reset(seed=seed)
        truth, seen = full.observe(observation, env), view.observe(observation)
        shift = pose(seen) - pose(truth)
        for _ in range(90):
            action = np.array([rng.choice(3, p=(0.2, 0.2, 0.6))])
            observation, _, terminated, truncated, _ = env.step(int(action[0]))
            truth, seen = full.observe(observation, env), view.observe(observation, None, (seen, action))
            right, steps = right + bool((pose(seen) - pose(truth) == shift).all()), steps + 1
            if terminated or truncated:
                break
    assert right / steps >= 0.99


def test_names_and_types_are_those_of_the_full_view() -> None:
    env = world("MiniGrid-FourRooms-v0")
    assert Schema.from_env(env, view="partial").difference(Schema.from_env(env).identity(), sizes=False) == ""


def test_what_is_first_seen_is_no_change() -> None:
    env = world("MiniGrid-FourRooms-v0")
    view = Schema.from_env(env, view="partial")
    before = view.observe(env.reset(seed=0)[0])
    turned = view.observe(env.step(0)[0], None, (before, np.array([0])))
    assert (turned["object"] != before["object"]).any()
    assert view.sight is not None
    completed = view.sight.hindsight(before, turned)
    assert all(np.array_equal(completed[k], turned[k]) for k in ("object", "color", "state"))
    withheld = view.sight.withheld(view.batch([before]), view.batch([turned]))
    assert np.array_equal(withheld["object"][0].numpy(), before["object"])
    assert int(withheld["direction"]) == int(turned["direction"])


def test_a_world_larger_than_was_told_is_an_error_that_says_so() -> None:
    env = world("MiniGrid-FourRooms-v0")
    view = Schema.from_env(env, view="partial", size=(3, 3))
    seen = view.observe(env.reset(seed=0)[0])

    def walk() -> None:
        last = seen
        for action in (2, 2, 0, 2, 2, 0, 2, 2, 0, 2, 2, 2, 2):
            last = view.observe(env.step(action)[0], None, (last, np.array([action])))

    with pytest.raises(UserError, match="larger than the size"):
        walk()


def test_no_partial_view_of_another_world() -> None:
    with pytest.raises(UserError, match="MiniGrid"):
        Schema.from_env(gymnasium.make("CartPole-v1"), view="partial")
    with pytest.raises(UserError, match="view"):
        Schema.from_env(world("MiniGrid-FourRooms-v0"), view="side")


def test_other_observations_are_refused() -> None:
    view = Schema.from_env(world("MiniGrid-FourRooms-v0"), view="partial")
    for other in (np.zeros(3), {"image": np.zeros((3, 3, 3), np.uint8), "direction": 0}):
        with pytest.raises(UserError, match="image"):
            view.observe(other)
