"""Your own environment, with its own schema: a heated room.

    python examples/own_environment.py [--quick]

The `schema` names what is observed; rules speak in these names, and `check_schema` tells what is wrong with them.
"""

from __future__ import annotations

import sys

import gymnasium
import numpy as np
from gymnasium import spaces

from gedanken import Agent, Feature, Schema, check_schema

FEATURES = (
    Feature("room_temperature", low=-20, high=60, unit="°C", description="the temperature of the air in the room"),
    Feature("heater_temperature", low=-20, high=150, unit="°C", description="the temperature of the radiator"),
    Feature("outside_temperature", low=-20, high=40, unit="°C", description="the temperature outside"),
)
POWER = Feature("heating_power", low=0, high=3, unit="kW", description="the electric power of the heater")


class HeatedRoom(gymnasium.Env[np.ndarray, np.ndarray]):
    """Keep a room at 21 °C for a day, in steps of five minutes; the radiator stays warm after it is turned off."""

    observation_space = spaces.Box(np.float32([f.low for f in FEATURES]), np.float32([f.high for f in FEATURES]))
    action_space = spaces.Box(np.float32(POWER.low), np.float32(POWER.high), (1,))
    schema = Schema("heated_room", FEATURES, (POWER,), act=lambda row: np.asarray(row, np.float32).reshape(1),
                    perceive=lambda observation, env: {f.name: x for f, x in zip(FEATURES, observation, strict=True)})

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        room, outside = self.np_random.uniform(15, 20), self.np_random.uniform(-5, 8)
        self.t, self.state = 0, np.array([room, room, outside], np.float32)
        return self.state.copy(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        power = float(np.clip(action, POWER.low, POWER.high)[0])
        room, heater, outside = self.state
        warming = 0.06 * (heater - room)  # kW
        self.state[1] += (power - warming) / 12 / 0.02  # kWh a kelvin
        self.state[0] += (warming - 0.08 * (room - outside)) / 12 / 0.5
        self.t += 1
        return self.state.copy(), -abs(float(self.state[0]) - 21) - 0.1 * power, False, self.t >= 288, {}


def main(quick: bool = False) -> None:
    """Check the schema, learn the room from random steps, and heat it."""
    print(*check_schema(HeatedRoom.schema, HeatedRoom(), steps=300), sep="\n")
    agent = Agent(HeatedRoom(), llm=None)
    agent.learn(steps=300 if quick else 1_000)
    print(agent.run(episodes=1 if quick else 3, max_steps=20 if quick else None))


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
