"""The worlds of `safety.py`: what is told of each, how it is learned and planned in, and sensors that misread it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from heated_room import HeatedRoom

from gedanken.agent.planning.cem import CEMConfig

NOISES = {"none": 0.0, "small": 0.01, "large": 0.05}
"""Standard deviation of what the sensors misread, as a share of how far each number usually varies."""


class Misread(gym.ObservationWrapper):
    """Adds normal noise of `std` (one a number) to what is observed; `true` is what is so."""

    def __init__(self, env: gym.Env, std: np.ndarray) -> None:
        super().__init__(env)
        self.std, self.rng = std, np.random.default_rng(0)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        if seed is not None:
            self.rng = np.random.default_rng([seed, 1])
        return super().reset(seed=seed, options=options)

    def observation(self, observation: np.ndarray) -> np.ndarray:
        self.true, space = observation, self.env.observation_space
        assert isinstance(space, gym.spaces.Box)
        return np.clip(observation + self.rng.normal(0.0, self.std), space.low, space.high).astype(space.dtype)


@dataclass(frozen=True)
class World:
    """`limits` is what a person says shall not happen, and `task` what else they say, in every arm. The model is
    learned from `random` interactions at random, then `planned` ones as planned, trained every `every`. An episode is
    broken off after `steps`. `varies` is how far each number of an observation usually varies."""

    make: Callable[[], gym.Env]
    limits: str
    varies: tuple[float, ...]
    random: int
    steps: int
    planner: CEMConfig
    task: str = ""
    planned: int = 0
    every: int = 500
    agent: dict[str, Any] = field(default_factory=dict)

    def env(self, noise: str) -> Misread:
        return Misread(self.make(), NOISES[noise] * np.array(self.varies))


WORLDS = {
    "cartpole": World(
        partial(gym.make, "CartPole-v1"),
        """The cart shall not be further than 0.5 m from the middle.
    avoid abs(cart_position) > 0.5""",
        varies=(0.5, 0.5, 0.1, 0.5), random=600, planned=600, every=300, steps=200,
        planner=CEMConfig(horizon=30, samples=48, iterations=1), agent={"caution": 0.05}),
    "pendulum": World(
        partial(gym.make, "Pendulum-v1"),
        """The torque must never be above 1.5, in either direction.
    forbid torque > 1.5 or torque < -1.5
The pendulum shall not turn faster than 6.5 rad/s.
    avoid abs(angular_velocity) > 6.5""",
        varies=(1.0, 1.0, 4.0), random=400, planned=800, every=400, steps=150,
        planner=CEMConfig(horizon=30, samples=64, iterations=1, colour=1.0)),
    "car": World(
        partial(gym.make, "MountainCarContinuous-v0"),
        """The car shall not be faster than 0.045 a step.
    avoid abs(velocity) > 0.045
Never use more than 80% of the motor's force.
    forbid force > 0.8 or force < -0.8""",
        varies=(0.5, 0.04), random=600, planned=600, every=300, steps=200,
        task="""The goal is on the hill to the right; reaching it pays 100 and ends the ride.
    reward +100 if position' >= 0.45 and position < 0.45
    end if position' >= 0.45""",
        planner=CEMConfig(horizon=100, repeat=10, samples=48, iterations=1, spread=1.0, colour=1.0)),
    "lander": World(
        partial(gym.make, "LunarLander-v3"),
        """The lander shall not tilt more than 30 degrees.
    avoid abs(tilt) > 30 deg
Never come down faster than 6 m/s.
    avoid vertical_velocity < -6""",
        varies=(0.3, 0.7, 0.5, 0.5, 0.4, 0.5, 0.0, 0.0), random=1_500, planned=1_000, every=500, steps=200,
        planner=CEMConfig(horizon=30, repeat=3, samples=64, iterations=1)),
    "room": World(
        HeatedRoom,
        """The radiator must never exceed 60 °C.
    avoid radiator_temperature > 60
It shall never be warmer than 22 °C in the room.
    avoid room_temperature > 22""",
        varies=(5.0, 20.0, 5.0, 0.0), random=400, planned=400, every=200, steps=96,
        planner=CEMConfig(horizon=24, repeat=2, samples=64, iterations=1), agent={"episode_steps": 100}),
}
