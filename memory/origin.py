"""Origin: whether a person, the environment or a machine said what memory holds; it is kept with every item.

Memory is evidence, never authority: only a person's word may end or replace a person's word, and being remembered,
recalled and told again never makes a person's word of anything. A source that is not known to be a person's or the
environment's counts as a machine's.
"""

from __future__ import annotations

from typing import Literal, get_args

from ..errors import UserError

Origin = Literal["person", "environment", "model"]
"""Who said it: a person, the environment (what it showed), a model (a language model, the miner, the agent)."""

_KNOWN: dict[str, Origin] = {"user": "person", "manual": "person", "environment": "environment"}


def origin_of(source: str, origin: str | None = None) -> Origin:
    """The origin given, or else that of a source by its name. Raises `UserError` for an origin there is not."""
    if origin is None:
        return _KNOWN.get(source, "model")
    for known in get_args(Origin):
        if origin == known:
            return known
    raise UserError(f"the origin of {source!r} is {origin!r}; give one of {', '.join(get_args(Origin))}")


def outranks(new: Origin, old: Origin) -> bool:
    """Whether what `new` says may take the place of what `old` said: a person's word gives way to a person's alone."""
    return old != "person" or new == "person"
