"""States of things, said as conditions: 'when the red door is open', 'keep the box door closed', 'no door may be open'.

What is spoken of is bound, when it is told, to the cells where such things are then.
"""

from __future__ import annotations

from collections.abc import Sequence

from lark import Token

from ...errors import UserError
from ...world.rules.text import word
from .clause import Clause
from .things import Place, Thing, Things
from .vocabulary import THINGS
from .world import Cell, World

_LEADS = ("KEEP", "NEVER")


def scene(words: Sequence[Token], things: Things) -> Clause | None:
    """The condition that a thing is in some state, to come about, to be kept, or never to be; None where the words are
    no such clause. Raises `UserError` where no such thing is in sight, or what is to be kept is not so now."""
    world = things.world
    lead = words[0].type if words and words[0].type in _LEADS else ""
    if len(words) < 2 + bool(lead):
        return None
    *noun, last = words[bool(lead) :]
    states = [a for a in world.ahead if "open" in world.schema.named[a].values]
    if last.type != "WORD" or not states or str(last) not in world.schema.named[states[0]].values:
        return None
    if any(w.type not in THINGS for w in noun) or (not {"IT", "ONE"} & {w.type for w in noun} and not any(
            w.type == "WORD" and world.array_of(str(w)) == world.kind for w in noun)):  # fmt: skip
        return None
    several = {w.type for w in noun} & {"EACH", "BOTH", "A"} or lead == "NEVER"
    place = Place([w for w in noun if w.type not in ("EACH", "BOTH", "A")] if several else noun)
    cells = _cells(place, things)
    if not cells:
        raise UserError(f"'{place}' is not in sight, so that its state cannot be spoken of; say what to do with it")
    array, state = word(states[0]), str(last)
    sign, value = ("!=", "open") if state == "closed" else ("==", word(state))  # what is locked is closed
    is_so = [(world.state(cell) == value) == (sign == "==") for cell in cells]
    if any(is_so) if lead == "NEVER" else lead == "KEEP" and not all(is_so):
        now = "is" if lead == "NEVER" else "is not"
        raise UserError(f"'{place}' {now} {state} now, so that this cannot be kept; say first to change it")
    link = " or " if lead == "NEVER" or any(w.type == "A" for w in noun) else " and "
    text = link.join(f"{array}[{x}, {y}] {sign} {value}" for x, y in cells)
    return Clause({"KEEP": "keep", "NEVER": "limit"}.get(lead, "state"), text)  # type: ignore[arg-type]


def _cells(place: Place, things: Things) -> list[Cell]:
    """Where what is spoken of is; `it` is the last thing spoken of that can be open."""
    world = things.world
    if any(p.type == "IT" for p in place.head):
        found = next((t for t in reversed(things.mentioned) if _at(t, world) and all(
            world.state(cell) != "none" for cell in _at(t, world))), None)  # fmt: skip
        return _at(found, world) if found else []
    return _at(things.one(place), world)


def _at(thing: Thing, world: World) -> list[Cell]:
    return list(thing.cells) if thing.cells is not None else world.cells(thing.wanted)
