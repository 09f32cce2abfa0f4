"""The page's figures for papers: PNG at 300 dots an inch, in colours that the colour-blind tell apart (Okabe & Ito
2008). Needs matplotlib (the extra `plots`)."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import UserError
from ...files import write_bytes
from ..filmstrip import figure_of
from .charts import Chart
from .films import name_of
from .headline import Bar
from .run import Run
from .told import RuleView

if TYPE_CHECKING:
    from .page import Report

DPI = 300
OKABE = {"c1": "#0072B2", "c2": "#E69F00", "c3": "#009E73", "c4": "#7F7F7F", "ink": "#000000"}
RULES = 12


def draw(runs: Sequence[Run], report: Report, folder: Path) -> list[Path]:
    """Write every figure of the report to a folder. Raises `UserError` without matplotlib."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError(f'figures need matplotlib ({error}); run: python -m pip install "gedanken[plots]"') from error
    written = []
    style = {"font.size": 8, "font.family": "DejaVu Sans", "axes.spines.top": False, "axes.spines.right": False,
             "legend.frameon": False, "text.parse_math": False}
    with matplotlib.rc_context(style):
        for name, figure in _figures(runs, report, Figure):
            buffer = io.BytesIO()
            figure.savefig(buffer, dpi=DPI, format="png", facecolor="white")
            path = folder / f"{name}.png"
            write_bytes(path, buffer.getvalue())
            written.append(path)
    return written


def _figures(runs: Sequence[Run], report: Report, figure_type: Any) -> Iterator[tuple[str, Any]]:
    for chart in report.curves:
        yield _slug(chart.title), _chart(chart, figure_type)
    for run, part in zip(runs, report.parts, strict=True):
        prefix = f"{_slug(run.name)}-" if len(runs) > 1 else ""
        if part.headline.bars:
            yield f"{prefix}arms", _bars(part.headline.bars, figure_type)
        drawn = [rule for rule in part.told.rules if len(rule.course) > 1]
        if drawn:
            yield f"{prefix}rules", _rules(drawn[:RULES], figure_type)
        for film in run.films[:4]:
            if run.schema is not None and film.frames:
                figure = figure_of(run.schema, film.frames, f"{run.env}: {name_of(film)}")
                if figure is not None:
                    yield f"{prefix}{_slug(name_of(film))}", figure


def _chart(chart: Chart, figure_type: Any) -> Any:
    figure = figure_type(figsize=(3.4, 2.3), layout="constrained")
    axes = figure.add_subplot()
    for s in chart.source:
        x, y = zip(*s.points, strict=True) if s.points else ((), ())
        colour = OKABE[s.colour]
        if s.band:
            at, low, high = zip(*s.band, strict=True)
            axes.fill_between(at, low, high, color=colour, alpha=0.2, linewidth=0)
        if s.dots:
            axes.plot(x, y, ".", color=colour, markersize=2, label=s.name)
        else:
            axes.plot(x, y, color=colour, linewidth=0.7 if s.thin else 1.4, label=s.name)
    if chart.log:
        axes.set_yscale("log")
    if len({s.name for s in chart.source}) > 1:
        axes.legend(fontsize=6.5)
    axes.set(title=chart.title, xlabel=chart.x_label)
    return figure


def _bars(bars: Sequence[Bar], figure_type: Any) -> Any:
    figure = figure_type(figsize=(3.4, 0.6 + 0.36 * len(bars)), layout="constrained")
    axes = figure.add_subplot()
    for i, bar in enumerate(bars):
        axes.barh(i, bar.share, color=OKABE[bar.colour], height=0.6)
        axes.errorbar(bar.share, i, xerr=[[max(0.0, bar.share - bar.low)], [max(0.0, bar.high - bar.share)]],
                      color="black", linewidth=0.9, capsize=2.5)
    axes.set_yticks(range(len(bars)), [f"{bar.name} ({bar.solved}/{bar.episodes})" for bar in bars])
    axes.invert_yaxis()
    axes.set(xlim=(0, 100), xlabel="episodes solved, % (95% interval)")
    return figure


def _rules(rules: Sequence[RuleView], figure_type: Any) -> Any:
    columns = min(3, len(rules))
    rows = -(-len(rules) // columns)
    figure = figure_type(figsize=(2.3 * columns, 1.5 * rows), layout="constrained")
    for i, rule in enumerate(rules):
        axes = figure.add_subplot(rows, columns, i + 1)
        x, y, low, high = zip(*rule.course, strict=True)
        axes.fill_between(x, low, high, color=OKABE["c3"], alpha=0.2, linewidth=0)
        axes.plot(x, y, color=OKABE["c3"], linewidth=1.2)
        axes.set_title(f"{rule.id}  {rule.text[:34]}{'...' * (len(rule.text) > 34)}", fontsize=5.5, loc="left")
        axes.set(ylim=(-0.05, 1.05))
        axes.tick_params(labelsize=6)
    figure.supxlabel("interactions", fontsize=7)
    figure.supylabel("share on which it held", fontsize=7)
    return figure


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "figure"
