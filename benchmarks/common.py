"""What every benchmark shares: its options, its figures with their spread, and the JSON it writes."""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from intervals import Interval, interval


def options(description: str, **more: tuple[type, object, str]) -> argparse.Namespace:
    """`--quick` (under a minute), `--seed`, `--json PATH`, and `more` as name=(type, default, help)."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="a small version, under a minute, to see that it runs")
    parser.add_argument("--seed", type=int, default=0, help="first training seed")
    parser.add_argument("--json", type=Path, help="write the figures there")
    for name, (kind, default, text) in more.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=default, help=text)
    return parser.parse_args()


@dataclass
class Figures:
    """The figures of one run: a value, its spread over seeds (standard deviation), the 95% interval, a unit, a goal if
    there is one."""

    started: float = field(default_factory=time.perf_counter)
    rows: dict[str, dict[str, object]] = field(default_factory=dict)

    def add(self, name: str, values: Sequence[float], unit: str, goal: str = "", found: Interval | None = None) -> None:
        """One figure from its value at every seed (or episode); its spread is their standard deviation. `found` is its
        interval where that of `values` is not meant (a paired difference, a bootstrap)."""
        kept = [v for v in values if not math.isnan(v)]
        spread = statistics.stdev(kept) if len(kept) > 1 else 0.0
        found = found or interval(kept)
        value = found.value
        self.rows[name] = {
            "value": round(value, 4),
            "spread": round(spread, 4),
            "interval": None if math.isnan(found.low) else [round(found.low, 4), round(found.high, 4)],
            "unit": unit,
            "goal": goal,
            "n": len(kept),
        }
        print(f"  {name:<58} {value:>10.4g} ± {spread:<8.3g} {unit:<14} {goal}", flush=True)

    def write(self, path: Path | None) -> None:
        """Print how long it took; write JSON where a path is given."""
        print(f"  ({time.perf_counter() - self.started:.0f} s)", flush=True)
        if path is None:
            return
        report = {"figures": self.rows, "command": " ".join(["python", *sys.argv]), "machine": machine()}
        aside = path.with_suffix(".tmp")
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(json.dumps(report, indent=1) + "\n")
        aside.replace(path)


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """A Markdown table, a column a key of the rows, aligned; numbers to three digits, None as nothing."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([_cell(row.get(name)) for name in names] for row in rows)]
    widths = [max(3, *(len(line[i]) for line in cells)) for i in range(len(names))]
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |" for line in cells)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.3g}"
    return "" if value is None else str(value).replace("|", "\\|")


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    import os

    import torch

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }
