"""The first screen: which world, how it does, and each arm of a comparison beside the others; and what it all costs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from .curves import wilson
from .run import Run
from .told import Told


@dataclass(frozen=True)
class Tile:
    """One figure with what it is; `aside` says more."""

    name: str
    value: str
    aside: str = ""


@dataclass(frozen=True)
class Bar:
    """One arm: the share of episodes it solved, in percent, with its interval."""

    name: str
    colour: str
    solved: int
    episodes: int
    low: float
    high: float
    mean_return: float
    mean_steps: float
    imagined: float
    seconds: float

    @property
    def share(self) -> float:
        return 100 * self.solved / max(1, self.episodes)


@dataclass(frozen=True)
class Headline:
    world: str
    sentence: str
    tiles: tuple[Tile, ...]
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Purpose:
    """Calls of a language model for one purpose."""

    name: str
    calls: int
    cached: int
    failed: int
    tokens: int
    seconds: float
    money: float | None


@dataclass(frozen=True)
class Costs:
    tiles: tuple[Tile, ...]
    calls: tuple[Purpose, ...]


_COLOURS = {"learned only": "c1", "rules only": "c2", "hybrid (both)": "c3"}
_KEYS = {"learned": "learned only", "rules": "rules only", "hybrid": "hybrid (both)"}


def headline(run: Run, told: Told) -> Headline:
    """The run in a sentence and a few figures."""
    played = [e for e in run.of("episode") if not e.get("cut")]
    bars = tuple(_bars(run))
    tiles = []
    if played:
        solved = sum(bool(e.get("solved")) for e in played)
        low, high = wilson(solved, len(played))
        tiles += [
            Tile("solved", f"{solved} of {len(played)}", f"95% interval {low:.0%} to {high:.0%}"),
            Tile("mean return", f"{_mean(played, 'total_reward'):.3g}", "of episodes played as planned"),
            Tile("mean steps", f"{_mean(played, 'steps'):.3g}", "an episode"),
        ]
    interactions = sum(e.length for e in run.lived)
    tiles.append(Tile("interactions", f"{interactions:,}", f"in {len(run.lived):,} episodes, random ones included"))
    standing = sum(rule.status == "supported" for rule in told.rules)
    tiles.append(Tile("sentences told", str(len(told.sentences)),
                      f"{len(told.rules)} rules, {standing} supported by the data"))
    return Headline(run.env, _sentence(run, played, bars), tuple(tiles), bars)


def _sentence(run: Run, played: Sequence[dict[str, object]], bars: Sequence[Bar]) -> str:
    by_name = {bar.name: bar for bar in bars}
    if (hybrid := by_name.get("hybrid (both)")) and (alone := by_name.get("learned only")):
        return (f"With what it learned and what it was told it solved {hybrid.solved} of {hybrid.episodes} layouts; "
                f"with what it learned alone, {alone.solved} of {alone.episodes}.")
    if played:
        solved = sum(bool(e.get("solved")) for e in played)
        return f"It solved {solved} of the {len(played)} episodes that it played as planned."
    if run.lived:
        return (f"It has lived through {sum(e.length for e in run.lived):,} interactions and has not played as planned "
                "yet.")
    return "Nothing was lived or played yet, or none of it is kept here."


def _bars(run: Run) -> list[Bar]:
    compared = run.of("compared")
    if compared and isinstance(arms := compared[-1].get("arms"), dict):
        summaries = {str(name): arm.get("summary", {}) for name, arm in arms.items() if isinstance(arm, dict)}
    else:
        summaries = {_KEYS.get(name, str(name)): arm for name, arm in run.report.get("arms", {}).items()}
    bars = []
    for name, s in summaries.items():
        solved, n = int(s.get("solved") or 0), int(s.get("episodes") or 0)
        low, high = wilson(solved, n)
        bars.append(Bar(name, _COLOURS.get(name, "c4"), solved, n, 100 * low, 100 * high,
                        *(float(s.get(key) or 0) for key in ("mean_return", "mean_steps", "imagined_steps_per_decision",
                                                             "seconds_per_episode"))))
    return bars


def costs(run: Run) -> Costs:
    """Time and imagination a decision, interactions, training; language models by what they were asked for."""
    played = [e for e in run.of("episode") if not e.get("cut") and e.get("steps")]
    tiles = []
    if played:
        steps = sum(int(e["steps"]) for e in played)
        tiles += [
            Tile("seconds a decision", f"{sum(float(e.get('seconds') or 0) for e in played) / steps:.3g}",
                 "planning and acting, wall clock"),
            Tile("imagined steps a decision", f"{sum(int(e.get('imagined_steps') or 0) for e in played) / steps:,.0f}"),
        ]
    training = run.of("training")
    if training:
        tiles.append(Tile("training steps", f"{max(int(e.get('total') or 0) for e in training):,}"))
    if run.lived:
        tiles.append(Tile("interactions", f"{sum(e.length for e in run.lived):,}"))
    groups = defaultdict(list)
    for call in run.calls:
        groups[call.purpose].append(call)
    purposes = tuple(
        Purpose(name, len(calls), sum(c.cached for c in calls), sum(c.error is not None for c in calls),
                sum(c.tokens for c in calls), sum(c.seconds for c in calls),
                None if any(c.money is None for c in calls) else sum(c.money or 0.0 for c in calls))
        for name, calls in groups.items())
    tokens = f"{sum(c.tokens for c in run.calls):,} tokens" if run.calls else "none: no text was sent anywhere"
    tiles.append(Tile("language model calls", f"{len(run.calls):,}", tokens))
    return Costs(tuple(tiles), purposes)


def _mean(events: Sequence[dict[str, object]], key: str) -> float:
    return sum(float(str(e.get(key) or 0)) for e in events) / len(events)
