"""A clause that is understood: what it asks for, and the word that joins it to the one before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["goal", "back", "limit", "keep", "state", "deadline"]


@dataclass(frozen=True)
class Clause:
    """`text` is a milestone (goal), a condition: to come about (state), to hold always (keep), never to (limit), to be
    where all began (back), or a number of steps (deadline). A clause `follows` the one before where it speaks of what
    that has done. `link` is the kind of the word before it, `is_apart` whether a comma or nothing at all stood there,
    `is_elided` whether it has its verb from the clause before, `is_new` whether its link opens what comes after it,
    `is_act` whether a state is said as something to do ("reach 0.45")."""

    kind: Kind
    text: str
    follows: bool = False
    link: str = ""
    is_apart: bool = False
    is_elided: bool = False
    is_new: bool = False
    is_act: bool = False
