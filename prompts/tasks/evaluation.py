"""A few-shot task measured on a test split: zero-shot, k at random, k nearest, k diverse; with the spread over seeds.

A seed draws the pool that demonstrations are chosen from (a share of the task's), and what is random in the choice.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...errors import UserError
from ..fewshot import FewShotTask, checked
from ..gateway.gateway import Gateway
from .answering import Prediction
from .journal import Journal
from .metrics import Scorer, default_metrics, measure
from .selection import Demonstration

BATCH = 8


@dataclass(frozen=True)
class Arm:
    """One way to choose demonstrations, by name."""

    name: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class Result:
    """An arm's metrics, a value a seed; `unusable` counts the answers of all seeds that could not be used."""

    arm: Arm
    values: dict[str, list[float]]
    unusable: int = 0

    def mean(self, metric: str) -> float:
        """The mean over seeds, of those that are numbers."""
        kept = [value for value in self.values[metric] if not math.isnan(value)]
        return statistics.fmean(kept) if kept else math.nan

    def spread(self, metric: str) -> float:
        """The standard deviation over seeds; 0 for one."""
        kept = [value for value in self.values[metric] if not math.isnan(value)]
        return statistics.stdev(kept) if len(kept) > 1 else 0.0


@dataclass(frozen=True)
class Evaluation:
    """The results of all arms on the same items."""

    metrics: list[str]
    seeds: list[int]
    items: int
    results: list[Result] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "items": self.items,
            "seeds": self.seeds,
            "arms": {
                r.arm.name: {
                    "settings": r.arm.settings,
                    "unusable": r.unusable,
                    **{m: {"mean": r.mean(m), "spread": r.spread(m), "values": r.values[m]} for m in self.metrics},
                }
                for r in self.results
            },
        }


def standard_arms(count: int, embeds: bool = True) -> list[Arm]:
    """Zero-shot, and `count` demonstrations at random, nearest and diverse (the last two need embeddings)."""
    chosen = ("random", "nearest", "diverse") if embeds else ("random",)
    return [Arm("zero-shot", {"count": 0, "selection": "fixed"})] + [
        Arm(f"{count} {selection}", {"count": count, "selection": selection}) for selection in chosen
    ]


def evaluate(
    task: FewShotTask,
    items: Sequence[Demonstration],
    gateway: Gateway,
    arms: Sequence[Arm],
    seeds: Sequence[int] = (0,),
    pool: float = 1.0,
    journal: Journal | None = None,
    scorer: Scorer | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Measure a task on items with known outputs.

    Args:
        task: its demonstrations are those to choose from; items and near copies of them are never shown.
        items: (input, output) pairs, of the task's types.
        gateway: the language model.
        arms: ways to choose, see `standard_arms`.
        seeds: of the random choices and, where `pool` < 1, of the pools.
        pool: share of the demonstrations that a seed draws its pool from, 0 < pool <= 1.
        journal: where answers are kept; what it knows is not asked again.
        scorer: for the metric "scorer".
        progress: called with (done, of all) after every few answers.

    Raises:
        ModelUnavailable: no model answers; what was answered is in the journal.
        UserError: there are no items, or a setting does not fit.
    """
    if not items:
        raise UserError("there is nothing to evaluate on: the split has no items")
    if not 0 < pool <= 1:
        raise UserError(f"pool is a share of the demonstrations, 0 < pool <= 1, not {pool}")
    items = checked(items, task.input, task.output)
    metrics = task.metrics or default_metrics(task.output)
    if "scorer" in metrics and scorer is None:
        raise UserError("the metric 'scorer' is for data of a generator, which brings it")
    journal = journal or Journal()
    evaluation = Evaluation(metrics, list(seeds), len(items))
    done, of_all = 0, len(arms) * len(seeds) * len(items)
    for arm in arms:
        values: dict[str, list[float]] = {metric: [] for metric in metrics}
        unusable = 0
        for seed in seeds:
            drawn = task.with_settings(
                **{**arm.settings, "seed": seed, "demonstrations": draw_pool(task.demonstrations, pool, seed)}
            )
            predictions: list[Prediction] = []
            batch = 1 if drawn.manner.decoding_of(gateway) != "answer" else BATCH  # likelihoods are had one by one
            for start in range(0, len(items), batch):
                queries = [drawn.query(item.input, gateway) for item in items[start : start + batch]]
                predictions += journal.answers(queries, drawn.manner, gateway)
                done += len(queries)
                if progress is not None:
                    progress(done, of_all)
            scores = [scorer(p.input, p.answer) for p in predictions] if scorer and "scorer" in metrics else []
            wanted = [item.output for item in items]
            for metric, value in measure(metrics, [p.output for p in predictions], wanted, scores).items():
                values[metric].append(value)
            unusable += sum(p.error is not None for p in predictions)
        evaluation.results.append(Result(arm, values, unusable))
    return evaluation


def draw_pool(demonstrations: Sequence[Demonstration], share: float, seed: int) -> list[Demonstration]:
    """Return a share of the demonstrations, drawn by the seed, in their order."""
    size = max(1, round(share * len(demonstrations)))
    kept = sorted(random.Random(seed).sample(range(len(demonstrations)), min(size, len(demonstrations))))
    return [demonstrations[n] for n in kept]
