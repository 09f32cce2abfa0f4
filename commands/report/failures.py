"""Where and why it failed: episodes not solved, where the world departed from what was imagined, and which rule had a
say in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .boards import happened
from .films import name_of
from .run import Run

if TYPE_CHECKING:
    from ...agent.journal import Film
    from ...agent.recording import Frame
    from ...world.schema import Schema

EPISODES, DEPARTURES = 8, 5


@dataclass(frozen=True)
class Departure:
    """What went otherwise than imagined, as often as it did: `rules` are those that fired on the prediction."""

    action: str
    expected: str
    observed: str
    rules: tuple[str, ...]
    steps: tuple[int, ...]


@dataclass(frozen=True)
class Failure:
    """An episode that was not solved, why as far as it can be read off, and its details."""

    name: str
    why: str
    why_not: str = ""    # why the goal could not be reached, where the agent was asked
    milestones: tuple[tuple[str, bool], ...] = ()
    departures: tuple[Departure, ...] = ()
    more: int = 0
    shielded: tuple[tuple[str, int], ...] = ()    # rule, how often
    setbacks: tuple[tuple[tuple[str, str], ...], ...] = ()    # fields of each, as they were noted


@dataclass(frozen=True)
class Failures:
    shown: list[Failure]
    failed: int
    played: int

    @property
    def left_out(self) -> int:
        return self.failed - len(self.shown)


def failures(run: Run) -> Failures:
    """The last episodes that were not solved, newest first."""
    played = run.of("episode")
    failed = [e for e in played if not e.get("solved")]
    films = {film.event.get("number"): film for film in run.films}
    shown = [_failure(run.schema, e, films.get(e.get("number"))) for e in failed[::-1][:EPISODES]]
    return Failures(shown, len(failed), len(played))


def _failure(schema: Schema | None, event: dict[str, Any], film: Film | None) -> Failure:
    frames, dropped = (film.frames, film.dropped) if film is not None else ((), 0)
    departures = _departures(schema, frames, dropped) if schema is not None else []
    milestones = tuple((str(text), bool(done)) for text, done in event.get("milestones") or [])
    shielded = Counter(str(s.get("rule")) for s in event.get("shielded_actions") or [] if isinstance(s, dict))
    setbacks = tuple(_setback(s) for s in event.get("setbacks") or [])
    why = _why(event, departures, milestones, _surprising(schema, frames, dropped))
    return Failure(name_of(event), why, str(event.get("why_not") or ""), milestones, tuple(departures[:DEPARTURES]),
                   max(0, len(departures) - DEPARTURES), tuple(shielded.most_common()), setbacks[-DEPARTURES:])


def _setback(noted: Any) -> tuple[tuple[str, str], ...]:
    """A setback as names and words, whatever fields it has."""
    if not isinstance(noted, dict):
        return (("", str(noted)),)
    return tuple((str(k).replace("_", " "), _words(v)) for k, v in noted.items() if v not in (None, "", []))


def _why(event: dict[str, Any], departures: list[Departure], milestones: tuple[tuple[str, bool], ...],
         surprising: str) -> str:
    """What can be read off an episode, in a sentence or two."""
    if event.get("cut"):
        return f"Broken off after {event.get('steps', 0)} steps."
    steps, came, total = int(event.get("steps") or 0), int(event.get("departures") or 0), event.get("total_reward") or 0
    parts = [f"{steps} steps, return {total:.3g}."]
    if missing := [text for text, done in milestones if not done]:
        reached = len(milestones) - len(missing)
        parts.append(f"{reached} of {len(milestones)} milestones were reached; next would have been `{missing[0]}`.")
    if came:
        parts.append(f"The world departed from what was imagined {came} time{'s' * (came > 1)}.")
        if departures:
            worst = departures[0]
            many = "s" * (len(worst.rules) > 1)
            blamed = f"for which {len(worst.rules)} rule{many} fired" if worst.rules else \
                "which the learned model made alone"
            parts.append(f"Most often a prediction failed for {worst.action}, {blamed}.")
    elif surprising:
        parts.append(surprising)
    elif event.get("departures") is not None:
        parts.append("Every step came as it was imagined: what was imagined did not lead to success "
                     "within the steps and the budget there were.")
    if broken := int(event.get("broken") or 0):
        parts.append(f"A limit was broken on {broken} step{'s' * (broken > 1)}.")
    return " ".join(parts)


def _surprising(schema: Schema | None, frames: tuple[Frame, ...], dropped: int) -> str:
    """Where nothing is discrete, no step departs as such: which one the prediction was worst for."""
    if schema is None or len(frames) < 2 or any(f.is_discrete for f in schema.features):
        return ""
    worst = max(range(1, len(frames)), key=lambda t: frames[t].surprise)
    usual = sorted(f.surprise for f in frames[1:])[len(frames) // 2 - 1]
    return (f"What came was most surprising at step {worst + dropped}: {frames[worst].surprise:.3g} nats, "
            f"where {usual:.3g} is usual.")


def _departures(schema: Schema, frames: tuple[Frame, ...], dropped: int) -> list[Departure]:
    """Steps on which a discrete feature came otherwise than imagined; equal ones together, the most frequent first."""
    discrete = {f.name for f in schema.features if f.is_discrete}
    found: dict[tuple[str, str, str, tuple[str, ...]], list[int]] = {}
    for t in range(1, len(frames)):
        now, frame = frames[t - 1], frames[t]
        if frame.imagined is None or all((frame.imagined[k] == frame.observed[k]).all() for k in discrete):
            continue
        expected = happened(schema, now.observed, frame.imagined)
        observed = happened(schema, now.observed, frame.observed)
        key = (frame.action, _listed(expected), _listed(observed), frame.fired)
        found.setdefault(key, []).append(t + dropped)
    ordered = sorted(found.items(), key=lambda item: -len(item[1]))
    return [Departure(*key, tuple(steps)) for key, steps in ordered]


def _listed(texts: list[str]) -> str:
    return "; ".join(texts[:4]) + (f"; {len(texts) - 4} more" if len(texts) > 4 else "") if texts else "nothing changes"


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{k}: {_words(v)}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(map(_words, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
