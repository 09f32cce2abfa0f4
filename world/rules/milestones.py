"""What a milestone of a goal speaks of: a state, or a step into the next one; and the state an event leaves behind."""

from __future__ import annotations

from typing import Any

from ..schema import Schema
from .syntax import Changed, Expression, Logical, Name, Same, mapped, walk


def is_event(condition: Expression, schema: Schema) -> bool:
    """Whether a condition speaks of a step (primes, the action, `changed`), rather than of a state."""
    acting = {a.name for a in schema.actions}
    return any(isinstance(n, Same | Changed) or (isinstance(n, Name) and (n.primed or n.name in acting))
               for n in walk(condition))


def outcome(condition: Expression, schema: Schema) -> Expression | None:
    """What holds of the state after an event, as far as it says: its primed part, as a condition on one state. A
    condition on a state is its own outcome; None where nothing is said of the state after."""
    if not is_event(condition, schema):
        return condition
    parts = condition.operands if isinstance(condition, Logical) and condition.operator == "and" else (condition,)
    after = [unprimed(p) for p in parts if _is_of_next(p)]
    if not after:
        return None
    return after[0] if len(after) == 1 else Logical(operator="and", operands=tuple(after))


def unprimed(e: Any) -> Any:
    """The same of the state now."""
    return e.model_copy(update={"primed": False}) if isinstance(e, Name) else mapped(e, unprimed)


def _is_of_next(e: Expression) -> bool:
    names = [n for n in walk(e) if isinstance(n, Name)]
    return bool(names) and all(n.primed for n in names)
