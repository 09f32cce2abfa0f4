"""A run as it lies in its folder, whatever of it is there: every part is optional, and what is missing is said."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import GedankenError, UserError

if TYPE_CHECKING:
    from ...agent.agent import Agent
    from ...agent.journal import Film
    from ...memory.experience.record import Transitions
    from ...memory.long_term import Episode
    from ...memory.rules import RuleRecord
    from ...prompts import Call
    from ...world.schema import Schema

AGENT, REPORT = "agent", "report.json"
RULES = "rules.json"


@dataclass
class Run:
    """What is known of a run. `home` is the agent's folder, `gaps` says what is missing or damaged, and what is left
    out of the report for it. `history` has every record of a rule, by its id."""

    name: str
    home: Path
    gaps: list[str] = field(default_factory=list)
    header: Mapping[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    films: list[Film] = field(default_factory=list)
    history: dict[str, list[RuleRecord]] = field(default_factory=dict)
    lived: list[Episode] = field(default_factory=list)
    transitions: Transitions | None = None
    calls: list[Call] = field(default_factory=list)
    report: Mapping[str, Any] = field(default_factory=dict)
    schema: Schema | None = None
    agent: Agent | None = None

    def of(self, event: str) -> list[dict[str, Any]]:
        """The events of one kind, oldest first."""
        return [e for e in self.events if e["event"] == event]

    @property
    def env(self) -> str:
        world = self.of("world")
        return str(self.header.get("env") or (world[-1].get("env") if world else None) or self.report.get("env") or
                   (self.schema.name if self.schema else "a world without a name"))


@contextmanager
def opened(folder: Path, env: str | None = None) -> Iterator[Run]:
    """The run in a folder, its memory as a copy, so that looking changes nothing.

    Raises `UserError` for a folder that holds no run.
    """
    from ...agent.checkpoint import CALLS, MEMORY, STATE
    from ...agent.journal import EVENTS

    parts = (STATE, MEMORY, EVENTS, RULES, CALLS)
    homes = [home for home in (folder, folder / AGENT) if any((home / part).exists() for part in parts)]
    if not homes and not (folder / REPORT).is_file():
        there = "there is no such folder" if not folder.exists() else f"it has none of {', '.join(parts)}"
        raise UserError(f"{folder} is not a run: {there}; give the folder that agent.save, `gedanken learn --out` or "
                        "`gedanken demo --out` wrote")
    run = Run(folder.resolve().name or str(folder), homes[0] if homes else folder / AGENT)
    with tempfile.TemporaryDirectory(prefix="gedanken-report-", ignore_cleanup_errors=True) as aside:
        _read_report(run, folder / REPORT)
        _read_journal(run)
        copy = _read_memory(run, Path(aside) / MEMORY)
        _read_calls(run, run.home / CALLS)
        try:
            _read_agent(run, env, copy)
            yield run
        finally:
            if run.agent is not None:
                run.agent.close()
                run.agent.env.close()


def _read_report(run: Run, path: Path) -> None:
    if not path.is_file():
        return
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        run.gaps.append(f"{REPORT} is damaged ({error}): no comparison of the demo's arms")
        return
    if isinstance(report, dict) and isinstance(report.get("arms"), dict):
        run.report = report


def _read_journal(run: Run) -> None:
    from ...agent.journal import EVENTS, read_events, read_films
    from ...world.schema_file import schema_from

    run.events, damaged = read_events(run.home)
    if not run.events:
        run.gaps.append(f"{EVENTS} is missing or empty (nothing was told, trained or played since the run began, or an "
                        "older version wrote it): no learning curves and no episodes")
    if damaged:
        run.gaps.append(f"{damaged} damaged line{'s' * (damaged > 1)} of {EVENTS} left out")
    for path, film in read_films(run.home):
        if film is None:
            run.gaps.append(f"episodes/{path.name} is damaged: not shown")
        else:
            run.films.append(film)
    for world in reversed(run.of("world")):
        try:
            run.schema = schema_from(world.get("schema"))
            break
        except UserError as error:
            run.gaps.append(f"the world in {EVENTS} cannot be read ({error})")


def _read_memory(run: Run, copy: Path) -> Path | None:
    """Read a copy of the memory; None where there is none to read."""
    from ...memory.file import MemoryFile
    from ...memory.long_term import LongTerm

    path = run.home / copy.name
    if not path.exists():
        run.gaps.append(f"{copy.name} is missing: no interactions, and no history of the rules")
        return None
    try:
        with MemoryFile(path) as file:
            file.snapshot(copy)
        with MemoryFile(copy) as file:
            worlds = file.worlds()
        for world in worlds[-1:]:
            with LongTerm(copy, world.layout) as memory:
                for record in memory.rules.latest():
                    run.history[record.rule.id] = memory.rules.history(record.rule.id)
                run.lived = memory.episodes()
                run.transitions = memory.transitions(last=20_000)
    except GedankenError as error:
        run.gaps.append(f"{copy.name} cannot be read whole ({error})")
        return None
    return copy


def _read_calls(run: Run, path: Path) -> None:
    from ...prompts import read_calls

    if path.is_file():
        found, damaged = read_calls(path)
        run.calls = list(found.values())
        if damaged:
            run.gaps.append(f"{damaged} damaged line{'s' * (damaged > 1)} of {path.name} left out")


def _read_agent(run: Run, env: str | None, memory: Path | None) -> None:
    """The agent itself, where its weights and its environment are there."""
    from ...agent.checkpoint import STATE, saved_header
    from ..worlds import load_agent

    lost = 'rules without words, and no "what if"'
    try:
        run.header = saved_header(run.home)
        if memory is not None:
            run.agent = load_agent(run.home, env, llm=None, memory=memory)
            run.schema = run.agent.schema
            run.agent.check(effects=False)    # by all that is in memory now, episodes played since included
    except GedankenError as error:
        is_there = (run.home / STATE).exists()
        run.gaps.append(f"{error}: {lost}" if is_there else
                        f"{STATE} is missing (the run was cut off before it was saved): {lost}")
