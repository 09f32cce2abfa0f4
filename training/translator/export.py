"""Measure a trained translator on the domains held out, calibrate its confidence there, and write the weights to ship.

    python -m training.translator.export --run runs/translator [--limit 300] [--write]
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from scipy.optimize import minimize

from gedanken.prompts.embeddings import load_encoder
from gedanken.prompts.reader.network import Network
from gedanken.prompts.reader.reader import WEIGHTS, Calibration, Reader, packed, save_packed, unpacked
from gedanken.prompts.reader.reading import Preparer
from gedanken.world.items import items_of
from gedanken.world.rules.parse import RuleError, parse
from gedanken.world.rules.syntax import Rule
from gedanken.world.schema import Schema
from gedanken.world.schema_file import schema_from

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("runs/translator"))
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    reader = reader_of(args.run)
    rows: list[tuple[float, float, bool]] = []
    first, five, unsound, seconds = [], [], [], []
    some = [(d, text, rules) for d in domains(held_out=True) for text, rules in d.free]
    order = np.random.default_rng(0).permutation(len(some))[: args.limit]
    for domain, text, rules in (some[i] for i in order):
        schema = schema_from(domain.schema)
        meant = checked(rules, schema) or ()
        case = Case(schema, text, (meant,) if meant else (), ())
        began = time.perf_counter()
        heard = reader.read(text, items_of(schema))
        seconds.append(time.perf_counter() - began)
        sound = [(h, kept) for h in heard if (kept := checked(h.lines, schema)) is not None]
        unsound.append(1 - len(sound) / max(len(heard), 1))
        right = [is_right(kept, case) for _, kept in sound[:5]]
        first.append(bool(right) and right[0])
        five.append(any(right))
        total = sum(math.exp(h.log_prob) for h, _ in sound) or 1.0
        rows += [(h.log_prob, math.exp(h.log_prob) / total, ok) for (h, _), ok in zip(sound, right, strict=False)]
        if args.show and not first[-1]:
            print(f"{text}\n   wanted {rules}\n   heard  {[h.lines for h, _ in sound[:2]]}")
    print(f"{len(first)} sentences: first {np.mean(first):.3f}, five {np.mean(five):.3f}, "
          f"unsound {np.mean(unsound):.3f}, {np.median(seconds):.2f} s")
    calibration = fitted(rows)
    print(calibration)
    for low in np.arange(0, 1, 0.2):
        there = [ok for log_prob, share, ok in rows if low <= calibration.confidence(log_prob, share) < low + 0.2]
        print(f"  confidence {low:.1f}: right {np.mean(there) if there else math.nan:.2f} of {len(there)}")
    if args.write:
        save_packed(reader.network, WEIGHTS, calibration)
        print(f"wrote {WEIGHTS.stat().st_size / 1e6:.1f} MB")


def fitted(rows: Sequence[tuple[float, float, bool]]) -> Calibration:
    """Logistic regression of being right on log-probability and share, with a little ridge."""
    x = np.array([[1.0, max(log_prob, -20.0), share] for log_prob, share, _ in rows])
    y = np.array([ok for *_, ok in rows], float)

    def cost(w: np.ndarray) -> float:
        z = x @ w
        return float(np.mean(np.logaddexp(0, z) - y * z) + 1e-3 * np.sum(w[1:] ** 2))

    bias, slope, share = minimize(cost, np.array([0.0, 1.0, 1.0])).x
    return Calibration(float(bias), float(slope), float(share))


if __name__ == "__main__":
    main()
