"""Measure a trained translator on the domains held out, calibrate its confidence there, and write the weights to ship.

    python -m training.translator.export --run runs/translator [--limit 300] [--write]
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from scipy.optimize import minimize

from gedanken.prompts import Gateway
from gedanken.prompts.embeddings import load_encoder
from gedanken.prompts.reader.network import Network
from gedanken.prompts.reader.reader import WEIGHTS, Reader, packed, save_packed, unpacked
from gedanken.prompts.reader.reading import Preparer
from gedanken.prompts.reader.scoring import FEATURES, Scoring
from gedanken.world.items import items_of
from gedanken.world.rules.parse import RuleError, parse
from gedanken.world.rules.syntax import Rule
from gedanken.world.schema import Schema
from gedanken.world.schema_file import schema_from
from gedanken.world.translator import Translator

from .domain import Domain
from .train import domains, new_network

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from translation import Case, is_right


def reader_of(run: Path) -> Reader:
    """The reader of a training run, its weights rounded as they will be shipped."""
    encoder = load_encoder("local")
    network: Network = new_network(encoder)
    state = load_file(run / "state.safetensors")
    network.load_state_dict(unpacked(packed(state)), strict=False)
    return Reader(network, Preparer(encoder))


def checked(lines: Sequence[str], schema: Schema) -> tuple[Rule, ...] | None:
    try:
        return tuple(parse(line, schema) for line in lines)
    except RuleError:
        return None


@dataclass(frozen=True)
class Sentence:
    """A sentence of a held-out world: its readings, whether each is right, and its features."""

    text: str
    rules: tuple[str, ...]
    lines: list[tuple[str, ...]]
    right: list[bool]
    features: list[list[float]]

    @staticmethod
    def heard(reader: Reader, domain: Domain, text: str, rules: tuple[str, ...]) -> Sentence:
        schema = schema_from(domain.schema)
        meant = checked(rules, schema) or ()
        case = Case(schema, text, (meant,) if meant else (), ())
        say = Translator(schema, Gateway(None)).said_back
        found = [(h.lines, checked(h.lines, schema) or (), f) for h, f in reader.scored(text, items_of(schema), say)]
        return Sentence(text, rules, [lines for lines, _, _ in found], [is_right(kept, case) for _, kept, _ in found],
                        [f for _, _, f in found])

    def by(self, score: Callable[[np.ndarray], np.ndarray]) -> list[bool]:
        """Which readings are right, ordered by a score `[R]` of their features `[R, F]`."""
        order = np.argsort(-score(np.array(self.features)), kind="stable") if self.features else []
        return [self.right[i] for i in order]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("runs/translator"))
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    reader = reader_of(args.run)
    some = [(d, text, rules) for d in domains(held_out=True) for text, rules in d.free]
    order = np.random.default_rng(0).permutation(len(some))[: args.limit]
    heard = [Sentence.heard(reader, *some[i]) for i in order]
    if args.show:
        for one in heard:
            if not (one.right and one.right[0]):
                print(f"{one.text}\n   wanted {one.rules}\n   heard  {one.lines[:2]}")
    _report("by the network alone", [one.by(lambda f: f[:, 0]) for one in heard])
    halves = [fitted([one for i, one in enumerate(heard) if i % 2 == k]) for k in (0, 1)]
    crossed = [halves[1 - i % 2] for i in range(len(heard))]
    _report("scored, cross-fitted", [one.by(s.shares) for one, s in zip(heard, crossed, strict=True)])
    scoring = fitted(heard)
    print({name: round(w, 2) for name, w in zip(FEATURES, scoring.weights, strict=True)}, scoring.trust)
    said = [(p, ok) for one, s in zip(heard, crossed, strict=True)
            for p, ok in zip(s.confidences(one.features), one.right, strict=True)]
    for low in np.arange(0, 1, 0.2):
        there = [ok for p, ok in said if low <= p < low + 0.2]
        print(f"  confidence {low:.1f}: right {np.mean(there) if there else math.nan:.2f} of {len(there)}")
    if args.write:
        save_packed(reader.network, WEIGHTS, scoring)
        print(f"wrote {WEIGHTS.stat().st_size / 1e6:.1f} MB")


def _report(name: str, right: Sequence[Sequence[bool]]) -> None:
    first, five = np.mean([bool(r) and r[0] for r in right]), np.mean([any(r[:5]) for r in right])
    print(f"{name}: {len(right)} sentences, first {first:.3f}, five {five:.3f}")


def fitted(heard: Sequence[Sentence]) -> Scoring:
    """Weights by a conditional logit over the readings of each sentence, then trust by a logistic regression."""
    spread = np.concatenate([one.features for one in heard if one.features]).std(0) + 1e-6
    some = [(np.array(one.features) / spread, np.array(one.right)) for one in heard if any(one.right)]

    def cost(w: np.ndarray) -> float:
        total = 0.0
        for x, right in some:
            score = x @ w
            share = np.exp(score - score.max())
            total -= float(np.log(share[right].sum() / share.sum()))
        return total / len(some) + 0.003 * float(np.sum(w**2))

    weights = tuple(float(w) for w in minimize(cost, np.eye(len(spread))[0]).x / spread)
    scoring = Scoring(weights)
    rows = [(np.log(p / (1 - p)), f[0], ok) for one in heard if one.features
            for p, f, ok in zip(scoring.shares(np.array(one.features)), one.features, one.right, strict=True)]
    x, y = np.array([[1.0, odds, log_prob] for odds, log_prob, _ in rows]), np.array([ok for *_, ok in rows], float)

    def loss(t: np.ndarray) -> float:
        z = x @ t
        return float(np.mean(np.logaddexp(0, z) - y * z) + 1e-4 * np.sum(t[1:] ** 2))

    bias, odds, probability = minimize(loss, np.array([0.0, 0.7, 0.2])).x
    return Scoring(weights, (float(bias), float(odds), float(probability)))


if __name__ == "__main__":
    main()
