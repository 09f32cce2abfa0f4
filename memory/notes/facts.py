"""Facts: subject, relation, value, true from - until. Facts are appended and superseded, never overwritten.

Of each subject and relation there is one line of time. A new fact ends the one that held when it begins. What a machine
or the environment says never ends a person's fact: it is kept beside it, disputed, and left out of answers unless asked
for (`disputed`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import UserError
from ..database import Database
from ..origin import Origin, origin_of, outranks
from ..text import limited, name

_COLUMNS = "id, subject, relation, value, source, origin, since, until, told, successor, disputes"


@dataclass(frozen=True)
class Fact:
    """One fact. Times are seconds since 1970: true from `since` until before `until` (None: still), told at `told`."""

    id: int
    subject: str
    relation: str
    value: str
    source: str
    origin: Origin
    since: float
    until: float | None
    told: float
    superseded_by: int | None
    disputes: int | None  # the person's fact that this one, no person's, contradicts

    def holds(self, time: float) -> bool:
        """Whether it is held to be true at a time."""
        return self.since <= time and (self.until is None or time < self.until)

    def __str__(self) -> str:
        return f"{self.subject} {self.relation} {self.value}"


class Facts:
    """The facts of a memory file."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self.database = database
        self._clock = clock

    def add(
        self,
        subject: str,
        relation: str,
        value: str,
        source: str = "agent",
        since: float | None = None,
        origin: Origin | None = None,
    ) -> int:
        """Remember that `value` is true from `since` (now) on, and return the fact's id.

        The fact of the same subject and relation that held then ends then; one that is known to begin later ends the
        new one there. The same value again is the same fact, but a person's word for what a machine said is kept as a
        fact of the person's. Where a person's fact stands against one that no person told, the new one is disputed:
        see `Fact.disputes`. Subjects and relations are compared without regard to case. Raises `UserError` for empty
        words and a time that is none.
        """
        subject, relation, source, value = name(subject), name(relation), name(source), limited(value)
        if not (subject and relation and value):
            raise UserError(
                "a fact needs a subject, a relation and a value; give all three, for example "
                "facts.add('red key', 'opens', 'red door', source='user')"
            )
        said_by = origin_of(source, origin)
        now = self._clock()
        begins = now if since is None else _time(since)
        with self.database.transaction():
            line = self.history(subject, relation)
            held = [fact for fact in line if fact.holds(begins)]
            for fact in held:
                if fact.value.casefold() == value.casefold() and outranks(fact.origin, said_by):
                    return fact.id
            standing = next((fact for fact in held if not outranks(said_by, fact.origin)), None)
            gives_way = [fact for fact in held if outranks(said_by, fact.origin)]
            after = [fact for fact in line if fact.since > begins and fact.disputes is None]
            ends = min((fact.since for fact in after if outranks(fact.origin, said_by)), default=None)
            contradicted = [fact for fact in after if not outranks(fact.origin, said_by)
                            and (ends is None or fact.since < ends)]  # fmt: skip
            id = self.database.insert(
                """INSERT INTO facts (subject, relation, value, source, origin, since, until, told, disputes)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
                (subject, relation, value, source, said_by, begins, ends, now, standing.id if standing else None),
            )
            self.database.execute_many(
                "UPDATE facts SET disputes = ? WHERE id = ?",
                [(id, fact.id) for fact in contradicted if fact.value.casefold() != value.casefold()],
            )
            self.database.execute_many(
                "UPDATE facts SET until = ?, successor = ? WHERE id = ?", [(begins, id, fact.id) for fact in gives_way]
            )
            return id

    def at(self, time: float | None = None, subject: str | None = None, disputed: bool = False) -> list[Fact]:
        """The facts true at a time (now), of one subject where given; with what is `disputed` beside them."""
        when = self._clock() if time is None else _time(time)
        return self._read(
            """WHERE since <= ?1 AND (until IS NULL OR ?1 < until) AND (?2 IS NULL OR subject = ?2)
               AND (?3 OR NOT EXISTS (SELECT 1 FROM facts told WHERE told.id = facts.disputes
                    AND told.since <= ?1 AND (told.until IS NULL OR ?1 < told.until)))
               ORDER BY subject, relation, since, id""",
            (when, None if subject is None else name(subject), disputed),
        )

    def history(self, subject: str, relation: str | None = None) -> list[Fact]:
        """All that was ever told of a subject, superseded and disputed facts too, in the order in which it was true."""
        return self._read(
            "WHERE subject = ?1 AND (?2 IS NULL OR relation = ?2) ORDER BY since, id",
            (name(subject), None if relation is None else name(relation)),
        )

    def disputed(self) -> list[tuple[Fact, Fact]]:
        """What no person told and contradicts a person's fact, beside that fact; both as yet true."""
        disputes = {fact.disputes: fact for fact in self._read("WHERE disputes IS NOT NULL AND until IS NULL", ())}
        told = self._read("WHERE until IS NULL AND id IN (SELECT value FROM json_each(?))", (_list(disputes),))
        return [(disputes[fact.id], fact) for fact in told]

    def all(self) -> list[Fact]:
        """Every fact, in the order they were told."""
        return self._read("ORDER BY id", ())

    def end(self, id: int, until: float | None = None, source: str = "agent") -> bool:
        """A fact is true no longer from `until` (now) on, says `source`. False, and nothing changes, where it had ended
        before, or is a person's and `source` is none. Raises `UserError` for an unknown fact or a time before it began.
        """
        when = self._clock() if until is None else _time(until)
        with self.database.transaction():
            found = self._read("WHERE id = ?", (int(id),))
            if not found:
                raise UserError(f"{self.database.path}: there is no fact {id}; `facts.all()` lists them with their ids")
            (fact,) = found
            if when < fact.since:
                raise UserError(f"fact {id} began at {fact.since:g} and cannot end at {when:g}; give a later time")
            if not outranks(origin_of(name(source)), fact.origin) or (fact.until is not None and fact.until <= when):
                return False
            self.database.execute("UPDATE facts SET until = ? WHERE id = ?", (when, fact.id))
            return True

    def forget(self, ids: Sequence[int]) -> int:
        """Delete facts for good; how many there were."""
        return self.database.execute("DELETE FROM facts WHERE id IN (SELECT value FROM json_each(?))", (_list(ids),))

    def _read(self, where: str, values: Sequence[Any]) -> list[Fact]:
        return [Fact(*row) for row in self.database.rows(f"SELECT {_COLUMNS} FROM facts {where}", values)]


def _time(seconds: float) -> float:
    if not math.isfinite(seconds):
        raise UserError(f"a fact's time is {seconds}; give seconds since 1970")
    return float(seconds)


def _list(ids: Any) -> str:
    return json.dumps([int(id) for id in ids])
