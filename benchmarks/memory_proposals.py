"""Memory feeding the language model, on and off: what comes of a call that is to explain surprises.

    python benchmarks/memory_proposals.py [--quick] [--seed 0] [--seeds 4] [--json PATH] [--journal PATH] [--show 1]

A family is an invented world over a domain that no training saw. An agent has lived in a world with the first of the
family's true rules: what the miner found and the data support acts, and is noted with the surprise that it explains;
lessons are drawn by counting. Then come transitions of a sibling, in which the other rules are true as well, and the
model is asked. A rule that acts already counts nothing when it is repeated. A candidate is supported if the
knowledge base would let it act by all the transitions of the sibling; true if it then also says a true rule's effect
on the same rows of fresh transitions (`rules_proposing`). Prompted is the embedded model without the weights that
were trained to propose; with them it reads one surprise and no memory, and is the baseline.

A family takes minutes: with `--journal` what was measured is kept, line by line, and not asked again. Settings were
settled on seeds from 9000 on.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from common import Figures, options
from rules_proposing import Case, accepted, finds, shown

from gedanken.memory import Column, Layout, LongTerm, Retrieval, ShortTerm
from gedanken.memory.experience.record import Transitions
from gedanken.memory.notes.consolidation import LESSON
from gedanken.prompts import Gateway, GatewayConfig, LocalChatModel
from gedanken.prompts.counting import counter
from gedanken.prompts.gateway.record import Call
from gedanken.prompts.translation import rule_lines
from gedanken.training.proposer.generate import worlds
from gedanken.training.proposer.worlds import lived
from gedanken.training.translator.train import domains
from gedanken.world.checking.verdicts import as_rows, spans_of, verdicts
from gedanken.world.guessing import guesses, nothing
from gedanken.world.knowledge import KnowledgeBase
from gedanken.world.lessons import findings
from gedanken.world.recollection import Recollection
from gedanken.world.rules.parse import RuleError, parse
from gedanken.world.rules.syntax import Rule
from gedanken.world.rules.text import to_text
from gedanken.world.schema import Schema

ARMS = ("feed off", "feed on", "trained proposer")
COUNTS = {"calls": "calls", "unusable": "share of calls", "parsed": "a call", "new": "a call", "supported": "a call",
          "true": "a call"}
"""What is counted of every family, and its unit in the report."""
LIVED, FRESH = 500, 1_000
SCORES = re.compile(r"\[[-\d., e]*\]")    # the likelihoods of answers, which are recorded as a call too


class Prompted(LocalChatModel):
    """The embedded model as any other: it is prompted."""

    @property
    def can_propose(self) -> bool:
        return False


@dataclass(frozen=True)
class Family:
    """A world that was lived in, and its sibling, whose `case.truths` are those rules that are new there."""

    schema: Schema
    before: Transitions
    case: Case


def family(seed: int) -> Family:
    """The first family of a seed: four rules, two of them lived with, of the others at least one that shows itself."""
    dice = torch.Generator().manual_seed(seed)
    for _, schema, rules, _ in worlds(domains(held_out=True), 1_000_000 + seed):
        half = len(rules) // 2
        if half < 2:
            continue
        before = lived(schema, rules[:half], LIVED, dice, 0.01).transitions
        after = lived(schema, rules, LIVED + FRESH, dice, 0.01).transitions
        seen, fresh = after.take(np.arange(LIVED)), after.take(np.arange(LIVED, LIVED + FRESH))
        if truths := shown([(rule,) for rule in rules[half:]], schema, seen):
            return Family(schema, before, Case(schema, truths, seen, fresh))
    raise AssertionError("the stream of worlds is endless")


def surprise(schema: Schema, standing: list[Rule], seen: Transitions) -> np.ndarray:
    """Nats `[N]` of what changed, by how seldom it does; 0 where a standing rule foresaw what happened."""
    changed = [(seen.features[f.name] != seen.next_features[f.name]).reshape(len(seen), -1).any(1)
               for f in schema.features]
    happened = np.stack([*changed, seen.reward != 0, seen.terminated])
    nats = -np.log(happened.mean(1).clip(1e-3)) @ happened
    if standing:
        found = verdicts(standing, as_rows(schema, seen), seen, spans_of(schema, seen))
        nats = np.where((found.applies & found.holds).any(0).numpy(), 0.0, nats)
    return nats


def ask(one: Family, arm: str, show: bool) -> dict[str, float]:
    """What an arm makes of the sibling's surprises."""
    schema, case = one.schema, one.case
    gateway = Gateway(LocalChatModel() if arm == "trained proposer" else Prompted(),
                      GatewayConfig(timeout_s=200.0, attempts=1))
    knowledge = KnowledgeBase(schema)
    with TemporaryDirectory() as folder, LongTerm(Path(folder) / "m.sqlite", layout()) as memory:
        recollection = Recollection(memory, Retrieval(memory), schema)
        knowledge.propose(one.before, recollection=recollection)
        for finding in findings(schema, one.before):
            memory.note(finding.text, kind=LESSON, importance=finding.importance)
        knowledge.check(case.seen)
        standing = knowledge.corrections()
        nats = surprise(schema, [rule for e in standing if (rule := e.acting) is not None], case.seen)
        recent, began = ShortTerm(count=counter(gateway.model)), time.perf_counter()
        proposed = guesses(schema, gateway, [e.text for e in standing], case.seen, nats, recent,
                           recollection.lines if arm == "feed on" else nothing)
        seconds = time.perf_counter() - began
    calls = [call for call in gateway.calls if not SCORES.fullmatch(call.answer or "")]
    answers = [list(parsing(schema, said(call, arm))) for call in calls]
    parsed = sum(map(len, answers))
    good = accepted(proposed, case)
    true = [rule for rule in good if any(finds([rule], law, case) for law in case.truths)]
    if show:
        print("\n".join(f"    true {to_text(law[0])}" for law in case.truths))
        print(f"{calls[0].prompt}\n" if calls else "no call\n")
        print("\n".join(f"    [{call.purpose}, {call.seconds:.0f} s] {call.answer or call.error}" for call in calls))
        print("\n".join(f"    {'true' if r in true else 'supported' if r in good else '-'} {to_text(r)}"
                        for r in proposed))
    print(f"    {arm}: {len(calls)} calls, {seconds:.0f} s, parsed {parsed}, new {len(proposed)}, "
          f"supported {len(good)}, true {len(true)}", flush=True)
    return {"calls": len(calls), "unusable": sum(not rules for rules in answers), "parsed": parsed,
            "new": len(proposed), "supported": len(good), "true": len(true)}


def said(call: Call, arm: str) -> list[str]:
    """The rule lines of an answer: a trained proposer's is JSON, readings with their probabilities, of which the likely
    ones are candidates (`world/guessing.py`)."""
    if arm != ARMS[2]:
        return rule_lines(call.answer or "")
    readings = json.loads(call.answer or "[]")[:3]
    return [line for text, probability in readings if probability >= 0.02 for line in text.splitlines()]


def parsing(schema: Schema, lines: list[str]) -> Iterator[Rule]:
    """Those of the lines that are rules of this world."""
    for line in lines:
        try:
            yield parse(line, schema)
        except RuleError:
            continue


def layout() -> Layout:
    """Of a memory that holds notes alone."""
    return Layout((Column("x", "float32"),), Column("action", "int64"))


def main() -> None:
    args = options(__doc__ or "", seeds=(int, 4, "families"), arms=(str, ",".join(ARMS), "which arms"),
                   journal=(Path, None, "a JSONL file of what was measured, read and added to"),
                   show=(int, 0, "print prompts and answers"))
    torch.set_num_threads(1)
    figures, done = Figures(), dict[tuple[int, str], dict[str, float]]()
    if args.journal is not None and args.journal.exists():
        for line in args.journal.read_text().splitlines():
            row = json.loads(line)
            done[row["seed"], row["arm"]] = row["found"]
    seeds = range(args.seed, args.seed + (1 if args.quick else args.seeds))
    arms = ARMS[2:] if args.quick else tuple(args.arms.split(","))
    for seed in seeds:
        one = family(seed)
        print(f"  family {seed}: {one.schema.name}, {len(one.case.truths)} new rules", flush=True)
        for arm in arms:
            if (seed, arm) in done:
                continue
            done[seed, arm] = ask(one, arm, bool(args.show))
            if args.journal is not None:
                with args.journal.open("a") as file:
                    file.write(json.dumps({"seed": seed, "arm": arm, "found": done[seed, arm]}) + "\n")
    for arm in arms:
        rows = [done[seed, arm] for seed in seeds]
        for name, unit in COUNTS.items():
            values = [row[name] if name == "calls" else row[name] / max(row["calls"], 1) for row in rows]
            figures.add(f"{arm}: {name}", values, unit)
    figures.write(args.json)


if __name__ == "__main__":
    main()
