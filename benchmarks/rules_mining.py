"""Mining: how many of a world's true laws come out exactly, from 1,000 random transitions of which 5% are misread.

    python benchmarks/rules_mining.py [--quick] [--seed 0] [--json PATH] [--worlds taxi,cart] [--show 1]

A law counts if its guard was seen at least 10 times. It came out exactly if some proposed rule (or several together)
fires on just its rows and says just its effect there, on 4,000 fresh transitions without noise, and on the same with
half of the next states misread. Of laws with numbers in them, coefficients may be off by 5% of the change that they
make, the rows of a cut on a real by 5%, a probability by 0.05 (`evidence.SLACK`) or by two standard errors of the
rows seen. A proposal is false that holds on less than 98% of the fresh transitions it applies to (one with a
probability: is 0.05 and two standard errors off). What is misread, and how, stands in `mining_worlds.misread`.
Settings were chosen on seeds from 9,000 on, which are not used here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from common import Figures, options
from mining_worlds import World, misread, worlds
from torch import Tensor

from gedanken.memory.experience.record import Transitions
from gedanken.world.checking import SLACK, as_rows, measure
from gedanken.world.miner import mine
from gedanken.world.rules import syntax as s
from gedanken.world.rules.evaluate import Rows, evaluate, truth
from gedanken.world.rules.parse import parse
from gedanken.world.rules.text import to_text
from gedanken.world.schema import Schema

OFTEN = 10
ROWS = 1_000
FRESH = 4_000
NOISE = 0.05
SHAKE = 0.02
CLOSE = 0.05


@dataclass(frozen=True)
class Part:
    """One thing that a rule says: where it applies `[N]`, the one effect (None: of a reward or end), how surely (or
    what is paid), and how far a probability may be off."""

    kind: str
    applies: Tensor
    effect: s.Expression | None
    amount: float
    has_cut: bool
    slack: float = 0.0

    @property
    def target(self) -> str:
        return next((n.name for n in s.walk(self.effect) if isinstance(n, s.Name) and n.primed), "") \
            if self.effect else ""


def parts(rule: s.Rule, rows: Rows) -> Iterator[Part]:
    """The rule taken apart, one effect each, over some rows."""
    statement = rule.statement
    guard = getattr(statement, "guard", None)
    applies = torch.ones(rows.size, dtype=torch.bool) if guard is None else truth(guard, rows)
    named = rows.schema.named
    has_cut = guard is not None and any(
        isinstance(n, s.Name) and named[n.name].kind == "real" for n in s.walk(guard))
    if isinstance(statement, s.Expect):
        effect = statement.effect
        several = effect.operands if isinstance(effect, s.Logical) and effect.operator == "and" else (effect,)
        for one in several:
            yield Part("expect", applies, one, statement.probability or 1.0, has_cut)
    else:
        yield Part(statement.kind, applies, None, getattr(statement, "amount", 1.0), has_cut)


def is_exact(law: Part, proposed: list[Part], rows: Rows) -> bool:
    """Whether proposed parts that say the law's effect apply together on just its rows."""
    union = torch.zeros_like(law.applies)
    happened = torch.arange(rows.size) < FRESH    # a guard may read the next state, which is false on the others
    slack = CLOSE if law.has_cut else 0.0
    for part in proposed:
        says = part.kind == law.kind and part.target == law.target and agrees(part, law, rows)
        if says and (part.applies & ~law.applies & happened).sum() <= slack * law.applies.sum():
            union |= part.applies
    return bool(((union != law.applies) & happened).sum() <= slack * law.applies.sum())


def allowing(law: Part, seen: int) -> Part:
    """The law with what a probability, counted on so many rows, may be off."""
    return replace(law, slack=max(SLACK, 2 * (law.amount * (1 - law.amount) / seen) ** 0.5)) \
        if law.kind == "expect" else law


def agrees(part: Part, law: Part, rows: Rows) -> bool:
    """Whether two parts say the same where both apply."""
    both = part.applies & law.applies
    if not both.any():
        return False
    if part.effect is None or law.effect is None:
        return abs(part.amount - law.amount) <= CLOSE * abs(law.amount)
    if abs(part.amount - law.amount) > (law.slack if 1.0 not in (part.amount, law.amount) else 0):
        return False
    if rows.schema.named[law.target].kind != "real":
        return bool((truth(part.effect, rows) == truth(law.effect, rows))[both].all())
    if not (isinstance(part.effect, s.Compare) and isinstance(law.effect, s.Compare)):
        return False
    names = [{n.name for n in s.walk(e.operands[1]) if isinstance(n, s.Name)} for e in (part.effect, law.effect)]
    said, true = (evaluate(e.operands[1], rows)[both] for e in (part.effect, law.effect))
    now = rows.read(law.target, False)[both]
    off, change = ((a - b).square().mean().sqrt() for a, b in ((said, true), (true, now)))
    return names[0] == names[1] and bool(off <= CLOSE * change)


def run(world: World, seed: int, show: bool = False) -> tuple[int, int, int, int, float]:
    """Laws found exactly, frequent laws, false proposals, proposals, seconds."""
    steps = world.sample(ROWS, seed)
    noisy = misread(steps, world.schema, NOISE, SHAKE, seed + 1)
    began = time.process_time()
    rules = mine(world.schema, noisy)
    seconds = time.process_time() - began
    fresh = world.sample(FRESH, seed + 500_000)
    rows = as_rows(world.schema, Transitions.join([fresh, misread(fresh, world.schema, 0.5, 0.0, seed + 2)]))
    seen = as_rows(world.schema, steps)
    proposed = [p for rule in rules for p in parts(rule, rows)]
    found = frequent = 0
    for law in world.laws:
        versions = [parse(text, world.schema) for text in law]
        often = int(next(parts(versions[0], seen)).applies.sum())
        if often < OFTEN:
            continue
        frequent += 1
        exact = any(all(is_exact(allowing(p, often), proposed, rows) for p in parts(v, rows)) for v in versions)
        found += exact
        if show and not exact:
            print(f"      missed: {law[0]}")
    wrong = false_ones(rules, world.schema, fresh)
    if show:
        for rule in rules:
            print(f"      {'FALSE ' if rule in wrong else ''}{to_text(rule)}")
    return found, frequent, len(wrong), len(rules), seconds


def false_ones(rules: list[s.Rule], schema: Schema, fresh: Transitions) -> list[s.Rule]:
    """The rules that are wrong on data without noise."""
    wrong = []
    for rule, evidence in zip(rules, measure(rules, schema, fresh), strict=True):
        claimed = getattr(rule.statement, "probability", None)
        rate = evidence.hits / max(evidence.support, 1)
        if claimed is None:
            is_wrong = evidence.support > 0 and rate < 0.98
        else:
            error = (claimed * (1 - claimed) / max(evidence.support, 1)) ** 0.5
            is_wrong = abs(rate - claimed) > SLACK + 2 * error
        if is_wrong:
            wrong.append(rule)
    return wrong


def main() -> None:
    args = options(__doc__ or "", worlds=(str, "", "which worlds (default: all)"), show=(int, 0, "1: print the rules"),
                   seeds=(int, 5, "how many seeds"))
    torch.set_num_threads(1)
    figures = Figures()
    seeds = range(args.seed, args.seed + (1 if args.quick else args.seeds))
    wanted = set(filter(None, args.worlds.split(",")))
    counts = {}
    for world in worlds():
        if wanted and world.name not in wanted:
            continue
        counts[world.name] = [run(world, seed, bool(args.show)) for seed in seeds]
        rates = [found / max(frequent, 1) for found, frequent, *_ in counts[world.name]]
        figures.add(f"{world.name}: frequent laws exact", rates, "share")
    by_seed = list(zip(*counts.values(), strict=True))
    figures.add("frequent laws exact", [sum(c[0] for c in one) / sum(c[1] for c in one) for one in by_seed], "share",
                ">= 0.9")
    figures.add("false proposals", [sum(c[2] for c in one) / sum(c[3] for c in one) for one in by_seed], "share")
    figures.add("proposals a world", [sum(c[3] for c in one) / len(one) for one in by_seed], "rules")
    figures.add("slowest world", [max(c[4] for c in one) for one in by_seed], "s", "a few")
    figures.write(args.json)


if __name__ == "__main__":
    main()
