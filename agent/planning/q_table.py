"""Q-learning over a table, with planning from what is known of each step: Dyna-Q and prioritised sweeping.

Sutton & Barto (2018), sections 8.2 and 8.4. States are known by a 64-bit key; what a step brings (gain, discount, next
state) is remembered as it came last, which is right where the world is deterministic. Updates are one after the other,
as in the book: each sees what the ones before it have changed.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class QConfig:
    """`alpha` step size; `sweep`: planning takes the greatest error first, if it is above `theta`, and goes on with
    what leads there; else it takes known steps at random."""

    alpha: float = 0.1
    sweep: bool = False
    theta: float = 1e-4


class QTable:
    """What S states and their A actions are worth. A row is a state's place in the table."""

    def __init__(self, actions: int, config: QConfig | None = None) -> None:
        self.actions, self.config = actions, config or QConfig()
        self.rows: dict[int, int] = {}
        self.q: list[list[float]] = []
        self.steps: list[dict[int, tuple[float, float, int]]] = []  # [row][action]: gain, discount, next row
        self.started: list[int] = []  # rows with at least one known step
        self.before: list[set[tuple[int, int]]] = []  # [row]: the steps that lead there
        self.queue: list[tuple[float, int, int]] = []  # (-error, row, action)

    def __len__(self) -> int:
        return len(self.q)

    def row(self, key: int) -> int:
        """The row of the state with `key`, a new one if need be."""
        row = self.rows.setdefault(key, len(self.q))
        if row == len(self.q):
            self.q.append([0.0] * self.actions)
            self.steps.append({})
            self.before.append(set())
        return row

    def best(self, row: int, chance: float, allowed: list[int] | None = None) -> int:
        """A best action of a row (among `allowed`); `chance` in 0..1 decides between equals."""
        values = self.q[row]
        allowed = list(range(self.actions)) if allowed is None else allowed
        top = max(values[a] for a in allowed)
        equal = [a for a in allowed if values[a] == top]
        return equal[int(chance * len(equal))]

    def know(self, row: int, action: int, gain: float, discount: float, after: int) -> None:
        """From now on the step brings `gain`, and `discount` (0: the end) times what row `after` is worth."""
        known = self.steps[row]
        if not known:
            self.started.append(row)
        elif action in known:
            self.before[known[action][2]].discard((row, action))
        known[action] = (gain, discount, after)
        self.before[after].add((row, action))
        if self.config.sweep:
            self._queue(row, action)

    def update(self, row: int, action: int) -> float:
        """One step of Q-learning on what is known of the step; the error there was."""
        error = self._error(row, action)
        self.q[row][action] += self.config.alpha * error
        return error

    def plan(self, updates: int, rng: torch.Generator) -> int:
        """At most `updates` updates; returns how many were worth making."""
        if self.config.sweep:
            return self._sweep(updates)
        if not self.started:
            return 0
        for a, b in torch.rand(updates, 2, generator=rng, dtype=torch.float64).tolist():
            row = self.started[int(a * len(self.started))]
            known = list(self.steps[row])
            self.update(row, known[int(b * len(known))])
        return updates

    def _sweep(self, updates: int) -> int:
        for done in range(updates):
            if not self.queue:
                return done
            _, row, action = heapq.heappop(self.queue)
            self.update(row, action)
            self._queue(row, action)
            for step in sorted(self.before[row]):
                self._queue(*step)
        return updates

    def _queue(self, row: int, action: int) -> None:
        if (error := abs(self._error(row, action))) > self.config.theta:
            heapq.heappush(self.queue, (-error, row, action))

    def _error(self, row: int, action: int) -> float:
        gain, discount, after = self.steps[row][action]
        return gain + (discount * max(self.q[after]) if discount else 0.0) - self.q[row][action]

    # --- saving ---------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Everything, as tensors: a table that is loaded goes on bit for bit."""
        steps = [(row, a, *step) for row, known in enumerate(self.steps) for a, step in known.items()]
        return {
            "keys": torch.tensor(list(self.rows), dtype=torch.int64),
            "q": torch.tensor(self.q, dtype=torch.float64).view(-1, self.actions),
            "steps": torch.tensor(steps, dtype=torch.float64).view(-1, 5),
            "started": torch.tensor(self.started, dtype=torch.int64),
            "queue": torch.tensor(self.queue, dtype=torch.float64).view(-1, 3),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rows = {key: row for row, key in enumerate(state["keys"].tolist())}
        self.q = state["q"].tolist()
        self.steps, self.before = [{} for _ in self.q], [set() for _ in self.q]
        for row, action, gain, discount, after in state["steps"].tolist():
            self.steps[int(row)][int(action)] = (gain, discount, int(after))
            self.before[int(after)].add((int(row), int(action)))
        self.started = state["started"].tolist()
        self.queue = [(error, int(row), int(action)) for error, row, action in state["queue"].tolist()]
