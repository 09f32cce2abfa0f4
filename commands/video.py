"""Episodes as a moving picture, GIF or MP4: the board observed and as it was imagined, plan and rules as text beside.

Written aside and renamed when it is closed, also after Ctrl-C. A GIF needs matplotlib (the extra `plots`), an MP4
imageio-ffmpeg as well (the extra `video`).
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np

from ..errors import GedankenError, UserError
from ..world.scenes import value_text
from .drawing import captions, is_drawable, scalars
from .filmstrip import AHEAD_BLUE, GOLD, INK, RED, panel
from .scene import Scene

SIZE = (960, 544)    # pixels; multiples of 16, as codecs have it
DPI = 100
MOST = 3_000
"""Moments of a video; further ones are left out, and it is said."""
SOFT, GREEN = "#66707a", "#0a7a5c"
_NEEDS = {".gif": {"matplotlib": "plots", "PIL": "plots"},
          ".mp4": {"matplotlib": "video", "PIL": "video", "imageio_ffmpeg": "video"}}


class Video:
    """Records scenes to a file. Raises `UserError` for an unknown ending, or where a package is missing."""

    def __init__(self, path: Path, speed: float) -> None:
        suffix = path.suffix.lower()
        if suffix not in _NEEDS:
            raise UserError(f"{path}: a video ends in .gif or .mp4, not {suffix or 'nothing'!r}")
        for package, extra in _NEEDS[suffix].items():
            if find_spec(package) is None:
                raise UserError(f'{suffix} needs {package}, which is not installed; run: python -m pip install '
                                f'"gedanken[{extra}]"')
        self.path, self.speed, self.count, self.left_out = path, speed, 0, 0
        self._aside = path.with_name(f".{path.stem}.{os.getpid()}{suffix}")
        self._frames: list[Any] = []
        self._writer: Any = None

    def add(self, scene: Scene) -> None:
        """Record a moment."""
        if self.count >= MOST:
            self.left_out += 1
            return
        pixels = drawn(scene)
        self.count += 1
        if self.path.suffix.lower() == ".gif":
            from PIL import Image

            self._frames.append(Image.fromarray(pixels).quantize(128))
            return
        if self._writer is None:
            import imageio_ffmpeg

            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = imageio_ffmpeg.write_frames(str(self._aside), SIZE, fps=self.speed, macro_block_size=16,
                                                       ffmpeg_log_level="error")
            self._writer.send(None)
        self._writer.send(np.ascontiguousarray(pixels))

    def close(self) -> bool:
        """Write what was recorded; False where there is nothing. Raises `GedankenError` where it cannot be written."""
        if not self.count:
            return False
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self._writer is not None:
                self._writer.close()
            else:
                first, *rest = self._frames
                shown = round(1000 / self.speed)
                times = [shown] * len(rest) + [1500]    # the last one is looked at
                first.save(self._aside, save_all=True, append_images=rest, duration=times, loop=0)
            os.replace(self._aside, self.path)
        except OSError as error:
            self._aside.unlink(missing_ok=True)
            raise GedankenError(f"cannot write {self.path}: {error.strerror or error}; choose another place") from error
        return True


def drawn(scene: Scene) -> np.ndarray:
    """A scene as pixels `[height, width, 3]`."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"font.size": 9, "font.family": "DejaVu Sans", "text.parse_math": False}):
        figure = Figure(figsize=(SIZE[0] / DPI, SIZE[1] / DPI), dpi=DPI, facecolor="white")
        canvas = FigureCanvasAgg(figure)
        title = f"episode {scene.episode}   step {scene.t}   return {scene.total:.3g}"
        figure.text(0.03, 0.945, title, fontsize=13, weight="bold", color=INK)
        (_boards if is_drawable(scene.schema) else _lines)(figure, scene)
        _words(figure, scene)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _boards(figure: Any, scene: Scene) -> None:
    """What was observed, large, with the plan's path; below it, small, what had been imagined."""
    axes = figure.add_axes((0.02, 0.33, 0.36, 0.57))
    panel(axes, scene.schema, scene.observed, None, False)
    for k, (u, v) in enumerate(scene.path):
        axes.plot(u + 0.5, v + 0.5, "o", color=AHEAD_BLUE, markersize=5, alpha=max(0.25, 1 - k / 12), zorder=5)
    small = figure.add_axes((0.02, 0.03, 0.17, 0.26))
    panel(small, scene.schema, scene.frame.imagined or scene.observed, scene.observed, bool(scene.frame.fired))
    caption = "imagined a step before" if scene.is_expected else "nothing imagined yet"
    figure.text(0.2, 0.24, caption, color=SOFT, fontsize=8.5, va="center")
    kept = [f"{f.name} {value_text(f, scene.observed[f.name])}" for f in captions(scene.schema)]
    figure.text(0.2, 0.2, "\n".join(kept[:5]), color=SOFT, fontsize=8.5, va="top")


def _lines(figure: Any, scene: Scene) -> None:
    """Scalars so far, and the future imagined last."""
    names = scalars(scene.schema)[:4]
    since = max(0, len(scene.past) - 120)
    past = scene.past[since:]
    for k, f in enumerate(names):
        axes = figure.add_axes((0.09, 0.72 - 0.215 * k, 0.34, 0.155))
        axes.plot([float(p.observed[f.name]) for p in past], color=INK, linewidth=1.3)
        start = next((t for t in reversed(range(len(past))) if past[t].ahead), None)
        if start is not None and (future := past[start].ahead) is not None:
            axes.plot(range(start, start + len(future[f.name])), future[f.name].astype(float), color=AHEAD_BLUE,
                      linewidth=1.1)
        axes.set_title(f.name + (f" ({f.unit})" if f.unit else ""), fontsize=8, loc="left", color=INK)
        axes.tick_params(labelsize=6.5, colors=SOFT)
        axes.spines[["top", "right"]].set_visible(False)


def _words(figure: Any, scene: Scene) -> None:
    """The text beside: what it does, its plan, the rules at work, what was expected, the goal."""
    expected = "nothing yet" if not scene.is_expected else "; ".join(scene.otherwise) or "as it came"
    blocks = [
        ("doing", scene.doing or "the episode is over", INK, 2),
        ("plan", " → ".join(scene.coming) or "none beyond this step", AHEAD_BLUE, 3),
        ("active rules", "\n".join(scene.active) or "none fires", GOLD if scene.active else SOFT, 8),
        ("expected", expected, RED if scene.otherwise else GREEN, 3),
        *([("shield", scene.shielded, RED, 2)] if scene.shielded else []),
        *([("goal", "\n".join(("✓ " if done else "· ") + text for done, text in scene.ticks()), INK, 6)]
          if scene.milestones else []),
    ]
    y = 0.88
    for name, text, colour, most in blocks:
        lines = [line for part in text.splitlines() for line in wrap(part, 62)] or [""]
        if len(lines) > most:
            lines = [*lines[: most - 1], lines[most - 1][:58] + " ..."]
        figure.text(0.47, y, name, color=SOFT, fontsize=8.5, va="top")
        figure.text(0.47, y - 0.037, "\n".join(lines), color=colour, fontsize=9.5, va="top", linespacing=1.3)
        y -= 0.065 + 0.036 * len(lines)
