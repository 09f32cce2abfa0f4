"""What a run came to: a row an episode, means, a table to read and JSON for machines."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..files import write_text


@dataclass(frozen=True)
class EpisodeResult:
    """One episode. `imagined_steps` counts imagined transitions, `replans` plans made because the world departed
    from what was imagined, `broken` steps in a state that a limit excludes, `shielded` actions that were replaced,
    `conflicts` how often a rule lost against a stronger one in what the executed steps were predicted to bring.
    `setbacks` are the first of the steps that did not do what was imagined (see `Setback`), as data; `obstacle` says
    why a goal was not reached, where that was asked for."""

    seed: int
    layout: str
    total_reward: float
    steps: int
    solved: bool
    imagined_steps: int
    departures: int
    broken: int
    shielded: int
    seconds: float
    conflicts: int = 0
    setbacks: tuple[dict[str, Any], ...] = ()
    obstacle: str = ""


@dataclass(frozen=True)
class RunResult:
    """All episodes of a run; printing it shows a table."""

    episodes: tuple[EpisodeResult, ...]

    @property
    def solved(self) -> int:
        return sum(e.solved for e in self.episodes)

    @property
    def mean_return(self) -> float:
        return self._mean("total_reward")

    def summary(self) -> dict[str, float]:
        """The figures of a report's arm: episodes, solved, mean_return, mean_steps, imagined_steps_per_decision,
        seconds_per_episode; and what the rules on behaviour did."""
        steps = sum(e.steps for e in self.episodes)
        return {
            "episodes": len(self.episodes),
            "solved": self.solved,
            "mean_return": round(self.mean_return, 4),
            "mean_steps": round(self._mean("steps"), 2),
            "imagined_steps_per_decision": round(sum(e.imagined_steps for e in self.episodes) / max(1, steps), 1),
            "seconds_per_episode": round(self._mean("seconds"), 4),
            "departures": sum(e.departures for e in self.episodes),
            "broken": sum(e.broken for e in self.episodes),
            "shielded": sum(e.shielded for e in self.episodes),
            "conflicts": sum(e.conflicts for e in self.episodes),
        }

    def to_dict(self) -> dict[str, Any]:
        return {"summary": self.summary(), "episodes": [asdict(e) for e in self.episodes]}

    def to_json(self, path: str | Path) -> None:
        """Write the summary and every episode as JSON."""
        write_text(Path(path), json.dumps(self.to_dict(), indent=1) + "\n")

    def __str__(self) -> str:
        head = (
            f"{'layout':>16} {'return':>8} {'steps':>6} {'solved':>7} {'imagined':>9} {'departed':>9} {'shielded':>9}"
        )
        rows = [
            f"{e.layout:>16} {e.total_reward:8.3f} {e.steps:6d} {'yes' if e.solved else 'no':>7} "
            f"{e.imagined_steps:9d} {e.departures:9d} {e.shielded:9d}"
            for e in self.episodes
        ]
        s = self.summary()
        foot = (
            f"solved {s['solved']} of {s['episodes']}, mean return {s['mean_return']:.3f}, mean steps "
            f"{s['mean_steps']:.1f}, {s['seconds_per_episode']:.2f} s an episode"
        )
        return "\n".join([head, *rows, foot])

    def _mean(self, name: str) -> float:
        return sum(getattr(e, name) for e in self.episodes) / max(1, len(self.episodes))
