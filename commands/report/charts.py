"""Line charts as data for the page's SVG: paths in the coordinates of a small view box, ticks, and a text that says
what is seen.

A series is a line `[(x, y)]`, with a band around it where there is a spread. Colours are the page's, by class.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

WIDTH, HEIGHT = 360, 220
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 12, 32

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Series:
    """A line with its name and colour class; `band` is `[(x, low, high)]`; `steps` holds values until the next."""

    name: str
    points: Points
    colour: str = "c1"
    band: Sequence[tuple[float, float, float]] = ()
    dots: bool = False
    steps: bool = False
    thin: bool = False


@dataclass(frozen=True)
class Drawn:
    """A series as SVG path data."""

    name: str
    colour: str
    line: str
    band: str
    dots: tuple[tuple[float, float], ...]
    thin: bool


@dataclass(frozen=True)
class Chart:
    """What the page draws: `alt` says in words what is to be seen, `marks` are vertical lines."""

    title: str
    x_label: str
    alt: str
    series: tuple[Drawn, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    marks: tuple[float, ...] = ()
    note: str = ""
    source: tuple[Series, ...] = ()
    log: bool = False


def chart(title: str, x_label: str, series: Sequence[Series], alt: str, *, log: bool = False, note: str = "",
          y_range: tuple[float, float] | None = None, marks: Sequence[float] = (),
          y_names: Sequence[str] = ()) -> Chart | None:
    """A chart of these series; None where none has a finite point. `log`: logarithmic y; `y_names` name 0, 1, ..."""
    clean = [_clean(s, log) for s in series]
    xs = [x for s in clean for x, _ in s.points]
    ys = [y for s in clean for _, y in s.points] + [y for s in clean for _, a, b in s.band for y in (a, b)]
    if not xs:
        return None
    x0, x1 = min(xs), max(xs)
    y0, y1 = y_range or (min(ys), max(ys))
    if log:
        y0, y1 = math.log10(y0), math.log10(y1)
    if x1 <= x0:
        x1 = x0 + 1
    if y1 - y0 < 1e-9:
        y0, y1 = y0 - 0.5, y1 + 0.5
    if y_range is None:
        y0, y1 = y0 - 0.06 * (y1 - y0), y1 + 0.06 * (y1 - y0)

    def px(x: float) -> float:
        return round(LEFT + (x - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT), 1)

    def py(y: float) -> float:
        v = math.log10(y) if log else y
        return round(TOP + (y1 - v) / (y1 - y0) * (HEIGHT - TOP - BOTTOM), 1)

    drawn = []
    for s in clean:
        at = [(px(x), py(y)) for x, y in s.points]
        upper, lower = [(px(x), py(b)) for x, _, b in s.band], [(px(x), py(a)) for x, a, _ in s.band]
        band = path(upper) + path(lower[::-1]).replace("M", "L", 1) + "Z" if s.band else ""
        line = "" if s.dots else path(_stepped(at) if s.steps else at)
        drawn.append(Drawn(s.name, s.colour, line, band, tuple(at) if s.dots else (), s.thin))
    if y_names:
        y_ticks = tuple((py(i), name) for i, name in enumerate(y_names))
    else:
        y_ticks = tuple((py(y), label(y)) for y in (_decades(y0, y1) if log else ticks(y0, y1, 4)))
    x_ticks = tuple((px(x), label(x)) for x in ticks(x0, x1, 4))
    inside = tuple(px(m) for m in marks if x0 <= m <= x1)
    return Chart(title, x_label, alt, tuple(drawn), x_ticks, y_ticks, inside, note, tuple(clean), log)


def spark(points: Points, band: Sequence[tuple[float, float, float]], width: int = 160, height: int = 36
          ) -> tuple[str, str]:
    """A line and its band as path data in `width` x `height`; y runs from 0 to 1."""
    xs = [x for x, _ in points]
    span = (max(xs) - min(xs)) or 1.0

    def at(x: float, y: float) -> tuple[float, float]:
        return round(1 + (x - min(xs)) / span * (width - 2), 1), round(2 + (1 - y) * (height - 4), 1)

    upper, lower = [at(x, b) for x, _, b in band], [at(x, a) for x, a, _ in band]
    return path([at(x, y) for x, y in points]), path(upper) + path(lower[::-1]).replace("M", "L", 1) + "Z"


def path(points: Sequence[tuple[float, float]]) -> str:
    """Path data through points."""
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points) if points else ""


def thinned(points: Points, most: int = 240) -> Points:
    """At most so many of the points, evenly, the last one included."""
    step = max(1, math.ceil(len(points) / most))
    return [*points[: len(points) - 1 : step], points[-1]] if points else points


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers between two bounds."""
    raw = (high - low) / most
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * m for m in (1, 2, 5, 10) if size * m >= raw)
    return [round(k * step, 10) for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _decades(low: float, high: float) -> list[float]:
    """Round numbers between two powers of ten: all of 1, 2, 5 where there is room, else the powers."""
    whole = range(math.floor(low), math.ceil(high) + 1)
    fine = [m * 10.0**k for k in whole for m in (1, 2, 5) if low <= math.log10(m) + k <= high]
    return fine if len(fine) <= 6 else [10.0**k for k in whole if low <= k <= high]


def label(value: float) -> str:
    """A number on an axis."""
    if abs(value) >= 1000:
        return f"{value / 1000:g}k"
    return f"{value:.3g}" if value else "0"


def _clean(s: Series, log: bool) -> Series:
    fits = [(x, y) for x, y in s.points if math.isfinite(x + y) and (y > 0 or not log)]
    return Series(s.name, fits, s.colour, [b for b in s.band if all(map(math.isfinite, b))], s.dots, s.steps, s.thin)


def _stepped(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    out = list(points[:1])
    for (_, y0), (x1, y1) in pairwise(points):
        out += [(x1, y0), (x1, y1)]
    return out
