"""Choosing how many demonstrations to show, which and in what order, on a dev split; the test split is never seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from ..fewshot import FewShotTask
from ..gateway.gateway import Gateway
from .evaluation import Arm, Evaluation, Result, evaluate
from .journal import Journal
from .metrics import Scorer, is_error
from .selection import Demonstration, Order, Selection


@dataclass(frozen=True)
class Tuning:
    """All settings that were tried, the best first, by `metric` on the dev split; fewer demonstrations win a tie."""

    metric: str
    evaluation: Evaluation
    ranked: list[Result]

    @property
    def best(self) -> dict[str, Any]:
        """The chosen settings."""
        return self.ranked[0].arm.settings


def grid(
    counts: Sequence[int], selections: Sequence[Selection], orders: Sequence[Order], decodings: Sequence[str] = ()
) -> list[Arm]:
    """Return an arm a combination; the order counts for one demonstration, and for fixed ones, nothing."""
    arms: dict[str, Arm] = {}
    for count, selection, order, decoding in product(counts, selections, orders, decodings or [""]):
        settings: dict[str, Any] = {"count": count, "selection": selection if count else "fixed"}
        name = f"{count} {selection}" if count else "zero-shot"
        if count > 1 and selection != "fixed":
            settings["order"] = order
            name += f", {order.replace('_', ' ')}"
        if decoding:
            settings["decoding"] = decoding
            name += f", {decoding}"
        arms.setdefault(name, Arm(name, settings))
    return list(arms.values())


def tune(
    task: FewShotTask,
    dev: Sequence[Demonstration],
    gateway: Gateway,
    arms: Sequence[Arm],
    seeds: Sequence[int] = (0,),
    journal: Journal | None = None,
    scorer: Scorer | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Tuning:
    """Try every arm on the dev split; arguments and errors as `evaluate`. The first of the task's metrics decides."""
    evaluation = evaluate(task, dev, gateway, arms, seeds, 1.0, journal, scorer, progress)
    metric = evaluation.metrics[0]

    def loss(result: Result) -> tuple[float, int]:
        mean = result.mean(metric)
        mean = mean if is_error(metric) else -mean
        return (float("inf") if mean != mean else round(mean, 9), result.arm.settings["count"])

    return Tuning(metric, evaluation, sorted(evaluation.results, key=loss))
