"""The skills an agent has: lifted from what came true, kept in memory, chosen by what is wanted, judged by what came.

A stretch of an episode becomes a skill when it reached a goal, passed a milestone or was rewarded, and every deed of
it came as imagined. Skills that were in use while an episode reached nothing lose their standing, and from below one
half on they are no longer used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torch import Tensor

from ...errors import UserError
from ...memory.skills import SkillRecord, Skills
from ...world.rules.guards import conjuncts
from ...world.rules.milestones import outcome
from ...world.rules.syntax import Expression
from ...world.schema import Features, Schema
from ..goals import Goal
from ..planning.objective import Carry, Objective, Return
from ..setbacks.setback import fired
from .lifting import Lived, lifted, lived
from .skill import LONGEST, Atoms, Skill

if TYPE_CHECKING:
    from ..mind import Mind

TRUSTED = 0.5
"""The standing from which a skill is used."""
AT_ONCE = 4
"""So many skills lead one search, those that stand best."""


@dataclass
class Skillbook:
    """`refused` says which skills in memory are no skills of this world, and why; `using` are those that lead the
    episode under way, `chain` what was done in it since the last milestone (None: not as imagined)."""

    table: Skills
    refused: dict[int, str] = field(default_factory=dict)
    using: list[int] = field(default_factory=list)
    chain: list[Lived] | None = field(default_factory=list)
    began: int = 0
    has_reached: bool = False
    has_acted: bool = False
    read: dict[tuple[str, str, int], Skill | str] = field(default_factory=dict)

    def begin(self) -> None:
        """A new episode: nothing has been done."""
        self.using, self.chain, self.began, self.has_reached, self.has_acted = [], [], 0, False, False

    def all(self, schema: Schema) -> list[tuple[SkillRecord, Skill]]:
        """The skills that are of this world, those that stand best first; of the others `refused` says why."""
        self.refused, found = {}, []
        for record in self.table.all():
            key = record.text, record.purpose, id(schema)
            if key not in self.read:
                try:
                    self.read[key] = Skill.read(record.text, record.purpose, schema)
                except UserError as error:
                    self.read[key] = str(error)
            skill = self.read[key]
            if isinstance(skill, str):
                self.refused[record.id] = skill
            else:
                found.append((record, skill))
        return found

    def leading(self, schema: Schema, wanted: Sequence[Expression]) -> tuple[Expression, ...]:
        """The milestones of the trusted skills that serve what is `wanted`: hints for a search, which they lead."""
        chosen = [(r, s) for r, s in self.all(schema) if r.standing >= TRUSTED and s.serves(wanted)][:AT_ONCE]
        self.using = [record.id for record, _ in chosen]
        return tuple(dict.fromkeys(m for _, skill in chosen for m in skill.milestones))

    def witness(self, mind: Mind, now: Features, action: Tensor, after: Features, came_true: bool) -> None:
        """Take in one lived step, before the belief moves on."""
        self.has_acted = True
        if not came_true or mind.predicted is None:
            self.chain = None
        elif self.chain is not None and len(self.chain) <= 4 * LONGEST:
            acting = fired(mind, mind.predicted)
            done = lived(mind.knowledge.schema, mind.recent.t - 1, now, action, after, acting, mind.learned)
            self.chain += [done] if done else []

    def reached(self, mind: Mind, episode: int, objective: Objective, before: Carry, after: Carry,
                reward: float) -> None:
        """A step took the carries from `before` to `after`: where that passed something, what led there is a skill."""
        passed = _passed(objective, before, after, reward)
        if not passed:
            return
        self.has_reached, schema, t = True, mind.knowledge.schema, mind.recent.t - 1
        for purpose in passed:
            skill = lifted(schema, self.chain, purpose) if self.chain else None
            if skill is not None:
                self.keep(skill, (episode, self.began, t))
        self.chain, self.began = [], t + 1

    def keep(self, skill: Skill, link: tuple[int, int, int] | None = None, source: str = "agent") -> int:
        """Remember a skill that worked; what one that does the same needed and this one did not is not needed."""
        for record, known in self.all(skill.schema):
            common = known.generalised(skill)
            if common is not None:
                id = self.table.reword(record.id, common.text)
                return self.table.add(common.text, common.goal, source, link) if link else id
        return self.table.add(skill.text, skill.goal, source, link)

    def judge(self) -> None:
        """At the end of an episode: the skills that led it worked if it reached something."""
        if self.using and self.has_acted:
            self.table.count(self.using, self.has_reached)
        self.begin()


def _passed(objective: Objective, before: Carry, after: Carry, reward: float) -> list[Atoms]:
    """What of the goals one step of one row passed, as conditions on a state; nothing (a reward) as ()."""
    found: list[Atoms] = []
    for term, old, new in zip(objective.terms, before, after, strict=True):
        if isinstance(term, Goal) and bool((term.progress(new) > term.progress(old)).all()):
            still = term.wanted(new)
            ends = [outcome(c, term.schema) for c in term.wanted(old) if c not in still]
            found += [tuple(conjuncts(end)) for end in ends if end is not None]
        elif isinstance(term, Return) and reward > term.target:
            found.append(())
    return found
