"""Spurious correlations: what a model makes of features that go along with a cause and cause nothing.

    python benchmarks/spurious.py [--quick] [--seed 0] [--json PATH]

Two invented worlds, one of numbers and one of listed values. In the data somebody keeps things together: the gauge
follows the pressure, the lamp is lit where the key lies, and what is done follows them, too. In the test these features
are shuffled between rows: nothing else changes, and what they never caused they still don't. Every model learns from
the same single transitions by its own recipe. Of those that have a causal graph, its arrows from one feature to another
are compared with the world's (that a feature depends on itself is left out: it is a matter of how a change is written).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
from common import Figures, options
from torch import Tensor

from gedanken.world import tree
from gedanken.world.model import Batch, WorldModel, begin
from gedanken.world.models.build import MODELS, build
from gedanken.world.models.mechanisms import Causal
from gedanken.world.schema import Feature, Schema
from gedanken.world.training import Trainer, TrainingConfig

Rows = dict[str, Tensor]


@dataclass(frozen=True)
class World:
    """A world to learn: `draw(n, rng)` gives states and actions of a habit, `follow(now, action, rng)` what comes of
    them with the reward (without `rng`, on average); `idle` are the features that only go along; `arrows` are its
    (effect, cause)."""

    schema: Schema
    draw: Callable[[int, torch.Generator], tuple[Rows, Tensor]]
    follow: Callable[[Rows, Tensor, torch.Generator | None], tuple[Rows, Tensor]]
    idle: tuple[str, ...]
    arrows: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Lived:
    """Single transitions as a source for the trainer, the last tenth held out."""

    rows: Batch

    def batch(self, size: int, length: int, rng: torch.Generator, held_out: bool = False) -> Batch:
        n = len(self.rows.action)
        low, high = (n * 9 // 10, n) if held_out else (0, n * 9 // 10)
        return _take(self.rows, torch.randint(low, high, (size,), generator=rng))

    def everything(self) -> Batch:
        return _take(self.rows, torch.arange(len(self.rows.action) * 9 // 10))


def _take(batch: Batch, rows: Tensor) -> Batch:
    return tree.take(batch, rows)


# --- the worlds -------------------------------------------------------------------------------------------------------

def _near(x: Tensor, noise: float, rng: torch.Generator | None) -> Tensor:
    return x if rng is None else x + noise * torch.randn(len(x), generator=rng)


def _boiler_draw(n: int, rng: torch.Generator) -> tuple[Rows, Tensor]:
    heat, pressure, valve = torch.rand(3, n, generator=rng).unbind(0)
    now = {"heat": heat, "pressure": pressure, "valve": valve, "gauge": _near(pressure, 0.05, rng),
           "hum": _near(heat, 0.1, rng), "draft": _near(valve, 0.1, rng)}
    return now, _near(1 - now["gauge"], 0.2, rng).clamp(0, 1)[:, None]


def _boiler_follow(now: Rows, action: Tensor, rng: torch.Generator | None) -> tuple[Rows, Tensor]:
    heat, pressure, valve = now["heat"], now["pressure"], now["valve"]
    after = {"heat": _near(heat + 0.4 * action[:, 0] - 0.5 * valve * heat, 0.02, rng),
             "pressure": _near(pressure + 0.3 * (heat - pressure), 0.01, rng), "valve": valve,
             "gauge": _near(now["gauge"], 0.02, rng), "hum": _near(0.9 * now["hum"], 0.05, rng), "draft": -now["draft"]}
    return after, 1 - 4 * (pressure - 0.5).square()


def _workshop_draw(n: int, rng: torch.Generator) -> tuple[Rows, Tensor]:
    def often(x: Tensor) -> Tensor:
        return x ^ (torch.rand(n, generator=rng) < 0.05)

    door, oil = (torch.randint(k, (n,), generator=rng) for k in (3, 4))
    key, guard = (torch.rand(n, generator=rng) < 0.5 for _ in range(2))
    now = {"door": door.short(), "key": key, "oil": oil.int(), "guard": guard, "lamp": often(key),
           "radio": often(oil > 0), "dog": often(guard)}
    wanted = torch.where(now["lamp"] & (door == 2), 1, torch.where(now["radio"], 2, 3))
    action = torch.where(torch.rand(n, generator=rng) < 0.6, wanted, torch.randint(4, (n,), generator=rng))
    return now, action[:, None]


def _workshop_follow(now: Rows, action: Tensor, rng: torch.Generator | None) -> tuple[Rows, Tensor]:
    a, door, oil = action[:, 0], now["door"], now["oil"]
    unlocks = (a == 1) & (door == 2) & now["key"]
    opens = (a == 2) & (door == 1) & (oil > 0) & ~now["guard"]
    oiled = torch.where(opens, oil - 1, torch.where(a == 3, (oil + 1).clamp_max(3), oil))
    after = {**now, "door": torch.where(unlocks, 1, torch.where(opens, 0, door.long())).short(), "oil": oiled.int()}
    return after, opens.float()


def _world(name: str, features: Iterable[Feature], action: Feature, draw: Callable, follow: Callable, idle: str,
           arrows: str) -> World:
    schema = Schema(name, tuple(features), (action,), lambda o, e: {}, lambda a: a)
    pairs = (line.split("<") for line in arrows.split(","))
    return World(schema, draw, follow, tuple(idle.split()),
                 frozenset((effect.strip(), cause) for effect, causes in pairs for cause in causes.split()))


WORLDS = (
    _world("boiler", map(Feature, ("heat", "pressure", "valve", "gauge", "hum", "draft")),
           Feature("burn", low=0, high=1), _boiler_draw, _boiler_follow, "gauge hum draft",
           "heat < burn valve, pressure < heat, reward < pressure"),
    _world("workshop", (
        Feature("door", "category", values=("open", "shut", "locked")), Feature("key", "boolean"),
        Feature("oil", "integer", low=0, high=3), Feature("guard", "boolean"), Feature("lamp", "boolean"),
        Feature("radio", "boolean"), Feature("dog", "boolean")),
        Feature("action", "category", values=("wait", "unlock", "push", "fill")), _workshop_draw, _workshop_follow,
        "lamp radio dog", "door < key oil guard, oil < door guard, reward < door oil guard"),
)


# --- the measure ------------------------------------------------------------------------------------------------------

def transitions(world: World, n: int, rng: torch.Generator, test: str = "") -> Batch:
    """N single transitions; for a test ("same" or "intervened") with what comes on average."""
    now, action = world.draw(n, rng)
    if test == "intervened":
        now |= {k: now[k][torch.randperm(n, generator=rng)] for k in world.idle}
    after, reward = world.follow(now, action, None if test else rng)
    return Batch({k: torch.stack([now[k], after[k]], 1) for k in now}, action[:, None], reward[:, None],
                 torch.zeros(n, 1, dtype=torch.bool), torch.ones(n, 1, dtype=torch.bool))


@torch.no_grad()
def error(model: WorldModel, test: Batch, scale: Rows) -> float:
    """Of a world of numbers, the error of all that moves (root of the mean square, in standard deviations of its
    change, the reward's included); of one of listed values, the share of rows with any mistake."""
    now, after = test.features_at(0), test.features_at(1)
    _, out = model.step(begin(model, now), test.action[:, 0])
    wrong = [(out.mode[k] != after[k]) for k in after if not after[k].is_floating_point()]
    if wrong:
        return float(torch.stack([*wrong, (out.reward - test.reward[:, 0]).abs() > 0.5]).any(0).float().mean())
    errors = [((out.mode[k] - after[k]) / scale[k]).square().mean() for k in after if scale[k] > 1e-6]
    errors.append(((out.reward - test.reward[:, 0]) / test.reward.std()).square().mean())
    return float(torch.stack(errors).mean().sqrt())


def arrows(model: Causal) -> set[tuple[str, str]]:
    """The graph's arrows between different features, whatever is done."""
    return {(m.effect, cause) for m in model.reads() for cause in m.causes if cause != m.effect}


def trained(name: str, world: World, data: Batch, seed: int, steps: int | None) -> WorldModel:
    torch.manual_seed(seed)
    model = build(name, world.schema)
    recipe = model.recipe() if hasattr(model, "recipe") else TrainingConfig()  # type: ignore[attr-defined]
    if steps is not None:
        recipe = replace(recipe, min_steps=min(steps, recipe.min_steps))
    Trainer(model, recipe, seed=seed).run(Lived(data), steps)  # type: ignore[arg-type]
    return model


def main() -> None:
    args = options(__doc__ or "", seeds=(int, 3, "training seeds"), rows=(int, 2_000, "transitions to learn from"),
                   worlds=(str, "boiler,workshop", "which, by name"),
                   models=(str, "factors,slots,recurrent,ensemble,rssm", "which, by name"))
    torch.set_num_threads(1)
    figures, steps = Figures(), 60 if args.quick else None
    for world in (w for w in WORLDS if w.schema.name in args.worlds.split(",")):
        for name in (n for n in args.models.split(",") if n in MODELS):
            if name == "slots" and any(f.kind == "real" for f in world.schema.features):
                continue
            found: dict[str, list[float]] = {}
            for seed in range(args.seed, args.seed + (1 if args.quick else args.seeds)):
                rng = torch.Generator().manual_seed(seed + 1_000)
                data, same, other = (transitions(world, n, rng, k) for n, k in
                                     ((args.rows, ""), (4_000, "same"), (4_000, "intervened")))
                scale = {k: (v[:, 1].float() - v[:, 0].float()).std() for k, v in data.features.items()}
                began = time.perf_counter()
                model = trained(name, world, data, seed, steps)
                row = {"seconds to train": time.perf_counter() - began,
                       "error, as in the data": error(model, same, scale),
                       "error, intervened": error(model, other, scale)}
                if isinstance(model, Causal):
                    graph = arrows(model)
                    right = len(graph & world.arrows)
                    row |= {"graph: precision": right / max(1, len(graph)), "graph: recall": right / len(world.arrows)}
                    wrong, missed = sorted(graph - world.arrows), sorted(world.arrows - graph)
                    print(f"    seed {seed}: wrong {wrong}, missed {missed}", flush=True)
                for k, v in row.items():
                    found.setdefault(k, []).append(v)
            unit = "share" if any(f.is_discrete for f in world.schema.features) else "std of change"
            for k, values in found.items():
                figures.add(f"{world.schema.name}, {name}: {k}", values,
                            unit if "error" in k else "s" if "sec" in k else "")
    figures.write(args.json)


if __name__ == "__main__":
    main()
