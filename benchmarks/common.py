"""What every benchmark shares: its options, its figures with their spread, and the JSON it writes."""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


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
    """The figures of one run: a value, its spread over seeds (standard deviation), a unit, a goal if there is one."""

    started: float = field(default_factory=time.perf_counter)
    rows: dict[str, dict[str, object]] = field(default_factory=dict)

    def add(self, name: str, values: Sequence[float], unit: str, goal: str = "") -> None:
        """One figure from its value at every seed; its spread is their standard deviation."""
        kept = [v for v in values if not math.isnan(v)]
        value = statistics.fmean(kept) if kept else float("nan")
        spread = statistics.stdev(kept) if len(kept) > 1 else 0.0
        self.rows[name] = {
            "value": round(value, 4),
            "spread": round(spread, 4),
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
