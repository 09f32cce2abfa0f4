"""A room to keep warm with a radiator that is slow to heat and slow to cool, and a window that opens when it likes.

The radiator stores heat: whoever turns it off where the room is warm enough has already heated too long. Step: five
minutes. Energy flows along temperature differences (Newton's law of cooling), the weather wanders.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from gedanken import Feature, Schema

HOURS_A_STEP = 5 / 60
ROOM_KWH_A_KELVIN = 0.5  # air, walls and furniture
RADIATOR_KWH_A_KELVIN = 0.06
RADIATOR_TO_ROOM_KW_A_KELVIN = 0.08
ROOM_TO_OUTSIDE_KW_A_KELVIN = 0.08
THROUGH_WINDOW_KW_A_KELVIN = 0.12
OPENS, CLOSES = 0.05, 0.6  # chances a step: someone airs the room
COMFORT_CELSIUS = 21.0

FEATURES = (
    Feature("room_temperature", low=-20, high=60, unit="°C", description="the temperature of the air in the room"),
    Feature("radiator_temperature", low=-20, high=150, unit="°C", description="the temperature of the radiator"),
    Feature("outside_temperature", low=-20, high=40, unit="°C", description="the temperature outside"),
    Feature("window_open", "boolean", description="whether the window is open"),
)
POWER = Feature("heating_power", low=0, high=4, unit="kW", description="the power that heats the radiator")


class HeatedRoom(gymnasium.Env[np.ndarray, np.ndarray]):
    """Pays how near the room is to 21 °C: 1 a step, less a fifth for every degree between."""

    observation_space = spaces.Box(np.array([-20, -20, -20, 0], np.float32), np.array([60, 150, 40, 1], np.float32))
    action_space = spaces.Box(np.float32(POWER.low), np.float32(POWER.high), (1,))
    schema = Schema(
        name="heated_room",
        features=FEATURES,
        actions=(POWER,),
        perceive=lambda seen, env: {f.name: x > 0.5 if f.kind == "boolean" else x
                                    for f, x in zip(FEATURES, seen, strict=True)},
        act=lambda row: np.asarray(row, np.float32).reshape(1),
    )

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.outside = self.np_random.uniform(-5.0, 8.0)
        self.room = self.radiator = self.np_random.uniform(12.0, 18.0)
        self.is_open = False
        return self._observation(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        power = float(np.clip(action, POWER.low, POWER.high)[0])
        to_room = RADIATOR_TO_ROOM_KW_A_KELVIN * (self.radiator - self.room)
        leak = ROOM_TO_OUTSIDE_KW_A_KELVIN + THROUGH_WINDOW_KW_A_KELVIN * self.is_open
        to_outside = leak * (self.room - self.outside)
        self.radiator += HOURS_A_STEP * (power - to_room) / RADIATOR_KWH_A_KELVIN
        self.room += HOURS_A_STEP * (to_room - to_outside) / ROOM_KWH_A_KELVIN
        self.outside = float(np.clip(self.outside + self.np_random.normal(0.0, 0.2), -20, 40))
        self.is_open = bool(self.np_random.random() < (1 - CLOSES if self.is_open else OPENS))
        reward = 1.0 - abs(self.room - COMFORT_CELSIUS) / 5
        return self._observation(), reward, False, False, {}

    def _observation(self) -> np.ndarray:
        return np.array([self.room, self.radiator, self.outside, self.is_open], np.float32)
