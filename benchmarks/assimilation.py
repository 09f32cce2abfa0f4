"""After an imagined step that only a rule knows, do the next 40 stay right? With and without assimilation.

    python benchmarks/assimilation.py [--quick] [--seed 0] [--json PATH] [--models recurrent,rssm]

Two worlds, each with something that never changes in the data: a tank whose valve is open in some episodes and shut in
others (turning the handle did nothing), and a corridor whose door is open in some and shut in others (pulling did
nothing). A rule says what turning and pulling do from now on. Every model that fits imagines three random steps, the
one that the rule changes, and 40 random ones. `observed` starts from the true state after that step instead: what is
wrong there, the model's weights do not know; what is wrong beyond it was wrong when the step came (0 steps), or
assimilation lost it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from common import Figures, options
from torch import Tensor, nn

from gedanken.errors import UserError
from gedanken.world import tree
from gedanken.world.model import Batch, WorldModel, begin
from gedanken.world.models.build import MODELS, build
from gedanken.world.refine import Refined
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Feature, Features, Schema
from gedanken.world.training import Trainer

BEFORE, HORIZONS = 3, (0, 10, 20, 40)


@dataclass(frozen=True)
class World:
    """A world to imagine. `step(features, action [N], told)` is the truth, with what the rule says if `told`; `event`
    is the action the rule is about; `start(n, rng)` are random first states."""

    schema: Schema
    rule: str
    event: int
    start: Callable[[int, torch.Generator], dict[str, Tensor]]
    step: Callable[[Features, Tensor, bool], dict[str, Tensor]]
    error: Callable[[Features, Features], Tensor]  # [N]; its mean is reported
    unit: str


def choice(name: str, *values: str) -> Feature:
    return Feature(name, "category", values=values)


def tank() -> World:
    """The level rises by what is poured in, and falls by a tenth of itself while the valve is open."""
    schema = Schema("tank", (Feature("level", low=0, high=10, unit="m"), choice("valve", "open", "shut"),
                             Feature("poured", low=0, high=1)),
                    (choice("action", "wait", "pour", "turn"),), lambda o, e: o, lambda a: a)

    def start(n: int, rng: torch.Generator) -> dict[str, Tensor]:
        level, valve = 6 * torch.rand(n, generator=rng), torch.randint(2, (n,), generator=rng)
        return {"level": level, "valve": valve.to(torch.int16), "poured": torch.zeros(n)}

    def step(now: Features, action: Tensor, told: bool) -> dict[str, Tensor]:
        valve = torch.where((action == 2) & told, 1, now["valve"]).to(torch.int16)
        poured = torch.where(action == 1, 0.2, 0.0)
        drained = torch.where(valve == 0, 0.1 * now["level"], 0.0)
        return {"level": (now["level"] + poured - drained).clamp(0, 10), "valve": valve, "poured": poured}

    def error(a: Features, b: Features) -> Tensor:
        return (a["level"] - b["level"]).square()

    return World(schema, "expect valve' == shut if action == turn", 2, start, step, error, "m RMSE")


def corridor() -> World:
    """Ten places in a row; a shut door between 4 and 5 lets nobody through."""
    schema = Schema("corridor", (Feature("place", "integer", low=0, high=9), choice("door", "open", "shut"),
                                 choice("facing", "left", "right")),
                    (choice("action", "wait", "left", "right", "pull"),), lambda o, e: o, lambda a: a)

    def start(n: int, rng: torch.Generator) -> dict[str, Tensor]:
        place, door, facing = (torch.randint(k, (n,), generator=rng) for k in (10, 2, 2))
        return {"place": place.int(), "door": door.to(torch.int16), "facing": facing.to(torch.int16)}

    def step(now: Features, action: Tensor, told: bool) -> dict[str, Tensor]:
        door = torch.where((action == 3) & told, 0, now["door"]).to(torch.int16)
        moved = (now["place"] + (action == 2).int() - (action == 1).int()).clamp(0, 9)
        passes = (now["place"] < 5) != (moved < 5)
        facing = torch.where(action == 1, 0, torch.where(action == 2, 1, now["facing"])).to(torch.int16)
        return {"place": torch.where(passes & (now["door"] == 1), now["place"], moved).int(), "door": door,
                "facing": facing}

    def error(a: Features, b: Features) -> Tensor:
        return torch.stack([a[k] == b[k] for k in b]).all(0).float()

    return World(schema, "expect door' == open if action == pull", 3, start, step, error, "share right")


class Lives:
    """Random lives as a source for the trainer: `count` episodes of `length` transitions, a tenth of them held out."""

    def __init__(self, world: World, count: int, length: int, seed: int) -> None:
        rng = torch.Generator().manual_seed(seed)
        now, rows, actions = world.start(count, rng), [], []
        for _ in range(length):
            rows.append(now)
            actions.append(torch.randint(world.schema.actions[0].cardinality or 1, (count,), generator=rng))
            now = world.step(now, actions[-1], False)
        self.features = {k: torch.stack([r[k] for r in [*rows, now]], 1) for k in now}
        self.action, self.length, self.held = torch.stack(actions, 1)[..., None], length, max(count // 10, 1)

    def batch(self, size: int, length: int, rng: torch.Generator, held_out: bool = False) -> Batch:
        length = min(length, self.length)
        among = (0, self.held) if held_out else (self.held, len(self.action))
        row = torch.randint(*among, (size, 1), generator=rng)
        at = torch.randint(self.length - length + 1, (size, 1), generator=rng) + torch.arange(length + 1)
        return self._of({k: v[row, at] for k, v in self.features.items()}, self.action[row, at[:, :-1]])

    def everything(self) -> Batch:
        pairs = {k: torch.stack([v[self.held :, :-1], v[self.held :, 1:]], 2).flatten(0, 1)
                 for k, v in self.features.items()}
        return self._of(pairs, self.action[self.held :].flatten(0, 1)[:, None])

    def _of(self, features: dict[str, Tensor], action: Tensor) -> Batch:
        nothing = torch.zeros(action.shape[:2])
        return Batch(features, action, nothing, nothing.bool(), nothing == 0)


def trained(name: str, world: World, seed: int, steps: int, episodes: int = 60) -> WorldModel | None:
    """The model called `name` after `steps` of training (0: its own recipe) on random lives; None where it does not
    fit the world."""
    torch.manual_seed(seed)
    try:
        model = build(name, world.schema)
    except UserError:
        return None
    if isinstance(model, nn.Module):
        trainer = Trainer(model, type(model).recipe(), seed)  # type: ignore[attr-defined]
        trainer.run(Lives(world, episodes, 25, seed), steps=steps or None)
        model.requires_grad_(False).eval()
    return model


@torch.no_grad()
def imagined(model: WorldModel, world: World, arm: str, n: int, seed: int) -> list[float]:
    """The error 0, 10, 20 and 40 steps after the event, on rows where it makes a difference."""
    rng = torch.Generator().manual_seed(1_000_000 + seed)
    told = parse(world.rule, world.schema)
    refined = Refined(model, [told], "always" if arm == "assimilated" else "never")
    truth = world.start(n, rng)
    event = torch.full((n,), world.event)
    with_rule, without = (world.step(truth, event, known) for known in (True, False))
    matters = torch.stack([with_rule[k] != without[k] for k in truth]).any(0)
    truth = {k: v[matters] for k, v in truth.items()}
    rows = int(matters.sum())
    actions = torch.randint(world.event, (BEFORE + 1 + max(HORIZONS), rows), generator=rng)  # the event is the last
    actions[BEFORE] = world.event
    state, errors = begin(refined, truth), []
    for t, action in enumerate(actions):
        truth = world.step(truth, action, True)
        state, _ = refined.step(state, action[:, None])
        if t == BEFORE and arm == "observed":
            state = begin(refined, truth)
        if t - BEFORE in HORIZONS:
            errors.append(world.error(refined.decode(state), truth).mean().item())
    assert tree.size(state) == rows
    return [e**0.5 for e in errors] if "RMSE" in world.unit else errors


def main() -> None:
    args = options(__doc__ or "", seeds=(int, 3, "training seeds"), models=(str, ",".join(MODELS), "which models"),
                   worlds=(str, "tank,corridor", "which worlds"),
                   steps=(int, 0, "training steps (0: the model's own recipe)"))
    torch.set_num_threads(1)
    figures = Figures()
    seeds = range(args.seed, args.seed + (1 if args.quick else args.seeds))
    for world in (made for made in (tank(), corridor()) if made.schema.name in args.worlds):
        for name in args.models.split(","):
            found: dict[str, list[list[float]]] = {}
            for seed in seeds:
                if (model := trained(name, world, seed, 40 if args.quick else args.steps)) is None:
                    break
                for arm in ("assimilated", "not assimilated", "observed"):
                    found.setdefault(arm, []).append(imagined(model, world, arm, 512, seed))
            for arm, values in found.items():
                for k, h in enumerate(HORIZONS):
                    figures.add(f"{world.schema.name}, {name}, {arm}, {h} steps", [v[k] for v in values], world.unit)
    figures.write(args.json)


if __name__ == "__main__":
    main()
