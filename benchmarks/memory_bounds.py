"""Memory of imagination: bounded by `max_rows` whatever the batch, and no growth over 10,000 decisions.

    python benchmarks/memory_bounds.py [--quick] [--seed 0] [--json PATH]

Every registered planner plans, on the first of two tiny worlds it fits (one discrete, one continuous) under a small
refined model. *Batch* (planners with `max_rows`): the peak of the resident set above what it was, of a plan for 8
states, for 128 with `max_rows` at 8 states' worth, and for 128 at once. *Decisions*: how much the resident set grows
from the first fifth of the decisions to the last, with the carry passed on from plan to plan, of a model that is rules
alone (so that ten thousand take minutes). `--planner` takes one.
"""

from __future__ import annotations

import ctypes
import gc
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from common import Figures, options

from gedanken.agent.planning.build import PLANNERS, planner_for
from gedanken.agent.planning.objective import Objective, Return
from gedanken.agent.planning.plan import Budget
from gedanken.errors import UserError
from gedanken.world.model import begin
from gedanken.world.models.build import build
from gedanken.world.refine import Refined
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Feature, Schema

MB = 2**20
GRID = Schema("grid", (Feature("x", "integer", low=0, high=4), Feature("y", "integer", low=0, high=4)),
              (Feature("move", "category", values=("left", "right", "up", "down")),), lambda o, e: o, lambda a: a)
PLANT = Schema("plant", (Feature("heat", low=0.0, high=100.0), Feature("level", shape=(8,))),
               (Feature("valve", low=-1.0, high=1.0),), lambda o, e: o, lambda a: a)
RULES = {"grid": "expect x' == x + 1 if move == right", "plant": "expect heat' == heat + valve within 0.1"}


def resident() -> int:
    """The resident set of this process, in bytes."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def peak() -> Iterator[list[int]]:
    """The largest resident set while the block runs, above what it was before: read every millisecond."""
    gc.collect()
    before, most, done = resident(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.001):
            most[0] = max(most[0], resident() - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield most
    finally:
        done.set()
        watcher.join()


def fitting(name: str) -> tuple[Any, Schema] | None:
    """The planner and the first world it fits."""
    for schema in (PLANT, GRID):
        try:
            return planner_for(name, schema), schema
        except UserError:
            continue
    return None


def main() -> None:
    args = options(__doc__ or "", decisions=(int, 10_000, "plans a planner"), planner=(str, "", "this one alone"))
    torch.set_num_threads(1)
    ctypes.CDLL(None).mallopt(-3, 2**16)  # M_MMAP_THRESHOLD: what is freed goes back, so that the resident set shows it
    figures, decisions = Figures(), 300 if args.quick else args.decisions
    for name in [args.planner] if args.planner else PLANNERS:
        found = fitting(name)
        if found is None:
            print(f"  {name}: fits neither world")
            continue
        planner, schema = found
        torch.manual_seed(args.seed)
        model = Refined(build("recurrent", schema), [parse(RULES[schema.name], schema)])
        plan = planning(planner, Refined(build("none", schema), model.rules), schema, args.seed)
        if hasattr(planner, "config") and hasattr(planner.config, "max_rows"):
            size = replace(planner.config, samples=64, horizon=10, iterations=1) if name != "random" else replace(
                planner.config, samples=64, horizon=10)
            for states, rows in ((8, 8), (128, 8), (128, 128)):
                bounded = planning(type(planner)(replace(size, max_rows=rows * 64)), model, schema, args.seed)
                with peak() as most:
                    bounded(states, None, None)
                how = "in chunks of 8" if states > rows else "at once"
                figures.add(f"{name}: peak of a plan for {states} states {how}", [most[0] / MB], "MB")
        carry, sizes = None, []
        for k in range(decisions):
            carry = plan(1, carry, Budget(transitions=64))
            if k % 50 == 49:
                sizes.append(resident())
        fifth = max(1, len(sizes) // 5)
        grown = (max(sizes[-fifth:]) - max(sizes[:fifth])) / MB
        figures.add(f"{name}: growth over {decisions} decisions", [grown], "MB", "0")
    figures.write(args.json)


def planning(planner: Any, model: Refined, schema: Schema, seed: int) -> Callable[[int, Any, Budget | None], Any]:
    """Plans for some states, from a carry, within a budget; returns the carry."""
    rng = torch.Generator().manual_seed(seed)

    def plan(states: int, carry: Any, budget: Budget | None) -> Any:
        features = {f.name: torch.zeros(states, *f.shape, dtype=f.dtype) for f in schema.features}
        before = planner.initial(states) if carry is None else carry
        return planner.plan(model, begin(model, features), Objective([Return()]), before, rng, budget).carry

    return plan


if __name__ == "__main__":
    main()
