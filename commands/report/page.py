"""The page: every section's figures put into one self-contained HTML file.

Whatever a user, an environment or a model wrote is data here: escaped by the templates, its invisible characters
written out, and no script of its own would run, since the page's policy admits one script by its hash and no network.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..output import printable, versions
from .boards import Boards
from .charts import Chart
from .curves import curves
from .failures import Failures, failures
from .films import FilmView, films
from .headline import Costs, Headline, costs, headline
from .run import Run
from .told import RuleView, Told, told
from .whatif import WhatIf, what_if


@dataclass(frozen=True)
class Part:
    """What the page says of one run; `rules` finds a rule by its text."""

    key: str
    name: str
    headline: Headline
    told: Told
    films: list[FilmView]
    failures: Failures
    what_if: WhatIf | None
    costs: Costs
    gaps: list[str]
    rules: dict[str, RuleView]

    @property
    def ids(self) -> set[str]:
        return {rule.id for rule in self.rules.values()}


@dataclass(frozen=True)
class Report:
    """Everything that is shown of some runs: the page is made of it, and the figures for papers."""

    parts: list[Part]
    curves: list[Chart]
    boards: Boards


def report_of(runs: Sequence[Run]) -> Report:
    """What there is to say of these runs."""
    boards = Boards()
    return Report([_part(f"run{i}", run, boards) for i, run in enumerate(runs)], curves(runs), boards)


def page(report: Report) -> str:
    """The report as HTML."""
    environment = Environment(loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True, finalize=_shown)
    environment.filters["data"] = _data
    environment.globals["size_of"] = report.boards.sizes.__getitem__
    assert environment.loader is not None
    script = environment.loader.get_source(environment, "script.js")[0].strip()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    html: str = environment.get_template("page.html.j2").render(
        report=report, parts=report.parts, several=len(report.parts) > 1, script=Markup(script), digest=digest,
        made=f"{datetime.now().astimezone():%d %B %Y, %H:%M}", versions=versions())
    return html


def _part(key: str, run: Run, boards: Boards) -> Part:
    known = told(run)
    return Part(key, run.name, headline(run, known), known, films(run, boards), failures(run), what_if(run, boards),
                costs(run), run.gaps, {rule.text: rule for rule in known.rules})


def _shown(value: Any) -> Any:
    """A text as it can be shown: nothing that turns the order of reading, or is not seen."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _data(value: Any) -> Markup:
    """JSON inside a script element: no character of it can end the element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
