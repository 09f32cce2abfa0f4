"""One episode as a picture: imagined above observed for worlds with a board, lines over time for scalar features.

Drawn from features alone, so that every schema has a picture. Needs matplotlib (the extra `plots`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import numpy as np

from .drawing import COLORS, WALLS, Cell, Row, board, captions, differing, is_drawable, pointer, scalars, value_text
from .recording import Frame

if TYPE_CHECKING:
    from ..world.schema import Feature, Schema

PANELS = 12
LINES = 8
_FILLS = {"empty": "#f6f4ee", "floor": "#ece7da", "wall": "#6b7076", "goal": "#b5dba9", "lava": "#f2975a", "unseen": "#b9bbbd",
          "frozen": "#dfedf6", "start": "#cfe3f1", "hole": "#2f4254"}
_INK, _GOLD, _RED, _BLUE = "#2b2f33", "#e0a100", "#d62f2f", "#3668c9"


def draw(schema: Schema, frames: Sequence[Frame], path: Path, title: str) -> bool:
    """Write the picture as PNG. Returns False where there is nothing to draw: no board and no scalar feature."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"font.size": 8, "font.family": "DejaVu Sans", "axes.titlesize": 8}):
        if is_drawable(schema):
            figure = _boards(schema, frames, title, Figure)
        elif scalars(schema):
            figure = _lines(schema, frames, title, Figure)
        else:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110, format="png", facecolor="white")
    return True


def chosen(frames: Sequence[Frame], most: int = PANELS) -> list[int]:
    """Up to `most` steps, evenly spread, first and last included; each moved to a near one on which a rule fired."""
    last = len(frames) - 1
    if last < most:
        return list(range(last + 1))
    picks: list[int] = []
    spacing = last / (most - 1)
    for k in range(most):
        at = round(k * spacing)
        near = sorted(range(max(1, round(at - spacing / 2.5)), min(last, round(at + spacing / 2.5)) + 1), key=lambda i: abs(i - at))
        if 0 < k < most - 1 and not frames[at].fired:
            at = next((i for i in near if frames[i].fired and i not in picks), at)
        picks.append(at)
    return sorted(set(picks))


# --- boards -----------------------------------------------------------------------------------------------------------


def _boards(schema: Schema, frames: Sequence[Frame], title: str, figure_type: Any) -> Any:
    picks = chosen(frames)
    legend = {text: i + 1 for i, text in enumerate(dict.fromkeys(t for p in picks for t in frames[p].fired))}
    panel, side, top, foot = 1.22, 0.75, 0.85, 0.35 + 0.17 * len(legend)
    lines = board(schema, frames[0].observed)
    tall = panel * len(lines) / len(lines[0])
    width, height = side + panel * max(len(picks), 5), top + 2 * (tall + 0.32) + foot
    figure = figure_type(figsize=(width, height))
    figure.text(0.12 / width, 1 - 0.26 / height, title, fontsize=11, weight="bold", color=_INK)
    for line, name in enumerate(("imagined", "observed")):
        y = height - top - (line + 1) * tall - line * 0.32
        figure.text((side - 0.1) / width, (y + tall / 2) / height, name, ha="right", va="center", fontsize=9, color=_INK)
        for k, pick in enumerate(picks):
            frame = frames[pick]
            box = ((side + k * panel + 0.04) / width, y / height, (panel - 0.08) / width, (tall - 0.08) / height)
            axes = figure.add_axes(box)
            row = frame.observed if line else frame.imagined or frame.observed
            wrong = frame.observed if not line else None
            _panel(axes, schema, row, frame, wrong)
            if not line:
                heading = f"step {pick}" + (f"\n{frame.action}" if frame.action else "\nstart")
                axes.set_title(heading, color=_INK, pad=3, fontsize=7.5)
            marks = " ".join(f"R{legend[t]}" for t in frame.fired)
            axes.set_xlabel("\n".join(filter(None, ((marks if not line else ""), _caption(schema, row)))), fontsize=7,
                            color=_GOLD if marks and not line else _INK, labelpad=2)
    for text, number in legend.items():
        figure.text(side / width, (foot - 0.17 * number) / height, f"R{number}  {shorten(text, 150)}", fontsize=7.5, color=_INK)
    return figure


def _panel(axes: Any, schema: Schema, row: Row, frame: Frame, other: Row | None) -> None:
    from matplotlib.patches import Circle, Polygon, Rectangle

    lines = board(schema, row)
    axes.set(xlim=(0, len(lines[0])), ylim=(len(lines), 0), xticks=[], yticks=[], aspect="equal")
    for v, cells in enumerate(lines):
        for u, cell in enumerate(cells):
            _draw_cell(axes, cell, u, v)
    if other is not None:
        for u, v in differing(schema, row, other):
            axes.add_patch(Rectangle((u + 0.05, v + 0.05), 0.9, 0.9, fill=False, edgecolor=_RED, linewidth=1.6, zorder=5))
    u, v, step = pointer(schema, row)
    is_wrong = other is not None and pointer(schema, other) != (u, v, step)
    color = _RED if is_wrong else "#d6322f" if step else _BLUE
    if step is None:
        axes.add_patch(Circle((u + 0.5, v + 0.5), 0.28, facecolor=color, edgecolor="white", linewidth=0.8, zorder=6))
    else:
        forward, across = np.array(step, float), np.array((-step[1], step[0]), float)
        centre = np.array((u + 0.5, v + 0.5))
        corners = [centre + 0.36 * forward, centre - 0.26 * forward + 0.28 * across, centre - 0.26 * forward - 0.28 * across]
        axes.add_patch(Polygon(corners, facecolor=color, edgecolor="white", linewidth=0.8, zorder=6))
    for spine in axes.spines.values():
        spine.set(color=_GOLD if frame.fired and other is not None else "#c9ccd0",
                  linewidth=2.5 if frame.fired and other is not None else 0.6)


def _draw_cell(axes: Any, cell: Cell, u: int, v: int) -> None:
    from matplotlib.patches import Circle, Rectangle

    ink = COLORS.get(cell.color or "", _INK)
    is_ground = cell.value in _FILLS
    axes.add_patch(Rectangle((u, v), 1, 1, facecolor=_FILLS.get(cell.value, _FILLS["empty"]), edgecolor="#dcdad3", linewidth=0.4))
    if is_ground or cell.value in WALLS or cell.is_blank:
        return
    if cell.mark in ("open", "closed", "locked"):  # a door: a frame if open, filled if closed, with a keyhole if locked
        body = Rectangle((u + 0.1, v + 0.1), 0.8, 0.8, facecolor="none" if cell.mark == "open" else ink, edgecolor=ink, linewidth=2)
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
    figure.suptitle(title, fontsize=11, weight="bold", color=_INK, x=0.01, ha="left")
    starts = [t for t, f in enumerate(frames) if f.ahead is not None]
    every = max(1, len(starts) // PANELS)
    for k, feature in enumerate(shown):
        axes = figure.add_subplot(len(shown), 1, k + 1)
        style = "steps-post" if feature.is_discrete else "default"
        observed = np.array([float(f.observed[feature.name]) for f in frames])
        axes.plot(observed, color=_INK, linewidth=1.4, drawstyle=style, label="observed")
        for j, t in enumerate(starts[::every]):
            future = frames[t].ahead
            assert future is not None
            values = future[feature.name].astype(float)[: len(frames) - t]
            axes.plot(range(t, t + len(values)), values, color=_BLUE, linewidth=1, alpha=0.7, drawstyle=style,
                      label=None if j else "imagined from here on")
            axes.plot(t, values[0], "o", color=_BLUE, markersize=2.5)
        for j, t in enumerate([t for t, f in enumerate(frames) if f.fired]):
            axes.axvline(t, color=_GOLD, linewidth=0.8, alpha=0.5, zorder=0, label=None if j else "a rule fired")
        _name_axis(axes, feature, observed)
        if k == 0:
            axes.legend(loc="upper right", fontsize=7, frameon=True, ncols=3, borderaxespad=0.2)
        axes.tick_params(labelbottom=k == len(shown) - 1)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(0, max(1, len(frames) - 1))
    axes.set_xlabel("step")
    return figure


def _name_axis(axes: Any, feature: Feature, observed: np.ndarray) -> None:
    axes.set_ylabel("\n".join([feature.name.replace("_", "_\n" if len(feature.name) > 16 else "_"),
                               *([f"({feature.unit})"] if feature.unit else [])]), fontsize=7.5)
    if feature.kind == "category" and len(feature.values) <= 8:
        axes.set_yticks(range(len(feature.values)), feature.values, fontsize=6.5)
    elif feature.kind == "real" and len(observed):
        spread = float(np.ptp(observed)) or 1.0
        axes.set_ylim(float(observed.min()) - 0.4 * spread, float(observed.max()) + 0.4 * spread)
