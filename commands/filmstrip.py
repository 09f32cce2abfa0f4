"""One episode as a picture: imagined above observed for worlds with a board, lines over time for scalar features.

Drawn from features alone, so that every schema has a picture. Needs matplotlib (the extra `plots`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import numpy as np

from ..agent.recording import Frame
from ..world.scenes import Row, value_text
from .drawing import COLORS, WALLS, Cell, board, captions, differing, is_drawable, pointer, scalars

if TYPE_CHECKING:
    from ..world.schema import Feature, Schema

PANELS = 12
PANEL = 1.25  # inches
LINES = 8
_FILLS = {
    "empty": "#f6f4ee",
    "floor": "#ece7da",
    "wall": "#6b7076",
    "goal": "#b5dba9",
    "lava": "#f2975a",
    "unseen": "#b9bbbd",
    "frozen": "#dfedf6",
    "start": "#cfe3f1",
    "hole": "#2f4254",
}
INK, GOLD, RED, AHEAD_BLUE, _AGENT = "#2b2f33", "#d99a00", "#e0218a", "#3668c9", "#d6322f"


def draw(schema: Schema, frames: Sequence[Frame], path: Path, title: str) -> bool:
    """Write the picture as PNG. Returns False where there is nothing to draw: no board and no scalar feature."""
    figure = figure_of(schema, frames, title)
    if figure is None:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, format="png", facecolor="white")
    return True


def figure_of(schema: Schema, frames: Sequence[Frame], title: str) -> Any:
    """The picture as a matplotlib figure; None where there is nothing to draw."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"font.size": 8, "font.family": "DejaVu Sans", "axes.titlesize": 8}):
        if is_drawable(schema):
            return _boards(schema, frames, title, Figure)
        return _lines(schema, frames, title, Figure) if scalars(schema) else None


def chosen(frames: Sequence[Frame], most: int = PANELS) -> list[int]:
    """Up to `most` steps, evenly spread, first and last included; each moved to a near one on which a rule fired."""
    last = len(frames) - 1
    if last < most:
        return list(range(last + 1))
    picks: list[int] = []
    spacing = last / (most - 1)
    for k in range(most):
        at = round(k * spacing)
        near = sorted(
            range(max(1, round(at - spacing / 2.5)), min(last, round(at + spacing / 2.5)) + 1),
            key=lambda i: abs(i - at),
        )
        if 0 < k < most - 1 and not frames[at].fired:
            at = next((i for i in near if frames[i].fired and i not in picks), at)
        picks.append(at)
    return sorted(set(picks))


# --- boards -----------------------------------------------------------------------------------------------------------


def _boards(schema: Schema, frames: Sequence[Frame], title: str, figure_type: Any) -> Any:
    picks = chosen(frames)
    legend = {text: i + 1 for i, text in enumerate(dict.fromkeys(t for p in picks for t in frames[p].fired))}
    lines = board(schema, frames[0].observed)
    tall = PANEL * len(lines) / len(lines[0])
    side, top, gap, foot = 0.85, 0.95, 0.34, 0.62 + 0.18 * len(legend)
    width, height = side + PANEL * max(len(picks), 6) + 0.1, top + 2 * tall + gap + foot
    figure = figure_type(figsize=(width, height))

    def write(text: str, x: float, y: float, **style: Any) -> None:  # x, y in inches from the upper left corner
        figure.text(x / width, 1 - y / height, text, **({"color": INK, "va": "center"} | style))

    write(title, 0.12, 0.24, fontsize=11, weight="bold")
    for k, pick in enumerate(picks):
        frame, x = frames[pick], side + k * PANEL
        centre = x + PANEL / 2
        write(f"step {pick}\n{frame.action or 'start'}", centre, top - 0.22, ha="center", fontsize=7.5)
        rows = ((frame.imagined or frame.observed, frame.observed), (frame.observed, None))
        for line, (row, other) in enumerate(rows):
            y = top + line * (tall + gap)
            axes = figure.add_axes((x / width, 1 - (y + tall) / height, PANEL / width, tall / height))
            panel(axes, schema, row, other, bool(frame.fired) and line == 0)
            write(_caption(schema, row), x + 0.06, y + tall + 0.07, fontsize=6.5)
        marks = " ".join(f"R{legend[t]}" for t in frame.fired)
        write(marks, x + PANEL - 0.06, top + tall + 0.07, ha="right", fontsize=7.5, color=GOLD, weight="bold")
    for line, name in enumerate(("imagined", "observed")):
        write(name, side - 0.12, top + line * (tall + gap) + tall / 2, ha="right", fontsize=9)
    under = top + 2 * tall + gap + 0.3
    write(
        "gold: a rule corrected what was imagined     pink: imagined otherwise than observed", side, under, fontsize=7.5
    )
    for text, number in legend.items():
        short = shorten(text, round(PANEL * len(picks) * 15), placeholder=" ...")
        write(f"R{number}", side, under + 0.18 * number, fontsize=7.5, color=GOLD, weight="bold")
        write(short, side + 0.3, under + 0.18 * number, fontsize=7.5)
    return figure


def panel(axes: Any, schema: Schema, row: Row, other: Row | None, is_fired: bool) -> None:
    """One board; with `other`, what differs from it is marked."""
    from matplotlib.patches import Circle, Polygon, Rectangle

    lines = board(schema, row)
    across, down = len(lines[0]), len(lines)
    axes.set(xlim=(-0.15, across + 0.15), ylim=(down + 0.15, -0.15), aspect="equal")
    axes.axis("off")
    for v, cells in enumerate(lines):
        for u, cell in enumerate(cells):
            _draw_cell(axes, cell, u, v)
    u, v, step = pointer(schema, row)
    if step is None:
        axes.add_patch(Circle((u + 0.5, v + 0.5), 0.28, facecolor=_AGENT, edgecolor="white", linewidth=0.8, zorder=6))
    else:
        ahead, beside, centre = (
            np.array(step, float),
            np.array((-step[1], step[0]), float),
            np.array((u + 0.5, v + 0.5)),
        )
        corners = [centre + 0.36 * ahead, centre - 0.26 * ahead + 0.28 * beside, centre - 0.26 * ahead - 0.28 * beside]
        axes.add_patch(Polygon(corners, facecolor=_AGENT, edgecolor="white", linewidth=0.8, zorder=6))
    if other is not None:
        wrong = set(differing(schema, row, other)) | ({(u, v)} if pointer(schema, other) != (u, v, step) else set())
        for x, y in wrong:
            box = Rectangle((x + 0.06, y + 0.06), 0.88, 0.88, fill=False, edgecolor=RED, linewidth=1.6, zorder=7)
            axes.add_patch(box)
    frame = Rectangle((0, 0), across, down, fill=False, zorder=8, clip_on=False)
    frame.set(edgecolor=GOLD if is_fired else "#c9ccd0", linewidth=3.0 if is_fired else 0.6)
    axes.add_patch(frame)


def _draw_cell(axes: Any, cell: Cell, u: int, v: int) -> None:
    from matplotlib.patches import Circle, Rectangle

    ink = COLORS.get(cell.color or "", INK)
    is_ground = cell.value in _FILLS
    axes.add_patch(
        Rectangle((u, v), 1, 1, facecolor=_FILLS.get(cell.value, _FILLS["empty"]), edgecolor="#dcdad3", linewidth=0.4)
    )
    if is_ground or cell.value in WALLS or cell.is_blank:
        return
    if cell.mark in ("open", "closed", "locked"):  # a door: a frame if open, filled if closed, with a keyhole if locked
        body = Rectangle(
            (u + 0.1, v + 0.1), 0.8, 0.8, facecolor="none" if cell.mark == "open" else ink, edgecolor=ink, linewidth=2
        )
        axes.add_patch(body)
        if cell.mark == "locked":
            axes.add_patch(Circle((u + 0.5, v + 0.42), 0.12, color="white"))
            axes.add_patch(Rectangle((u + 0.45, v + 0.45), 0.1, 0.25, color="white"))
        elif cell.mark == "closed":
            axes.add_patch(Circle((u + 0.73, v + 0.5), 0.07, color="white"))
    elif cell.value == "key":
        axes.add_patch(Circle((u + 0.5, v + 0.32), 0.16, fill=False, edgecolor=ink, linewidth=1.8))
        axes.plot([u + 0.5, u + 0.5, u + 0.68], [v + 0.48, v + 0.82, v + 0.82], color=ink, linewidth=1.8)
        axes.plot([u + 0.5, u + 0.64], [v + 0.66, v + 0.66], color=ink, linewidth=1.8)
    elif cell.value == "ball":
        axes.add_patch(Circle((u + 0.5, v + 0.5), 0.3, color=ink))
    elif cell.value == "box":
        axes.add_patch(Rectangle((u + 0.2, v + 0.2), 0.6, 0.6, fill=False, edgecolor=ink, linewidth=2))
    else:
        axes.text(u + 0.5, v + 0.52, cell.value[:2], ha="center", va="center", fontsize=7, color=ink)


def _caption(schema: Schema, row: Row) -> str:
    """What the board does not show: the scalars besides the pose, those that are "none" left out."""
    words = [(f, value_text(f, row[f.name])) for f in captions(schema)]
    kept = [text if f.kind == "category" else f"{f.name} {text}" for f, text in words if text != "none"]
    return shorten(" ".join(reversed(kept)), 24, placeholder="…")


# --- lines ------------------------------------------------------------------------------------------------------------


def _lines(schema: Schema, frames: Sequence[Frame], title: str, figure_type: Any) -> Any:
    shown = scalars(schema)[:LINES]
    figure = figure_type(figsize=(10, 0.9 + 1.45 * len(shown)), layout="constrained")
    figure.suptitle(title, fontsize=11, weight="bold", color=INK, x=0.01, ha="left")
    starts = _apart(frames)
    for k, feature in enumerate(shown):
        axes = figure.add_subplot(len(shown), 1, k + 1)
        style = "steps-post" if feature.is_discrete else "default"
        observed = np.array([float(f.observed[feature.name]) for f in frames])
        axes.plot(observed, color=INK, linewidth=1.4, drawstyle=style, label="observed", zorder=3)
        for j, t in enumerate(starts):
            future = frames[t].ahead
            assert future is not None
            values = future[feature.name].astype(float)[: len(frames) - t]
            axes.plot(
                range(t, t + len(values)),
                values,
                color=AHEAD_BLUE,
                linewidth=1,
                alpha=0.7,
                drawstyle=style,
                label=None if j else "imagined from here on",
            )
            axes.plot(t, values[0], "o", color=AHEAD_BLUE, markersize=2.5)
        for j, t in enumerate([t for t, f in enumerate(frames) if f.fired]):
            axes.axvline(t, color=GOLD, linewidth=0.8, alpha=0.5, zorder=0, label=None if j else "a rule fired")
        _name_axis(axes, feature, observed)
        if k == 0:
            axes.legend(loc="lower right", bbox_to_anchor=(1, 1), fontsize=7.5, frameon=False, ncols=3)
        axes.tick_params(labelbottom=k == len(shown) - 1)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(0, max(1, len(frames) - 1))
    axes.set_xlabel("step")
    return figure


def _apart(frames: Sequence[Frame]) -> list[int]:
    """Steps whose imagined futures are drawn: evenly spread, each after the one before has come to its end."""
    starts: list[int] = []
    free = 0
    for t, frame in enumerate(frames):
        if frame.ahead is not None and t >= free:
            starts.append(t)
            free = t + max(len(next(iter(frame.ahead.values()))), len(frames) // PANELS)
    return starts


def _name_axis(axes: Any, feature: Feature, observed: np.ndarray) -> None:
    axes.set_ylabel(
        "\n".join(
            [
                feature.name.replace("_", "_\n" if len(feature.name) > 16 else "_"),
                *([f"({feature.unit})"] if feature.unit else []),
            ]
        ),
        fontsize=7.5,
    )
    if feature.kind == "category" and len(feature.values) <= 8:
        axes.set_yticks(range(len(feature.values)), feature.values, fontsize=6.5)
    elif feature.kind == "real" and len(observed):
        spread = float(np.ptp(observed)) or 1.0
        axes.set_ylim(float(observed.min()) - 0.4 * spread, float(observed.max()) + 0.4 * spread)
