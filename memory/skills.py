"""Skills: chains of deeds that led to something, as text, with how often they were tried and how often they worked.

Memory knows a skill as lines of text with a purpose; who uses it parses them, and passes over what does not parse.
Skills speak in names of features, not of places: they are shared by all worlds of one file, whatever their size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .database import Database
from .notes.notes import Link
from .text import clean

MOST = 200
"""So many are kept; beyond, those go that stand worst, of equal ones the longest unused."""
_LINKS = 20  # the newest stretches of experience that a skill rests on


@dataclass(frozen=True)
class SkillRecord:
    """A skill as it is kept: `text` a line a deed, `purpose` what it led to ("": a reward). It was `tried` in so many
    episodes and `worked` in so many of them; times are seconds since 1970."""

    id: int
    text: str
    purpose: str
    source: str
    tried: int
    worked: int
    created: float
    used: float
    links: tuple[Link, ...] = ()

    @property
    def standing(self) -> float:
        """The share of tries that worked, by Laplace's rule of succession, in (0, 1)."""
        return (self.worked + 1) / (self.tried + 2)


class Skills:
    """The skills of a memory file."""

    def __init__(self, database: Database, clock: Callable[[], float], most: int = MOST) -> None:
        self._database, self._clock, self._most = database, clock, most

    def add(self, text: str, purpose: str = "", source: str = "agent", link: Link | None = None) -> int:
        """Keep a skill that has just worked, and return its id. One that is known gets the link alone."""
        now = self._clock()
        with self._database.transaction():
            values = clean(text), clean(purpose)
            self._database.execute(
                """INSERT INTO skills (text, purpose, source, tried, worked, created, used)
                   VALUES (?1, ?2, ?3, 1, 1, ?4, ?4) ON CONFLICT (text, purpose) DO UPDATE SET used = ?4""",
                (*values, clean(source), now),
            )
            ((id,),) = self._database.rows("SELECT id FROM skills WHERE text = ? AND purpose = ?", values)
            if link is not None:
                self._link(id, [link])
            self._database.execute(
                """DELETE FROM skills WHERE id <> ?1 AND id IN (SELECT id FROM skills
                   ORDER BY id = ?1 DESC, (worked + 1.0) / (tried + 2) DESC, used DESC, id DESC LIMIT -1 OFFSET ?2)""",
                (id, self._most),
            )
        return int(id)

    def reword(self, id: int, text: str) -> int:
        """Give a skill another text; where that is another skill's, the two become one. The id it has then."""
        with self._database.transaction():
            text = clean(text)
            same = self._database.rows(
                """SELECT o.id FROM skills o JOIN skills s ON s.purpose = o.purpose
                   WHERE s.id = ?1 AND o.id <> ?1 AND o.text = ?2""", (int(id), text))  # fmt: skip
            if not same:
                self._database.execute("UPDATE skills SET text = ?2 WHERE id = ?1", (int(id), text))
                return int(id)
            ((other,),) = same
            self._database.execute(
                """UPDATE skills SET tried = skills.tried + o.tried, worked = skills.worked + o.worked,
                   used = max(skills.used, o.used)
                   FROM (SELECT tried, worked, used FROM skills WHERE id = ?2) o WHERE skills.id = ?1""",
                (other, int(id)),
            )
            self._link(other, self._links().get(int(id), ()))
            self.forget([id])
            return int(other)

    def count(self, ids: Iterable[int], worked: bool) -> None:
        """Skills were tried in an episode; whether what it was for came about."""
        with self._database.transaction():
            self._database.execute_many(
                "UPDATE skills SET tried = tried + 1, worked = worked + ?, used = ? WHERE id = ?",
                [(int(worked), self._clock(), int(id)) for id in ids],
            )

    def all(self) -> list[SkillRecord]:
        """Those that stand best first, of equal ones the newest used."""
        with self._database.view():
            links = self._links()
            rows = self._database.rows("SELECT id, text, purpose, source, tried, worked, created, used FROM skills")
        found = [SkillRecord(*(*row, links.get(row[0], ()))) for row in rows]
        return sorted(found, key=lambda s: (-s.standing, -s.used, -s.id))

    def forget(self, ids: Iterable[int]) -> int:
        """Delete skills; how many there were."""
        with self._database.transaction():
            return self._database.execute_many("DELETE FROM skills WHERE id = ?", [(int(id),) for id in ids])

    def __len__(self) -> int:
        return int(self._database.rows("SELECT count(*) FROM skills")[0][0])

    def __bool__(self) -> bool:
        return True

    def _links(self) -> dict[int, tuple[Link, ...]]:
        found: dict[int, tuple[Link, ...]] = {}
        for skill, *link in self._database.rows(
                "SELECT skill, episode, first, last FROM skill_links ORDER BY skill, episode, first"):
            found[skill] = (*found.get(skill, ()), tuple(link))
        return found

    def _link(self, id: int, links: Iterable[Link]) -> None:
        self._database.execute_many("INSERT OR IGNORE INTO skill_links VALUES (?, ?, ?, ?)",
                                    [(id, *map(int, link)) for link in links])
        self._database.execute(
            """DELETE FROM skill_links WHERE skill = ?1 AND (episode, first) NOT IN (SELECT episode, first
               FROM skill_links WHERE skill = ?1 ORDER BY episode DESC, first DESC LIMIT ?2)""", (id, _LINKS))
