"""Learning curves: of one run, or of several with their mean and the range between the lowest and the highest."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

from .charts import Chart, Points, Series, chart, thinned
from .run import Run

Z = 1.96


def curves(runs: Sequence[Run]) -> list[Chart]:
    """Every curve for which there are data."""
    found = [
        _over(runs, held_out, "Held-out error of the world model", "training steps",
              "nats, on layouts it was not trained on; lower is better"),
        _losses(runs[0]) if len(runs) == 1 else _over(runs, loss, "Training loss", "training steps",
                                                      "sum of all losses"),
        _success(runs[0]) if len(runs) == 1 else _over(runs, success, "Episodes solved", "episodes played as planned",
                                                       "share of the episodes so far", (0.0, 1.0)),
        _returns(runs[0]) if len(runs) == 1 else _over(runs, returns, "Return", "interactions",
                                                       "mean of the last ten episodes"),
    ]
    return [c for c in found if c is not None]


def held_out(run: Run) -> Points:
    return [(float(e["total"]), float(e["held_out"])) for e in run.of("training") if e.get("held_out") is not None]


def loss(run: Run) -> Points:
    return [(float(e["total"]), sum(v for v in e["losses"].values() if v is not None))
            for e in run.of("training") if e.get("losses")]


def success(run: Run) -> Points:
    """The share of episodes solved, after every episode."""
    done = np.array([bool(e.get("solved")) for e in run.of("episode") if not e.get("cut")], float)
    return list(zip(np.arange(1, len(done) + 1).tolist(), (done.cumsum() / np.arange(1, len(done) + 1)).tolist(),
                    strict=True))


def returns(run: Run) -> Points:
    """The mean return of the last ten episodes, over the interactions."""
    ends = itertools.accumulate(e.length for e in run.lived)
    values = [e.total_reward for e in run.lived]
    return [(float(end), float(np.mean(values[max(0, i - 9) : i + 1]))) for i, end in enumerate(ends)]


def wilson(solved: int, n: int) -> tuple[float, float]:
    """The 95% interval of a share (Wilson 1927)."""
    if not n:
        return 0.0, 1.0
    p, z2 = solved / n, Z * Z
    middle, half = p + z2 / (2 * n), Z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return (middle - half) / (1 + z2 / n), (middle + half) / (1 + z2 / n)


def _losses(run: Run) -> Chart | None:
    points: dict[str, list[tuple[float, float]]] = {}
    for e in run.of("training"):
        for name, value in (e.get("losses") or {}).items():
            if value is not None:
                points.setdefault(name, []).append((float(e["total"]), float(value)))
    largest = sorted(points, key=lambda name: -max(abs(y) for _, y in points[name]))[:4]
    series = [Series(name, thinned(points[name]), f"c{i + 1}") for i, name in enumerate(largest)
              if any(y > 0 for _, y in points[name])]
    if not series:
        return None
    ends = ", ".join(f"{s.name} from {s.points[0][1]:.3g} to {s.points[-1][1]:.3g}" for s in series)
    return chart("Training losses", "training steps", series, f"The largest losses: {ends}.", log=True,
                 note="the largest four, logarithmic")


def _success(run: Run) -> Chart | None:
    points = success(run)
    if len(points) < 2:
        return None
    band = [(x, *wilson(round(x * y), int(x))) for x, y in points]
    return chart("Episodes solved", "episodes played as planned", [Series("solved", points, "c3", band)],
                 f"After {len(points)} episodes {points[-1][1]:.0%} were solved.", y_range=(0.0, 1.0),
                 note="share so far, with its 95% interval")


def _returns(run: Run) -> Chart | None:
    if len(run.lived) < 2:
        return None
    ends = list(itertools.accumulate(e.length for e in run.lived))
    dots = thinned([(float(end), e.total_reward) for end, e in zip(ends, run.lived, strict=True)], 300)
    mean = returns(run)
    return chart("Return of every episode", "interactions",
                 [Series("an episode", dots, "c4", dots=True), Series("mean of ten", thinned(mean), "c1")],
                 f"{len(run.lived)} episodes in memory; the mean return of the last ten is {mean[-1][1]:.3g}.",
                 note="all that is in memory, random interactions included")


def _over(runs: Sequence[Run], read: Callable[[Run], Points], title: str, x_label: str, note: str,
          y_range: tuple[float, float] | None = None) -> Chart | None:
    """One line a run; of several the mean, and the range from the lowest to the highest, where all have data."""
    each = [(run.name, points) for run in runs if len(points := read(run)) > 1]
    if not each:
        return None
    if len(each) == 1:
        name, points = each[0]
        return chart(title, x_label, [Series(name, thinned(points))], _from_to(title, points), note=note,
                     y_range=y_range)
    first, last = max(p[0][0] for _, p in each), min(p[-1][0] for _, p in each)
    thin = [Series(name, thinned(p), "c4", thin=True) for name, p in each]
    if last <= first:
        return chart(title, x_label, thin, f"{len(each)} runs without a stretch in common.", note=note, y_range=y_range)
    at = np.linspace(first, last, 60)
    values = np.stack([np.interp(at, [x for x, _ in p], [y for _, y in p]) for _, p in each])    # [runs, 60]
    mean = list(zip(at.tolist(), values.mean(0).tolist(), strict=True))
    band = list(zip(at.tolist(), values.min(0).tolist(), values.max(0).tolist(), strict=True))
    return chart(title, x_label, [Series(f"mean of {len(each)} runs", mean, "c1", band), *thin],
                 _from_to(f"{title}, mean of {len(each)} runs", mean) + f" At the end they lie between "
                 f"{band[-1][1]:.3g} and {band[-1][2]:.3g}.", note=f"{note}; band: lowest to highest run",
                 y_range=y_range)


def _from_to(title: str, points: Points) -> str:
    return f"{title}: from {points[0][1]:.3g} to {points[-1][1]:.3g}."
