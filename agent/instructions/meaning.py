"""What instructions mean, in the rule language: their words as clauses, each understood, then put into order."""

from __future__ import annotations

from dataclasses import replace

from ...errors import UserError
from .acts import Acts
from .clauses import clauses
from .order import lines_of as ordered
from .quantities import Quantities
from .readings import Ask, Choices
from .scenes import scene
from .vocabulary import VERBS
from .words import tokens
from .world import World


def lines_of(text: str, world: World, ask: Ask | None = None) -> list[str]:
    """The rule lines an instruction means in the state it is told in. Raises `UserError` where it is not understood,
    or may mean several things and `ask` is not there to say which."""
    choices = Choices(world.schema, ask)
    acts, quantities, found = Acts(world, choices), Quantities(world, choices), []
    for said in clauses(tokens(text, world.schema)):
        own = [w for w in said.words if said.is_quantity or w.type not in ("MUST", "ALWAYS")]
        clause = quantities(own) if said.is_quantity else scene(own, acts.things) or acts(own)
        found.append(replace(clause, link=said.link, is_apart=said.is_apart, is_elided=said.is_elided,
                             is_new=said.is_new, is_act=said.has(*VERBS)))
    if not found:
        raise UserError(f"{text!r} asks for nothing; say what to do, as in 'pick up the red ball'")
    return ordered(found, choices)
