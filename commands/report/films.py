"""Episodes moment by moment: what was imagined above what was observed, and the steps that a rule changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...agent.recording import Frame
from ...world.scenes import value_text
from ..drawing import is_drawable, scalars
from ..filmstrip import chosen
from .boards import Boards, caption, departures, happened
from .charts import Chart, Series, chart
from .run import Run

if TYPE_CHECKING:
    from ...agent.journal import Film
    from ...world.schema import Feature, Schema

FILMS, PANELS, LINES = 4, 24, 6


@dataclass(frozen=True)
class Panel:
    """One moment of a board: symbols of what was imagined (None at the start) and observed, where they differ, the
    rules that fired (their texts), and a sentence that says it all."""

    step: int
    action: str
    imagined: str | None
    observed: str
    wrong: tuple[tuple[int, int], ...]
    fired: tuple[str, ...]
    changed: bool
    shielded: str
    caption: str
    alt: str


@dataclass(frozen=True)
class FilmView:
    """One episode: `panels` for a board, `charts` for scalars."""

    title: str
    solved: bool
    summary: str
    panels: tuple[Panel, ...] = ()
    charts: tuple[Chart, ...] = ()
    fired: tuple[str, ...] = ()    # texts of the rules that fired in what is shown, in order
    left_out: int = 0


def films(run: Run, boards: Boards) -> list[FilmView]:
    """A few episodes: the last solved ones and the last that were not, in turns."""
    schema = run.schema
    if schema is None or not run.films:
        return []
    solved, failed = ([f for f in run.films if bool(f.event.get("solved")) is is_solved] for is_solved in (True, False))
    picks = [f for pair in zip(*(half + [None] * FILMS for half in (solved, failed)), strict=False) for f in pair if f]
    return [view for film in picks[:FILMS] if film.frames and (view := _view(schema, film, boards)) is not None]


def name_of(film_or_event: Film | dict[str, object]) -> str:
    """What an episode is called: by its seed."""
    event = film_or_event if isinstance(film_or_event, dict) else film_or_event.event
    seed = event.get("seed")
    return f"episode {event.get('number', '?')}" + (f", seed {seed}" if seed is not None else "")


def _view(schema: Schema, film: Film, boards: Boards) -> FilmView | None:
    event, frames = film.event, film.frames
    solved = bool(event.get("solved"))
    steps = int(event.get("steps") or 0)
    corrected = sum(f.changed for f in frames)
    came = "solved" if solved else "broken off" if event.get("cut") else "not solved"
    total = float(event.get("total_reward") or 0)
    summary = (f"{came} after {steps} step{'s' * (steps != 1)}, return {total:.3g}; rules "
               f"changed what was imagined on {corrected} of them")
    if is_drawable(schema):
        picks = chosen(frames, PANELS)
        panels = tuple(_panel(schema, frames, i, film.dropped, boards) for i in picks)
        fired = tuple(dict.fromkeys(t for p in panels for t in p.fired))
        return FilmView(name_of(film), solved, summary, panels, fired=fired, left_out=len(frames) - len(picks))
    if not scalars(schema):
        return None
    drawn = tuple(c for f in scalars(schema)[:LINES] if (c := _line(f, frames, film.dropped)) is not None)
    return FilmView(name_of(film), solved, summary, charts=drawn,
                    fired=tuple(dict.fromkeys(t for f in frames for t in f.fired)))


def _panel(schema: Schema, frames: Sequence[Frame], i: int, dropped: int, boards: Boards) -> Panel:
    frame, step = frames[i], i + dropped
    observed = boards.add(schema, frame.observed)
    assert observed is not None
    imagined = boards.add(schema, frame.imagined) if frame.imagined is not None else None
    wrong = departures(schema, frame.imagined, frame.observed) if frame.imagined is not None else []
    came = happened(schema, frames[i - 1].observed, frame.observed) if i else []
    alt = f"Step {step}" + (f", {frame.action}: " if frame.action else ": ") + ("; ".join(came) or "nothing changed")
    if frame.imagined is not None:
        otherwise = happened(schema, frame.observed, frame.imagined)
        alt += ". Imagined as it came" if not otherwise else f". Imagined otherwise: {'; '.join(otherwise)}"
    return Panel(step, frame.action or "start", imagined, observed, tuple(wrong), frame.fired, frame.changed,
                 frame.shielded, caption(schema, frame.observed), alt)


def _line(feature: Feature, frames: Sequence[Frame], dropped: int) -> Chart | None:
    """A scalar over time: observed, the futures imagined, and a mark where a rule fired."""
    values = [(float(t + dropped), float(f.observed[feature.name])) for t, f in enumerate(frames)]
    series = []
    free = 0
    for t, frame in enumerate(frames):
        if frame.ahead and feature.name in frame.ahead and t >= free:
            future = frame.ahead[feature.name][: len(frames) - t]
            ahead = [(float(t + k + dropped), float(v)) for k, v in enumerate(future)]
            series.append(Series("imagined from here on", ahead, "c1"))
            free = t + max(len(future), len(frames) // 12)
    before = [(float(t + dropped), float(f.imagined[feature.name])) for t, f in enumerate(frames) if f.imagined]
    if not series and before:
        series.append(Series("imagined a step ahead", before, "c1"))
    series.append(Series("observed", values, "ink", steps=feature.is_discrete))
    came = dict(values)
    errors = [abs(imagined - came[t]) for t, imagined in before]
    unit = f" ({feature.unit})" if feature.unit else ""
    low, high = min(v for _, v in values), max(v for _, v in values)
    alt = f"{feature.name} between {low:.3g} and {high:.3g}{unit}"
    if errors:
        alt += f"; a step ahead it was imagined to within {np.mean(errors):.2g} on average"
    names = [value_text(feature, k) for k in range(feature.cardinality or 0)] if feature.kind == "category" else []
    spread = (high - low) or 1.0
    bounds = None if names else (low - 0.4 * spread, high + 0.4 * spread)
    return chart(feature.name.replace("_", " ") + unit, "step", series, alt + ".", y_range=bounds,
                 marks=[float(t + dropped) for t, f in enumerate(frames) if f.changed], y_names=names[:8])
