"""Proposing: what the miner finds, what the trained proposer finds, and what both find together.

    python benchmarks/rules_proposing.py [--quick] [--seed 0] [--json PATH] [--weights PATH] [--show 1]

Invented worlds over domains that no training saw, with one to four true rules, 200 to 800 transitions and up to 5%
noise; random walks in MiniGrid's DoorKey and in Taxi. A true rule is found if some accepted candidate says its effect
on the same rows of fresh transitions (all but 5% of them), or on as many of them as show it. Accepted is what the
knowledge base would let act: supported by the very transitions it was proposed from. An accepted rule is false if the
fresh transitions, never proposed from, contradict it. `--weights` are a checkpoint of `training.proposer.train`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from common import Figures, options

from gedanken.memory.experience.record import Transitions
from gedanken.prompts import Gateway, LocalChatModel
from gedanken.prompts.reader import proposer
from gedanken.training.proposer.generate import worlds
from gedanken.training.translator.train import domains
from gedanken.world.checking.judgement import is_fallible, judge
from gedanken.world.checking.tally import measure
from gedanken.world.checking.verdicts import as_rows
from gedanken.world.guessing import guesses
from gedanken.world.miner import mine
from gedanken.world.rules import syntax as s
from gedanken.world.rules.evaluate import truth
from gedanken.world.rules.parse import parse
from gedanken.world.rules.syntax import Rule
from gedanken.world.rules.text import to_text
from gedanken.world.schema import Schema

ARMS = ("miner", "proposer", "both")
SHOWN = 10    # times that a true rule must have shown itself to count
DOOR_KEY = (
    ("expect carrying_object' == key if action == pickup and front_object == key and carrying_object == none",
     "expect carrying_object' == key if action == pickup and front_object == key"),
    ("expect carrying_object' == none if action == drop and front_object == empty",),
    ("expect front_object' == key if action == drop and front_object == empty and carrying_object == key",),
    ("expect agent_x' == front_x if action == forward and front_object == empty",
     "expect agent_x' == front_x if action == forward and (front_object in {empty, goal} or front_state == open)"),
    ("expect agent_y' == front_y if action == forward and front_object == empty",
     "expect agent_y' == front_y if action == forward and (front_object in {empty, goal} or front_state == open)"),
    ("expect same if action == forward and front_object == wall",),
)
TAXI = (
    ("expect taxi_row' == taxi_row + 1 if action == south and taxi_row <= 3",
     "expect taxi_row' == min(taxi_row + 1, 4) if action == south"),
    ("expect taxi_row' == taxi_row - 1 if action == north and taxi_row >= 1",
     "expect taxi_row' == max(taxi_row - 1, 0) if action == north"),
    ("reward -10 if action == dropoff and passenger != in_taxi", "reward -10 if action == dropoff"),
    ("reward -1 if not (action in {pickup, dropoff})", "reward -1"),
)
"""What is true, as one rule line or as any of several."""


@dataclass(frozen=True)
class Case:
    """A world: what is true of it, transitions to propose from, and fresh ones to judge by."""

    schema: Schema
    truths: tuple[tuple[Rule, ...], ...]
    seen: Transitions
    fresh: Transitions


def invented(n: int, seed: int) -> list[Case]:
    """Worlds over held-out domains; a true rule counts where the transitions show it."""
    cases = []
    for _, schema, rules, made in islice(worlds(domains(held_out=True), seed, fresh=1000), n):
        seen = made.transitions.take(np.arange(len(made.transitions) - 1000))
        fresh = made.transitions.take(np.arange(len(made.transitions) - 1000, len(made.transitions)))
        cases.append(Case(schema, shown([(rule,) for rule in rules], schema, seen), seen, fresh))
    return [case for case in cases if case.truths]


def shown(laws: Sequence[tuple[Rule, ...]], schema: Schema, seen: Transitions) -> tuple[tuple[Rule, ...], ...]:
    """The laws that apply often enough to be found."""
    first = measure([law[0] for law in laws], schema, seen)
    return tuple(law for law, evidence in zip(laws, first, strict=True) if evidence.hits >= SHOWN)


def walked(id: str, laws: Sequence[Sequence[str]], seed: int, n: int = 1000) -> Case:
    """A random walk in a Gymnasium environment, twice."""
    import gymnasium as gym
    import minigrid  # noqa: F401 - registers the environments

    env = gym.make(id)
    schema = Schema.from_env(env)
    seen, fresh = (walk(env, schema, seed * 100 + k, n) for k in range(2))
    return Case(schema, shown([tuple(parse(line, schema) for line in law) for law in laws], schema, seen), seen, fresh)


def walk(env: object, schema: Schema, seed: int, n: int) -> Transitions:
    rng = np.random.default_rng(seed)
    rows, age, now = [], 50, {}
    for k in range(n):
        if age >= 50:
            now, age = schema.observe(env.reset(seed=seed * 1_000_003 + k)[0], env), 0
        action = rng.integers(schema.actions[0].cardinality)
        observation, reward, terminated, truncated, _ = env.step(schema.act(np.array([action])))
        after = schema.observe(observation, env)
        rows.append((now, [action], reward, terminated, after))
        now, age = after, 50 if terminated or truncated else age + 1
    before, action, reward, ended, after = zip(*rows, strict=True)
    stacked = [{k: np.stack([r[k] for r in part]) for k in part[0]} for part in (before, after)]
    return Transitions(stacked[0], np.array(action), np.array(reward, np.float32), np.array(ended, bool),
                       np.zeros(n, bool), stacked[1], np.zeros(n, np.int64), np.arange(n))


def accepted(rules: Sequence[Rule], case: Case) -> list[Rule]:
    """Those that the knowledge base would let act."""
    counted = measure(rules, case.schema, case.seen)
    return [r for r, e in zip(rules, counted, strict=True) if judge(r, e) == "supported" and not is_fallible(r, e)]


def false_ones(rules: Sequence[Rule], case: Case) -> int:
    """How many the fresh transitions contradict."""
    counted = measure(rules, case.schema, case.fresh)
    return sum(judge(r, e) == "contradicted" for r, e in zip(rules, counted, strict=True))


def finds(rules: Sequence[Rule], law: Sequence[Rule], case: Case) -> bool:
    """Whether some rule says at least a part of a law's effect, on the same fresh rows."""
    rows = as_rows(case.schema, case.fresh)

    def fires(rule: Rule) -> torch.Tensor:
        guard = getattr(rule.statement, "guard", None)
        return torch.ones(rows.size, dtype=torch.bool) if guard is None else truth(guard, rows)

    return any(says(rule, one) and float((fires(rule) ^ wanted).sum()) <= 0.05 * max(float(wanted.sum()), 1.0)
               for one in law for wanted in (fires(one),) for rule in rules)


def says(rule: Rule, other: Rule) -> bool:
    """Whether a rule's effect is the other's, or a part of it (which rows it is right on is judged elsewhere)."""
    if rule.statement.kind != other.statement.kind:
        return False
    mine, theirs = (({n.name for n in s.walk(x.statement.effect) if isinstance(n, s.Name) and n.primed}
                     | {n.feature or "same" for n in s.walk(x.statement.effect) if isinstance(n, s.Same)})
                    if isinstance(x.statement, s.Expect) else {x.statement.kind} for x in (rule, other))
    return bool(mine & theirs)


def main() -> None:
    args = options(__doc__ or "", weights=(Path, None, "the proposer's weights, else the package's"),
                   show=(int, 0, "print what is found"))
    torch.set_num_threads(1)
    if args.weights is not None:
        proposer.PROPOSER = args.weights
    model = LocalChatModel()
    gateway = Gateway(model)
    if not model.can_propose:
        print("  the proposer is not trained (python -m training.proposer.train): only the miner is measured")
    groups = {
        "invented": invented(12 if args.quick else 100, 1_000_000 + args.seed),
        "DoorKey": [walked("MiniGrid-DoorKey-6x6-v0", DOOR_KEY, args.seed + k) for k in range(1 if args.quick else 5)],
        "Taxi": [walked("Taxi-v4", TAXI, args.seed + k) for k in range(1 if args.quick else 5)],
    }
    figures = Figures()
    for name, cases in groups.items():
        total = sum(len(case.truths) for case in cases)
        print(f"{name}: {len(cases)} worlds, {total} true rules")
        shares: dict[str, list[float]] = {arm: [] for arm in ARMS}
        kept, wrong = dict.fromkeys(ARMS, 0), dict.fromkeys(ARMS, 0)
        added = 0
        for case in cases:
            mined = mine(case.schema, case.seen)
            guessed = guesses(case.schema, gateway, [], case.seen) if model.can_propose else []
            arms = {"miner": accepted(mined, case), "proposer": accepted(guessed, case)}
            arms["both"] = [*arms["miner"], *arms["proposer"]]
            found = {arm: [finds(rules, t, case) for t in case.truths] for arm, rules in arms.items()}
            added += sum(b and not m for m, b in zip(found["miner"], found["both"], strict=True))
            for arm, rules in arms.items():
                shares[arm] += map(float, found[arm])
                kept[arm] += len(rules)
                wrong[arm] += false_ones(rules, case)
            if args.show:
                print("\n".join(f"    true {to_text(t[0])}  [miner {m:d}, proposer {p:d}]" for t, m, p in zip(
                    case.truths, found["miner"], found["proposer"], strict=True)))
                print("\n".join(f"      proposed {to_text(r)}" for r in arms["proposer"]))
        for arm in ARMS if model.can_propose else ARMS[:1]:
            figures.add(f"{name}: true rules found, {arm}", shares[arm], "share")
            share = wrong[arm] / max(kept[arm], 1)
            figures.add(f"{name}: false of {kept[arm]} accepted, {arm}", [share], "share", "<= 0.05")
        if model.can_propose:
            figures.add(f"{name}: true rules that only the proposer found", [added], "rules")
    figures.write(args.json)


if __name__ == "__main__":
    main()
