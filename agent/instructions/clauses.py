"""From words to clauses: where one ends and the next begins, and what it leaves unsaid.

"pick up the key and the ball" leaves out a verb, "keep the speed above 1 and below 2" a quantity: each takes it from
the clause before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from lark import Token

from ...errors import UserError
from .vocabulary import COMPARING, LINKS, THINGS, VERBS

_STARTS = VERBS | {"SHUN", "KEEP", "NEVER"}
_MODES = frozenset({"KEEP", "NEVER", "MUST", "ALWAYS"})


@dataclass
class Said:
    """The words of a clause, the kind of the word that joins it, whether it stands apart (after a comma, or nothing),
    whether it leaves its verb unsaid, what it is joined by as it was said, and whether `and` stood before that ("and
    when it is open, ...")."""

    link: str = ""
    is_apart: bool = True
    words: list[Token] = field(default_factory=list)
    is_elided: bool = False
    joined: str = ""
    is_new: bool = False

    def has(self, *kinds: str) -> bool:
        return any(w.type in kinds for w in self.words)

    @property
    def is_quantity(self) -> bool:
        is_near = self.has("WITHIN") and self.has("OF")
        return is_near or self.has("FEATURE", "TRAIT", "STATE", "ON", "OFF", "MIDDLE", *COMPARING) or (
            self.has("NUMBER") and not self.has("STEPS"))  # fmt: skip

    @property
    def is_complete(self) -> bool:
        """Whether an act or a quantity has all it needs, so that what follows is another clause."""
        if self.has("FEATURE", "TRAIT", *COMPARING) and not self.has("STATE", "ON", "OFF", "MIDDLE"):
            return self.has("NUMBER")
        return self.has("WORD", "ANYTHING", "ONE", "IT", "BACK", "STATE", "ON", "OFF", "MIDDLE", "STEPS") or (
            self.has("DROP"))  # fmt: skip


def clauses(tokens: list[Token]) -> list[Said]:
    """The clauses of an instruction, in order, each with all it needs to be understood alone."""
    found = [Said()]
    for i, token in enumerate(tokens):
        now = found[-1]
        if token.type == "IN_ORDER":
            for said in found[1:]:
                said.link = "THEN" if said.link == "AND" else said.link
        elif token.type in LINKS:
            if now.words and [w.type for w in now.words] != ["GO"]:
                found.append(Said(token.type, token.startswith((",", ";", ".")), joined=str(token)))
            else:    # "and, when", "go and open"
                is_comma = bool(now.link) and token in (",", "and", "then")
                now.is_new |= now.link in ("AND", "THEN") and token.type in ("WHEN", "AFTER") and len(found) > 1
                now.words, now.is_apart = [], (now.is_apart and len(found) == 1) or now.is_apart
                now.link = now.link if is_comma and now.link not in ("AND", "THEN") else (
                    token.type if len(found) > 1 or token.type not in ("AND", "THEN") else "")  # fmt: skip
        else:
            is_deadline = token.type == "WITHIN" and [t.type for t in tokens[i + 1 : i + 3]] == ["NUMBER", "STEPS"]
            if now.words and (is_deadline or now.has("STEPS") or (
                token.type in _STARTS and now.is_complete and not (now.has("MUST") and now.words[0].type in THINGS))):
                found.append(Said("", True))
            elif token.type in VERBS and _waits(now):
                now.words = [token, *(w for w in now.words if w.type != "MUST")]    # "the door must be opened"
                continue
            elif token.type in VERBS and [w.type for w in now.words] == ["GO"]:
                now.words.clear()
            found[-1].words.append(token)
    for before, said in pairwise(found):
        if {w.type for w in said.words} == {"ALWAYS"}:
            before.words += said.words
            said.words = []
    found = [said for said in found if said.words]
    for before, said in pairwise(found):
        _completed(said, before)
    in_turn = [said for said in found if said.link == "AND" and _is_own(said)]
    if found and not found[0].link and any(said.joined == "," for said in in_turn):
        # "go to the box, open the door, take the key"
        for said in in_turn:
            said.link = "THEN"
    if found and found[0].has("MUST") and found[0].has("BESIDE") and found[0].words[0].type in THINGS:
        found[0].words.insert(0, Token("PUT", "put"))    # "the key must be next to the box"
    return found


def _is_own(said: Said) -> bool:
    """Whether a clause is an act in words of its own."""
    return not said.is_elided and not said.is_quantity and said.words[0].type in VERBS


def _waits(said: Said) -> bool:
    """Whether a thing was said that something must be done with, and not yet what."""
    return said.has("MUST") and said.words[0].type in THINGS and not said.has(*VERBS, "NEVER")


def _completed(said: Said, before: Said) -> None:
    """Puts what a clause leaves unsaid before its words."""
    first = said.words[0].type
    if said.joined == "with" and (not said.is_quantity or first in VERBS):
        raise UserError(f"'with {' '.join(map(str, said.words))}' is not understood; say it in two sentences")
    if said.is_quantity:
        if not before.is_quantity or (said.has("STATE", "ON", "OFF") and said.words[0].type in VERBS):
            return
        if not said.has("FEATURE", "TRAIT", "STATE", "FASTER", "SLOWER"):
            said.words = [*(w for w in before.words if w.type in ("FEATURE", "TRAIT")), *said.words]
        if not said.has(*_MODES, *VERBS) and said.link in ("AND", "OR", "THEN"):
            said.words = [*(w for w in before.words if w.type in _MODES), *said.words]
            said.is_elided = True
        return
    lead = before.words[: next((i for i, w in enumerate(before.words) if w.type in THINGS), 0)]
    if first == "TO":
        said.words[0] = Token("GO", "go to")
    elif first in THINGS and said.has("MUST") and said.has("BESIDE"):
        said.words = [Token("PUT", "put"), *said.words]
    elif first in THINGS and said.joined in ("but", ", but"):
        raise UserError(f"'but {' '.join(map(str, said.words))}': an exception is not understood; name what is meant, "
                        "one by one")
    elif first in THINGS and said.link in ("AND", "OR", "THEN", "ONLY_THEN", "") and lead:
        said.words, said.is_elided = [*lead, *said.words], True
        if before.has("PUT") and not before.has("BESIDE", "TO", "DOWN") and said.has("BESIDE", "TO"):
            at = next(i for i, w in enumerate(said.words) if w.type in ("BESIDE", "TO"))
            before.words = [*before.words, *said.words[at:]]
    elif said.link == "OR" and before.words[0].type == "NEVER" and first in VERBS:
        said.words, said.is_elided = [before.words[0], *said.words], True
