"""Compiled rules: rule evaluations a second on one core, and what 64 rules add to an imagined step.

    python benchmarks/rules_speed.py [--quick] [--seed 0] [--json PATH]

One evaluation is one rule on one row, guard and correction: N rows under R rules in t seconds are N R / t. Rules of
every kind are drawn at random over an invented schema of scalars, and over DoorKey's. The share of a step is that of
`Compiled.correct` beside the step of a recurrent model of about a million parameters, at 1,024 rows. Only the time of
`correct` is measured: rules that find no `UserError` in the checker, rows and predictions drawn beforehand.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import gymnasium as gym
import minigrid  # noqa: F401
import torch
from common import Figures, options
from torch import Tensor

from gedanken.world.distributions import Categorical, Normal
from gedanken.world.model import Outcome, begin
from gedanken.world.models.persistence import Persistence
from gedanken.world.models.recurrent import Recurrent, RecurrentConfig
from gedanken.world.rules.compile import Compiled
from gedanken.world.rules.parse import parse
from gedanken.world.rules.syntax import Rule
from gedanken.world.schema import Feature, Features, Schema

COLORS = ("red", "green", "blue", "grey")
KITCHEN = Schema(
    "kitchen",
    (
        Feature("x", "integer", low=0, high=9), Feature("y", "integer", low=0, high=9),
        Feature("hand", "category", values=("nothing", "cup", "plate", "knife", "towel")),
        Feature("shelf", "category", values=("nothing", "cup", "plate", "knife", "towel")),
        Feature("stove", "category", values=("off", "low", "high")), Feature("cup_color", "category", values=COLORS),
        Feature("plate_color", "category", values=COLORS),
        Feature("door", "category", values=("open", "shut", "locked")),
        Feature("lit", "boolean"), Feature("wet", "boolean"), Feature("orders", "integer", low=0, high=20),
        Feature("heat", low=0, high=300), Feature("battery", low=0, high=1), Feature("speed", low=-2, high=2),
    ),
    (Feature("action", "category", values=("wait", "left", "right", "take", "drop", "turn", "press", "open")),),
    lambda observation, env: {},
    lambda row: int(row[0]),
)


class Writer:
    """Random rules over the scalars of a schema, as a person might write them."""

    def __init__(self, schema: Schema, seed: int) -> None:
        self.schema, self.rng = schema, random.Random(seed)
        self.guarded = [f for f in schema.named.values() if not f.shape and f not in schema.actions]
        self.written = [f for f in schema.base.values() if not f.shape]
        self.written += [d.feature for n, d in schema.derivations.items() if hasattr(d, "at")]

    def rules(self, count: int) -> list[Rule]:
        return [parse(self.rule(), self.schema) for _ in range(count)]

    def rule(self) -> str:
        pick = self.rng.random()
        guard = self.guard()
        if pick < 0.05:
            return f"reward {self.rng.choice([1, -1, 0.5])} if {guard}"
        if pick < 0.1:
            return f"end if {guard}"
        if pick < 0.15:
            return f"forbid {self.action()} if {guard}"
        strength = self.rng.choices(["", " with weight 2", " with probability 0.8"], [0.7, 0.15, 0.15])[0]
        return f"expect {self.effect()}{strength} if action == {self.action()} and {guard}"

    def action(self) -> str:
        return self.rng.choice(self.schema.actions[0].values)

    def guard(self) -> str:
        return " and ".join(self.test(f) for f in self.rng.sample(self.guarded, self.rng.randint(1, 3)))

    def test(self, f: Feature) -> str:
        pick = self.rng.random()
        alike = [g for g in self.guarded if g != f and g.values == f.values and g.kind == f.kind]
        if pick < 0.1 and alike and f.kind != "boolean":
            return f"{f.name} == {self.rng.choice(alike).name}"
        if f.kind == "category":
            a, b = self.rng.sample(f.values, 2)
            return self.rng.choice([f"{f.name} == {a}", f"{f.name} != {a}", f"{f.name} in {{{a}, {b}}}"])
        if f.kind == "boolean":
            return self.rng.choice([f.name, f"not {f.name}"])
        value = self.value(f, 1)
        if pick < 0.2 and alike:
            return f"{f.name} + {self.rng.choice(alike).name} < {value}"
        return f"{f.name} {self.rng.choice(['<', '<=', '>', '>='])} {value}"

    def value(self, f: Feature, margin: int = 0) -> str:
        if f.kind == "integer":
            return str(self.rng.randint(int(f.low) + margin, int(f.high) - margin))
        return f"{self.rng.uniform(f.low, f.high):.2f}"

    def effect(self) -> str:
        f = self.rng.choice(self.written)
        name = f.name
        if f.kind == "boolean":
            return self.rng.choice([f"{name}'", f"not {name}'", f"same({name})"])
        if f.kind == "category":
            a, b = self.rng.sample(f.values, 2)
            alike = [g.name for g in self.guarded if g != f and g.values == f.values]
            forms = [f"{name}' == {a}", f"{name}' in {{{a}, {b}}}", f"{name}' != {a}", f"same({name})"]
            return self.rng.choice(forms + [f"{name}' == {g}" for g in alike])
        bound = self.value(f, 2 if f.kind == "integer" else 0)
        step = "1" if f.kind == "integer" else "0.1"
        return self.rng.choice([f"{name}' == {name} + {step}", f"{name}' == {name} - {step}", f"{name}' <= {bound}",
                                f"{name}' >= {bound}", f"{name}' == {bound}", f"{name}' <= {name}"])


def kitchen(n: int, rng: torch.Generator) -> tuple[dict[str, Tensor], Outcome]:
    """Random rows of the invented schema, and a random prediction for each."""
    now, predicted = {}, {}
    for f in KITCHEN.features:
        if f.cardinality:
            now[f.name] = (torch.randint(f.cardinality, (n,), generator=rng) + f.offset).to(f.dtype)
            predicted[f.name] = Categorical(f, torch.randn(n, f.cardinality, generator=rng) * 3)
        else:
            now[f.name] = torch.rand(n, generator=rng) * (f.high - f.low) + f.low
            predicted[f.name] = Normal(f, now[f.name] + torch.randn(n, generator=rng) * 0.01, torch.full((n,), 0.01))
    zeros = torch.zeros(n)
    return now, Outcome(predicted, zeros, zeros + 1, torch.ones(n, dtype=torch.bool), zeros)


def doorkey(schema: Schema, env: gym.Env, n: int, rng: torch.Generator) -> tuple[Features, Outcome]:
    """Random poses and hands in DoorKey layouts, and the prediction that nothing changes."""
    layouts = [schema.observe(env.reset(seed=k)[0], env) for k in range(16)]
    now = {k: v[torch.arange(n) % len(layouts)].clone() for k, v in schema.batch(layouts).items()}
    width = schema.base["object"].shape[0]
    for name, low, high in (("agent_x", 1, width - 1), ("agent_y", 1, width - 1), ("direction", 0, 4)):
        now[name] = torch.randint(low, high, (n,), generator=rng).to(now[name].dtype)
    return now, Persistence(schema).step(now, torch.zeros(n, 1, dtype=torch.int64))[1]


def seconds(call: Callable[[], object], budget: float) -> float:
    """The median processor time of a call (what else runs on the machine does not count), after one to warm up; at
    least three calls, and then until the budget is spent."""
    call()
    times: list[float] = []
    while len(times) < 3 or (sum(times) < budget and len(times) < 200):
        start = time.thread_time()
        call()
        times.append(time.thread_time() - start)
    return statistics.median(times)


def main() -> None:
    args = options(__doc__ or "", seeds=(int, 3, "sets of rules"), budget=(float, 0.4, "seconds a figure and set"))
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    figures = Figures()
    seeds = range(args.seed, args.seed + (1 if args.quick else args.seeds))
    budget = 0.05 if args.quick else args.budget
    env = gym.make("MiniGrid-DoorKey-8x8-v0")
    grid = Schema.from_env(env)
    counts, sizes = (1, 8, 64, 512), (64, 1_024, 16_384, 65_536)
    for name, schema in (("invented schema", KITCHEN), ("DoorKey", grid)):
        for n in sizes:
            rng = torch.Generator().manual_seed(args.seed)
            now, outcome = kitchen(n, rng) if schema is KITCHEN else doorkey(schema, env, n, rng)
            action = torch.randint(schema.actions[0].cardinality or 1, (n, 1), generator=rng)
            for count in counts:
                rates = []
                for seed in seeds:
                    compiled = Compiled(schema, Writer(schema, seed).rules(count))

                    def correct(compiled=compiled, now=now, action=action, outcome=outcome):
                        return compiled.correct(now, action, replace(outcome))

                    rates.append(n * count / seconds(correct, budget) / 1e6)
                figures.add(f"{name}, {count} rules, {n:,} rows", rates, "M rules/s", ">= 5" if count >= 64 else "")
    share(figures, seeds, budget)
    figures.write(args.json)


def share(figures: Figures, seeds: range, budget: float, n: int = 1_024, count: int = 64) -> None:
    """What `count` rules add to one imagined step of a recurrent model of about a million parameters."""
    steps, added = [], []
    for seed in seeds:
        torch.manual_seed(seed)
        model = Recurrent(KITCHEN, RecurrentConfig(hidden=384, latent=32, width=256)).eval()
        rng = torch.Generator().manual_seed(seed)
        now, _ = kitchen(n, rng)
        action = torch.randint(KITCHEN.actions[0].cardinality or 1, (n, 1), generator=rng)
        state = begin(model, now)
        outcome = model.step(state, action)[1]
        compiled = Compiled(KITCHEN, Writer(KITCHEN, seed).rules(count))
        steps.append(seconds(partial(model.step, state, action), 4 * budget) * 1e3)
        added.append(seconds(partial(compiled.correct, now, action, outcome), 4 * budget) * 1e3)
        parameters = sum(p.numel() for p in model.parameters())
    figures.add(f"one step of {parameters / 1e6:.2f}M parameters, {n:,} rows", steps, "ms")
    figures.add(f"{count} rules, {n:,} rows", added, "ms")
    shares = [a / s for a, s in zip(added, steps, strict=True)]
    figures.add(f"{count} rules beside that step", shares, "share", "<= 0.1")


if __name__ == "__main__":
    main()
