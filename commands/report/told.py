"""What the agent was told and what became of it: each sentence with its rules, and what it found out by itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from . import charts
from .run import RULES, Run

if TYPE_CHECKING:
    from ...memory.rules import RuleRecord
    from ...world.knowledge import Entry

LOOKS = 40
"""Moments at which a rule's evidence is drawn."""
FOUND = 24
"""Rules found by itself that are shown."""


@dataclass(frozen=True)
class RuleView:
    """A rule as the page shows it. `hits` of `support` transitions agree, `low` to `high` is the interval of that
    share; `line` and `band` draw it over the interactions, from none to `until`. `effect` is by how many nats a
    transition it lowers the model's held-out error, with its standard error `spread` (None: not measured)."""

    id: str
    text: str
    words: str = ""
    source: str = ""
    status: str = "untested"
    hits: float = 0
    support: float = 0
    low: float = 0.0
    high: float = 1.0
    is_behaviour: bool = False
    effect: float | None = None
    spread: float = 0.0
    is_harmful: bool = False
    note: str = ""
    line: str = ""
    band: str = ""
    until: int = 0
    course: tuple[tuple[int, float, float, float], ...] = ()    # interactions, share, low, high
    turns: tuple[tuple[str, int], ...] = ()    # status, at which interaction


@dataclass(frozen=True)
class SentenceView:
    """A sentence with its rules; `fate` and `reason` say why there are none, or what was doubtful."""

    text: str
    source: str
    fate: str
    reason: str = ""
    rules: tuple[RuleView, ...] = ()
    readings: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Told:
    sentences: list[SentenceView] = field(default_factory=list)
    found: list[RuleView] = field(default_factory=list)
    left_out: int = 0
    is_measured: bool = False

    @property
    def rules(self) -> list[RuleView]:
        return [rule for s in self.sentences for rule in s.rules] + self.found


def told(run: Run) -> Told:
    """Everything that was told, in the order of telling; then what was found."""
    views = _from_agent(run) if run.agent is not None else _from_files(run)
    by_text = {view.text: view for view in views.values()}
    sentences: dict[str, SentenceView] = {}
    shown: set[str] = set()
    for event in run.of("told"):
        rules = [r for r in event.get("rules") or [] if isinstance(r, dict)]
        kept = tuple(view for r in rules if (view := views.get(str(r.get("id"))) or by_text.get(str(r.get("text")))))
        readings = tuple((str(text), float(c)) for text, c in event.get("readings") or [])
        text = str(event.get("sentence", ""))
        sentences[text] = SentenceView(text, str(event.get("source", "")), str(event.get("fate", "")),
                                       str(event.get("reason", "")), kept, () if kept else readings)
        shown |= {view.id for view in kept}
    for sentence, group in _grouped(run, {k: v for k, v in views.items() if k not in shown}).items():
        if sentence not in sentences and group[0].source in ("user", "manual", "demonstration"):
            sentences[sentence] = SentenceView(sentence, group[0].source, "rule", rules=tuple(group))
            shown |= {view.id for view in group}
    found = sorted((v for v in views.values() if v.id not in shown), key=lambda v: (v.status != "supported", -v.hits))
    return Told(list(sentences.values()), found[:FOUND], max(0, len(found) - FOUND),
                any(v.effect is not None for v in views.values()))


def _grouped(run: Run, views: Mapping[str, RuleView]) -> dict[str, list[RuleView]]:
    """Rules by the sentence they come from; one told as a rule line stands for itself."""
    said = {e.id: e.sentence for e in run.agent.rules} if run.agent else {
        id: records[-1].rule.sentence for id, records in run.history.items()}
    groups: dict[str, list[RuleView]] = {}
    for id, view in views.items():
        groups.setdefault(said.get(id) or view.text, []).append(view)
    return groups


# --- from the agent ---------------------------------------------------------------------------------------------------


def _from_agent(run: Run) -> dict[str, RuleView]:
    from ...world.checking import BEHAVIOUR
    from ...world.rules.words import to_words

    agent = run.agent
    assert agent is not None
    entries = agent.rules
    courses, effects = _courses(run, entries), _effects(run, entries)
    views = {}
    for e in entries:
        effect = effects.get(e.id)
        course = courses.get(e.id, ())
        low, high = e.evidence.interval
        line, band = _sparked(course)
        views[e.id] = RuleView(
            e.id, e.text, to_words(e.rule, agent.mind.knowledge.schema), e.source, e.status, e.evidence.hits,
            e.evidence.support, low, high, isinstance(e.rule.statement, BEHAVIOUR),
            effect[0] if effect else e.effect, effect[1] if effect else 0.0, effect[2] if effect else e.is_harmful,
            _note(e), line, band, course[-1][0] if course else 0, course,
            _turns(run.history.get(e.id, ()), e.status, len(run.transitions or ())))
    return views


def _courses(run: Run, entries: Sequence[Entry]) -> dict[str, tuple[tuple[int, float, float, float], ...]]:
    """How each world rule stood after ever more of the transitions in memory: (interactions, share, low, high)."""
    from ...world.checking import interval
    from ...world.checking.verdicts import as_rows, spans_of, verdicts

    lived, agent = run.transitions, run.agent
    if lived is None or not len(lived) or agent is None:
        return {}
    schema = agent.mind.knowledge.schema
    rules = [(e.id, rule) for e in entries if e.status != "retired" and (rule := e.acting) is not None]
    if not rules:
        return {}
    found = verdicts([rule for _, rule in rules], as_rows(schema, lived), lived, spans_of(schema, lived))
    applied = found.applies.cumsum(1)
    held = (found.applies & found.holds).cumsum(1)
    looks = np.unique(np.linspace(0, len(lived) - 1, min(LOOKS, len(lived))).astype(int))
    courses = {}
    for k, (id, _) in enumerate(rules):
        support, hits = applied[k, looks].tolist(), held[k, looks].tolist()
        if not support[-1]:
            continue
        courses[id] = tuple((int(at) + 1, h / n if n else float("nan"), *interval(h, n - h))
                            for at, n, h in zip(looks, support, hits, strict=True) if n)
    return courses


def _effects(run: Run, entries: Sequence[Entry]) -> dict[str, tuple[float, float, bool]]:
    """What each correction changes in the model's error on transitions held out from its training."""
    from ...errors import GedankenError
    from ...world.checking import BEHAVIOUR
    from ...world.checking.effect import effects

    agent = run.agent
    if agent is None or not agent.trained_on or agent.trainer is None:
        return {}
    held_out = agent.mind.replay.transitions(held_out=True)
    acting = {e.id: rule for e in entries if e.status != "retired" and (rule := e.acting) is not None
              and not isinstance(rule.statement, BEHAVIOUR)}
    if not len(held_out) or not acting:
        return {}
    try:
        found = effects(list(acting.values()), agent.mind.learned, held_out, agent.mind.knowledge.schema)
    except GedankenError as error:
        run.gaps.append(f"the rules' effect on the held-out error could not be measured ({error})")
        return {}
    return {id: (e.alone, e.spread, e.is_harmful) for id, e in zip(acting, found, strict=True)}


def _note(e: Entry) -> str:
    if e.evidence.exception is not None:
        return f"fails where {e.evidence.exception.condition}"
    if e.is_drifting:
        return "it used to hold and has begun to fail"
    return e.fitting.removeprefix("# ")


# --- from the files alone ---------------------------------------------------------------------------------------------


def _from_files(run: Run) -> dict[str, RuleView]:
    """The rules as memory's history or `rules.json` has them, in the words that were noted when they were told."""
    words = {str(r.get("text")): str(r.get("words", "")) for event in run.of("told") for r in event.get("rules") or []
             if isinstance(r, dict)}
    views = {}
    for id, records in run.history.items():
        rule, evidence = records[-1].rule, records[-1].rule.evidence
        hits, violations = evidence.get("hits", 0.0), evidence.get("violations", 0.0)
        course = tuple((r.position, r.rule.evidence["hits"] / n, r.rule.evidence.get("lower", 0.0),
                        r.rule.evidence.get("upper", 1.0)) for r in records
                       if (n := r.rule.evidence.get("hits", 0) + r.rule.evidence.get("violations", 0)))
        line, band = _sparked(course)
        views[id] = RuleView(id, rule.text, words.get(rule.text, ""), rule.source, rule.status, hits, hits + violations,
                             evidence.get("lower", 0.0), evidence.get("upper", 1.0), effect=evidence.get("effect"),
                             line=line, band=band, until=course[-1][0] if course else 0, course=course,
                             turns=_turns(records))
    return views or _from_rulebook(run, words)


def _from_rulebook(run: Run, words: Mapping[str, str]) -> dict[str, RuleView]:
    path = run.home / RULES
    if not path.is_file():
        return {}
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        entries = data["entries"]
        return {e["id"]: RuleView(e["id"], e["text"], words.get(e["text"], ""), e["source"], e["status"],
                                  e["evidence"]["hits"], e["evidence"]["hits"] + e["evidence"]["violations"])
                for e in entries}
    except (OSError, ValueError, KeyError, TypeError) as error:
        run.gaps.append(f"{RULES} is damaged ({type(error).__name__}: {error}): its rules are not shown")
        return {}


def _sparked(course: Sequence[tuple[int, float, float, float]]) -> tuple[str, str]:
    if len(course) < 2:
        return "", ""
    return charts.spark([(x, y) for x, y, _, _ in course], [(x, a, b) for x, _, a, b in course])


def _turns(records: Sequence[RuleRecord], now: str = "", position: int = 0) -> tuple[tuple[str, int], ...]:
    """When its status changed: the new one, and after how many interactions; at last what it is `now`."""
    turns: list[tuple[str, int]] = []
    for record in records:
        if not turns or turns[-1][0] != record.rule.status:
            turns.append((record.rule.status, record.position))
    if now and turns and turns[-1][0] != now:
        turns.append((now, position))
    return tuple(turns)
