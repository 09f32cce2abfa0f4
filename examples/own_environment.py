"""Your own environment, with its own schema: a heated room, and a rule about its temperature.

    python examples/own_environment.py

The environment is any Gymnasium environment. Its `schema` names what it observes, with units and a sentence each;
rules are written in these names, and `check_schema` says what is wrong with them before anything is learnt.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from gedanken import Agent, Feature, Schema, check_schema

STEPS_A_DAY = 288                     # of five minutes
HOURS_A_STEP = 24 / STEPS_A_DAY
ROOM_KWH_A_KELVIN = 0.5               # air, walls and furniture
HEATER_KWH_A_KELVIN = 0.02            # an oil radiator
HEATER_TO_ROOM_KW_A_KELVIN = 0.06
ROOM_TO_OUTSIDE_KW_A_KELVIN = 0.08
COMFORT_CELSIUS = 21.0

FEATURES = (
    Feature("room_temperature", low=-20, high=60, unit="°C", description="the temperature of the air in the room"),
    Feature("heater_temperature", low=-20, high=150, unit="°C", description="the temperature of the radiator"),
    Feature("outside_temperature", low=-20, high=40, unit="°C", description="the temperature outside, low at night"),
    Feature("hour", low=0, high=24, unit="h", description="the time of day"),
)
HEATING = Feature("heating_power", low=0, high=3, unit="kW", description="the electric power of the heater")


class HeatedRoom(gymnasium.Env[np.ndarray, np.ndarray]):
    """Keep a room at 21 °C for a winter's day with little energy; the radiator stays warm after it is turned off."""

    observation_space = spaces.Box(
        low=np.array([f.low for f in FEATURES], np.float32), high=np.array([f.high for f in FEATURES], np.float32)
    )
    action_space = spaces.Box(np.float32(HEATING.low), np.float32(HEATING.high), (1,))
    schema = Schema(
        name="heated_room",
        features=FEATURES,
        actions=(HEATING,),
        perceive=lambda observation, env: {f.name: x for f, x in zip(FEATURES, observation, strict=True)},
        act=lambda row: np.asarray(row, np.float32).reshape(1),
    )

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.steps, self.weather = 0, self.np_random.uniform(-5.0, 8.0)
        self.room = self.heater = self.np_random.uniform(15.0, 20.0)
        return self._observation(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        power_kw = float(np.clip(action, HEATING.low, HEATING.high)[0])
        to_room = HEATER_TO_ROOM_KW_A_KELVIN * (self.heater - self.room)
        to_outside = ROOM_TO_OUTSIDE_KW_A_KELVIN * (self.room - self._outside())
        self.heater += HOURS_A_STEP * (power_kw - to_room) / HEATER_KWH_A_KELVIN
        self.room += HOURS_A_STEP * (to_room - to_outside) / ROOM_KWH_A_KELVIN
        self.steps += 1
        reward = -abs(self.room - COMFORT_CELSIUS) - 0.1 * power_kw
        return self._observation(), reward, False, self.steps >= STEPS_A_DAY, {}

    def _hour(self) -> float:
        return self.steps % STEPS_A_DAY * HOURS_A_STEP

    def _outside(self) -> float:
        return self.weather + 5.0 * math.cos(2 * math.pi * (self._hour() - 15.0) / 24.0)  # warmest at three o'clock

    def _observation(self) -> np.ndarray:
        return np.array([self.room, self.heater, self._outside(), self._hour()], np.float32)


def main(steps: int = 1000, episodes: int = 3, max_steps: int | None = None) -> None:
    """Check the schema, learn the room from a thousand steps, and keep it below 24 °C."""
    for problem in check_schema(HeatedRoom.schema, HeatedRoom(), steps=300):
        print(problem)
    agent = Agent(HeatedRoom(), llm=None)
    agent.tell("avoid room_temperature > 24")
    agent.learn(steps=steps)
    print(agent.run(episodes=episodes, max_steps=max_steps))


if __name__ == "__main__":
    main()
