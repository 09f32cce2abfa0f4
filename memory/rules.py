"""The history of the rules: how each stood with the data whenever that changed, appended and never overwritten.

What rules there are is said elsewhere (`rules.txt`); here stands what became of them, for whoever asks later. Memory
knows a rule as text with an id; evidence is a few named numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from .database import Database
from .text import clean

_COLUMNS = "rule, text, source, status, evidence, sentence, origin, position, at"


@dataclass(frozen=True)
class Standing:
    """A rule as it stands: who said it (`source`), as what `sentence` ("": as a rule line), by which language model and
    prompt (`origin`, "": none), its status, and its evidence (hits, violations, ... by name)."""

    id: str
    text: str
    source: str
    status: str
    evidence: dict[str, float] = field(default_factory=dict)
    sentence: str = ""
    origin: str = ""


@dataclass(frozen=True)
class RuleRecord:
    """How a rule stood `at` a time (seconds since 1970), when memory had come to `position`."""

    rule: Standing
    position: int
    at: float


class Rules:
    """The rule history of one world in a memory file. Ids are those of the knowledge base that writes."""

    def __init__(self, database: Database, world: int, clock: Callable[[], float]) -> None:
        self._database = database
        self._world = world
        self._clock = clock

    def record(self, rules: Iterable[Standing], position: int) -> int:
        """Append those of the rules that stand otherwise than when they were last recorded; how many there were."""
        with self._database.transaction():
            last = {record.rule.id: record.rule for record in self.latest()}
            news = [rule for rule in map(_clean, rules) if last.get(rule.id) != rule]
            self._database.execute_many(
                f"INSERT INTO rule_history (world, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(self._world, rule.id, rule.text, rule.source, rule.status, json.dumps(rule.evidence), rule.sentence,
                  rule.origin, int(position), self._clock()) for rule in news],
            )  # fmt: skip
            return len(news)

    def history(self, id: str) -> list[RuleRecord]:
        """Everything that was recorded of one rule, oldest first."""
        return self._read("WHERE world = ? AND rule = ? ORDER BY seq", (self._world, id))

    def latest(self) -> list[RuleRecord]:
        """The newest record of every rule, in the order in which they were first recorded."""
        return self._read(
            """JOIN (SELECT max(seq) AS newest, min(seq) AS first FROM rule_history WHERE world = ? GROUP BY rule)
               ON seq = newest ORDER BY first""",
            (self._world,),
        )

    def _read(self, where: str, values: tuple[Any, ...]) -> list[RuleRecord]:
        rows = self._database.rows(f"SELECT {_COLUMNS} FROM rule_history {where}", values)
        return [
            RuleRecord(Standing(rule, text, source, status, json.loads(evidence), sentence, origin), position, at)
            for rule, text, source, status, evidence, sentence, origin, position, at in rows
        ]


def _clean(rule: Standing) -> Standing:
    """The rule as it comes back from the file."""
    evidence = {clean(name): float(value) for name, value in rule.evidence.items()}
    texts = (clean(text) for text in (rule.sentence, rule.origin))
    return Standing(clean(rule.id), clean(rule.text), clean(rule.source), clean(rule.status), evidence, *texts)
