"""Filters over plain data: `{"kind": "door", "size": {"$gte": 2}, "place": {"room": "hall"}}`.

Every key must fit. A key is only ever looked up, and an operator is one of those named here: nothing of a filter
becomes SQL or code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...errors import UserError, nearest

Filter = Mapping[str, Any]

_ABSENT = object()


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Numbers compare with numbers and texts with texts; nothing else is before or after anything."""

    def compared(value: Any, given: Any) -> bool:
        numbers = all(isinstance(side, int | float) and not isinstance(side, bool) for side in (value, given))
        texts = isinstance(value, str) and isinstance(given, str)
        return (numbers or texts) and compare(value, given)

    return compared


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": lambda value, given: _same(value, given),
    "$ne": lambda value, given: not _same(value, given),
    "$gt": _ordered(lambda value, given: value > given),
    "$gte": _ordered(lambda value, given: value >= given),
    "$lt": _ordered(lambda value, given: value < given),
    "$lte": _ordered(lambda value, given: value <= given),
    "$in": lambda value, given: any(_same(value, one) for one in given),
    "$nin": lambda value, given: not any(_same(value, one) for one in given),
    "$exists": lambda value, given: (value is not _ABSENT) == bool(given),
}


def checked(wanted: Any) -> Filter:
    """A filter that `matches` takes. Raises `UserError` for anything else, naming what there is."""
    if not isinstance(wanted, Mapping):
        raise UserError(f"a filter is a mapping from names to values, as in {{'kind': 'door'}}, not {wanted!r:.60}")
    for key, given in wanted.items():
        if not isinstance(key, str) or key.startswith("$"):
            raise UserError(f"a filter begins with the name of a field, not with {key!r}: {{'size': {{'$gt': 2}}}}")
        if not isinstance(given, Mapping):
            continue
        operators = [name for name in given if isinstance(name, str) and name.startswith("$")]
        if not operators:
            checked(given)
            continue
        for name in given:
            if name not in OPERATORS:
                close = nearest(str(name), OPERATORS)
                raise UserError(f"{key}: unknown operator {name!r}; there are {', '.join(OPERATORS)}{close}")
            if name in ("$in", "$nin") and not isinstance(given[name], list | tuple):
                raise UserError(f"{key}: {name} takes a list, not {given[name]!r:.60}")
    return wanted


def matches(value: Any, wanted: Filter) -> bool:
    """Whether a mapping fits a `checked` filter; a nested one asks for what a field holds."""
    return isinstance(value, Mapping) and all(_fits(value.get(key, _ABSENT), given) for key, given in wanted.items())


def _fits(value: Any, given: Any) -> bool:
    if not isinstance(given, Mapping):
        return _same(value, given)
    if any(name in OPERATORS for name in given):
        return all(OPERATORS[name](value, operand) for name, operand in given.items())
    return matches(value, given)


def _same(value: Any, given: Any) -> bool:
    """Equal as JSON: a tuple is a list, and true is not 1."""
    if isinstance(value, list | tuple) and isinstance(given, list | tuple):
        return len(value) == len(given) and all(map(_same, value, given))
    return bool(value == given) and isinstance(value, bool) == isinstance(given, bool)
