"""Worlds small enough to know what is best in them, as exact world models, and replay of random lives in them."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from gedanken.world.distributions import Categorical, Distribution, Normal
from gedanken.world.model import Batch, Outcome
from gedanken.world.schema import Feature, Features, Schema


class Exact:
    """What every exact world shares: its state is its features."""

    provides = frozenset({"reward", "end"})
    schema: Schema

    def initial(self, n: int) -> dict[str, Tensor]:
        return {f.name: torch.zeros(n, dtype=f.dtype) for f in self.schema.features}

    def observe(self, state: Features, action: Tensor | None, features: Features, reset: Tensor | None = None,
                rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return dict(features)

    def assimilate(self, state: Features, features: Features, rows: Tensor,
                   rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return {k: torch.where(rows, features[k], v) for k, v in state.items()}

    def decode(self, state: Features) -> dict[str, Tensor]:
        return dict(state)

    def loss(self, batch: Batch, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return {}

    def step(self, state: Features, action: Tensor,
             rng: torch.Generator | None = None) -> tuple[dict[str, Tensor], Outcome]:
        after, reward, cont = self.move(state, action)
        told: dict[str, Distribution] = {}
        for f in self.schema.features:
            value = after[f.name]
            told[f.name] = (Categorical(f, F.one_hot(value.long() - f.offset, f.cardinality) * 30.0) if f.cardinality
                            else Normal(f, value, torch.full_like(value, 1e-3)))
        return after, Outcome(told, reward, cont, self.may(state, action), torch.zeros_like(reward))

    def move(self, state: Features, action: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        raise NotImplementedError

    def may(self, state: Features, action: Tensor) -> Tensor:
        return torch.ones(len(action), dtype=torch.bool)


class Corridor(Exact):
    """Cells 0 to 9; the end pays 1 and ends the episode."""

    def __init__(self) -> None:
        cell, move = Feature("cell", "integer", low=0, high=9), Feature("move", "category",
                                                                        values=("left", "stay", "right"))
        self.schema = Schema("corridor", (cell,), (move,), lambda o, e: o, lambda a: a)

    def move(self, state: Features, action: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        cell = (state["cell"] + action[:, 0] - 1).clamp(0, 9).int()
        there = (cell == 9).float()
        return {"cell": cell}, there, 1 - there


class OneWay(Corridor):
    """A corridor in which nobody may go left (`closed`: nor anywhere else)."""

    def __init__(self, closed: bool = False) -> None:
        super().__init__()
        self.closed = closed

    def may(self, state: Features, action: Tensor) -> Tensor:
        return (action[:, 0] != 0) & (not self.closed)


class Tuning(Exact):
    """Pays by how near the dial is set to x: 1 - |u - x|, one step and over. `mixed` adds a switch, without which
    nothing is paid; `broken` pays NaN wherever u > 0."""

    def __init__(self, mixed: bool = False, broken: float | None = None) -> None:
        self.broken = broken
        actions = (Feature("on", "boolean"),) * mixed + (Feature("u", low=-1.0, high=3.0),)
        self.schema = Schema("tuning", (Feature("x"),), actions, lambda o, e: o, lambda a: a)

    def move(self, state: Features, action: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        u, on = action[:, -1], action[:, 0] if action.shape[1] == 2 else 1.0
        reward = on * (1 - (u - state["x"]).abs())
        if self.broken is not None:
            reward = torch.where(u > self.broken, torch.nan, reward)
        return dict(state), reward, torch.zeros_like(u)


class Secret(Tuning):
    """Tuning to a number that no feature shows: it is drawn when observed, and only the latent knows it."""

    provides = frozenset({"reward", "end", "latent"})

    def initial(self, n: int) -> dict[str, Tensor]:
        return super().initial(n) | {"secret": torch.zeros(n)}

    def observe(self, state: Features, action: Tensor | None, features: Features, reset: Tensor | None = None,
                rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return dict(features) | {"secret": torch.rand(len(features["x"]), generator=rng)}

    def assimilate(self, state: Features, features: Features, rows: Tensor,
                   rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return dict(state)

    def decode(self, state: Features) -> dict[str, Tensor]:
        return {"x": state["x"]}

    def latent(self, state: Features) -> Tensor:
        return state["secret"][:, None]

    def move(self, state: Features, action: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        return dict(state), 1 - (action[:, 0] - state["secret"]).abs(), torch.zeros(len(action))


class Lives:
    """Replay (`Source`) of random lives in an exact world: `count` sequences of `length` transitions."""

    def __init__(self, model: Exact, count: int = 64, length: int = 8, seed: int = 0) -> None:
        rng, schema = torch.Generator().manual_seed(seed), model.schema
        state = {f.name: torch.randint(0, f.cardinality - 1, (count,), generator=rng).to(f.dtype) if f.cardinality
                 else torch.rand(count, generator=rng) for f in schema.features}
        seen, acted, paid, ended = [state], [], [], []
        for _ in range(length):
            action = torch.stack([
                torch.randint(0, a.cardinality, (count,), generator=rng).float() if a.cardinality
                else a.low + torch.rand(count, generator=rng) * (a.high - a.low) for a in schema.actions
            ], 1).to(schema.action_dtype)
            state, out = model.step(state, action)
            seen.append(state)
            acted.append(action)
            paid.append(out.reward)
            ended.append(out.cont < 0.5)
        over = torch.stack(ended, 1)
        mask = torch.cat([torch.ones_like(over[:, :1]), ~over[:, :-1]], 1).cumprod(1).bool()
        self.all = Batch({k: torch.stack([s[k] for s in seen], 1) for k in seen[0]}, torch.stack(acted, 1),
                         torch.stack(paid, 1), over, mask)

    def batch(self, size: int, length: int, rng: torch.Generator, held_out: bool = False) -> Batch | None:
        rows = torch.randint(len(self.all.mask), (size,), generator=rng)
        some = replace(self.all, **{k: getattr(self.all, k)[rows] for k in ("action", "reward", "terminated", "mask")})
        return replace(some, features={k: v[rows] for k, v in self.all.features.items()})

    def everything(self) -> Batch | None:
        return self.all


class Nothing:
    """Replay before anything was lived."""

    def batch(self, size: int, length: int, rng: torch.Generator, held_out: bool = False) -> Batch | None:
        return None

    def everything(self) -> Batch | None:
        return None


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
