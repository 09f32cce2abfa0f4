"""Statements of every kind, in the shares in which people make them, alone or two in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from .banks import bank
from .behaviour import Behaviour
from .composer import Told
from .domain import Domain
from .will import Will


class Statements(Behaviour, Will):
    """Composes whole statements about `domain`, and sentences that no rule says."""

    def __init__(self, domain: Domain, rng: Random) -> None:
        super().__init__(domain, rng)
        self.makers: list[tuple[float, Callable[[], Told | None]]] = [
            (30, self.expect),
            (4, self.nothing),
            (3, self.time),
            (12, self.guarded),
            (2, self.push),
            (2, self.otherwise),
            (11, self.forbid),
            (2, self.forbid_push),
            (7, self.avoid),
            (9, self.maintain),
            (6, self.prefer),
            (7, self.achieve),
            (6, self.always),
            (9, self.reward),
            (5, self.end),
        ]

    def one(self) -> Told:
        """One statement of any kind."""
        weights = [w for w, _ in self.makers]
        while True:
            if told := self.rng.choices(self.makers, weights)[0][1]():
                return told

    def two(self) -> Told:
        """Two rules in one sentence: an effect and what it pays, or any two statements."""
        if self.rng.random() < 0.4:
            told = self.expect()
            if told and " with " not in told[1][0]:
                sign = self.rng.choice("+-")
                slots, value = self.points()
                guard = told[1][0].split(" if ", 1)[1]
                return told[0] + self.frame("and pay", sign).format(**slots), (
                    *told[1],
                    f"reward {sign}{value} if {guard}",
                )
        one, two = self.one(), self.one()
        return one[0] + self.frame("connect") + two[0], one[1] + two[1]

    def unsayable(self) -> str:
        """A sentence that no rule says: a question, an opinion, small talk."""
        made = self.deed()
        slots = made[1] if made else {"a": "go on", "g": "going on", "s": "you go on", "p": "gone on"}
        noun = self.conditions.noun(self.rng.choice(self.domain.features))
        frame = self.rng.choice(bank("unsayable")[self.rng.choice(("talk", "beyond"))])
        condition, effect, k = self.conditions.atom().text, self.effects.one().text, self.rng.randint(3, 99)
        return str(frame.format(**slots, n=noun, c=condition, e=effect, k=k))
