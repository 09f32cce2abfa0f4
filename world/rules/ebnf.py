"""From the Lark grammar to xgrammar's EBNF: rules translated as they stand, or filled with typed operands.

The text between tokens is what `text` prints: one space, none inside brackets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from lark.grammar import Rule, Symbol

from .parse import grammar

__all__ = ["Writer", "quoted", "real"]

_REPEATS = 3    # of what the grammar lets a statement repeat: the milestones of a goal
_NATURAL = '("0" | [1-9] [0-9]{0,3})'
_DECIMALS = '("." [0-9]{1,3})?'
_NUMBERS = {
    "natural": _NATURAL,
    "integer": f'"-"? {_NATURAL}',
    "size": f"{_NATURAL} {_DECIMALS}",
    "real": f'"-"? {_NATURAL} {_DECIMALS}',
    "positive": '[1-9] [0-9]{0,2} ("." [0-9]{1,2})? | "0." [0-9]? [1-9]',
    "chance": '"0." [0-9]? [1-9] | "1"',
    "few": '"2" | "3"',
    "deadline": '"within " ([2-9] | [1-9] [0-9]{1,3}) " steps"',
}
_NUMBER_OF = {"probability": "chance", "weight": "positive", "relation": "few"}    # of any other rule: size
_OPENING = ("(", "[", "{")
_OPEN = ("QUANTITY", "HOLE")    # what stands where a number may, and is said only where it is asked for
_CLINGING = (")", "]", "}", ",", "(", "[")


def quoted(text: str) -> str:
    """A literal of the EBNF.

    xgrammar escapes a letter beyond ASCII by its code in hex, and reads what follows as more of it if it can ("°C"):
    such text stands in a literal of its own.
    """
    parts = re.split(r"(?<=[^\x00-\x7f])(?=[0-9a-fA-F])", text)
    return " ".join(json.dumps(part, ensure_ascii=False) for part in parts)


class Writer:
    """Collects named EBNF rules. A part that can never be said is None, and so is all that needs it."""

    def __init__(self) -> None:
        self.texts = {t.name: _said(t.pattern.value) for t in grammar().terminals}
        self.rules: dict[str, list[Rule]] = {}
        for rule in grammar().rules:
            self.rules.setdefault(rule.alias or rule.origin.name, []).append(rule)
        self.defined: dict[str, str] = dict(_NUMBERS)

    def define(self, name: str, alternatives: Iterable[str | None]) -> str | None:
        """Name a choice of EBNF texts; return the name, or None if none of them can be said."""
        texts = dict.fromkeys(a for a in alternatives if a is not None)
        if not texts:
            return None
        self.defined[name] = " | ".join(texts)
        return name

    def translated(self, origin: str) -> str | None:
        """Translate a rule of the Lark grammar and all that it is made of, except for what is defined already."""
        name = origin.strip("_")
        if name not in self.defined:
            self.define(name, [self._sequence(form.expansion, origin, None) for form in self.rules[origin]])
        return name if name in self.defined else None

    def fill(self, rule: str, slots: Sequence[str | None], token: str = "", comparison: Sequence[str] = (),
             more: tuple[int, int] = (0, 0)) -> str | None:
        """A form of a Lark rule, its parts filled from left to right with EBNF texts.

        `token` asks for the form with that terminal, `comparison` replaces COMPARISON by a choice of its signs, and
        `more` says how often the rule's repeated part stands there. Raises `KeyError` if there is no such form.
        """
        parts = [p for p in slots if p is not None]
        if len(parts) < len(slots):
            return None
        for form in self.rules[rule]:
            names = [x.name for x in form.expansion]
            repeats, within = any(n.startswith("__") for n in names), "WITHIN" in names
            if set(names) & set(_OPEN) - {token}:
                continue
            if (not token or token in names) and repeats == (more[1] > 0) and within == (token == "WITHIN"):
                signs = {"COMPARISON": f"({' | '.join(comparison)})"}
                return self._sequence(form.expansion, rule, iter(parts), signs, more)
        raise KeyError(f"grammar.lark has no '{rule}' with {token or 'these parts'}")

    def _sequence(
        self, symbols: Sequence[Symbol], rule: str, parts: Iterator[str] | None, signs: Mapping[str, str] | None = None,
        more: tuple[int, int] = (0, _REPEATS), last: str = "(",
    ) -> str | None:
        """Symbols of a form, one after the other; `last` is the token before them."""
        out: list[str] = []
        for symbol in symbols:
            text = ""
            if symbol.name.startswith("__"):    # a repeated part, X: body | X body
                body, (low, high) = self.rules[symbol.name][0].expansion, more
                exact = low if low == high else 1
                repeated = [self._sequence(body, rule, parts, signs, more, "x") for _ in range(exact)]
                piece = None if None in repeated else " ".join(map(str, repeated))
                piece = piece and (piece if low == high else f"({piece}){{{low},{high}}}")
            elif symbol.is_term:
                text, piece = self._terminal(symbol.name, rule, signs or {})
                piece = piece and _space(last, text, rule) + piece
            else:
                piece = self.translated(symbol.name) if parts is None else next(parts)
                piece = piece and _space(last, "", rule) + piece
            if piece is None:
                return None
            out.append(piece)
            last = text or "x"
        return " ".join(out)

    def _terminal(self, name: str, rule: str, signs: Mapping[str, str]) -> tuple[str, str | None]:
        if name in ("NAME", "QUOTED", "QUANTITY"):
            return "", None
        if name in signs:
            return "", signs[name]
        if name in ("NUMBER", "DEADLINE"):
            return "", "deadline" if name == "DEADLINE" else _NUMBER_OF.get(rule, "size")
        return self.texts[name], quoted(self.texts[name])


def real(low: float, high: float) -> str:
    """Numbers with as many digits before the point as the bounds have, with a sign if there is one below 0."""
    sign = "" if low >= 0 else '"-"? '
    largest = max(abs(low), abs(high))
    if largest <= 1:
        return f'{sign}("0" {_DECIMALS} | "1")'
    return sign + (f'("0" | [1-9] [0-9]{{0,{len(str(int(largest))) - 1}}}) {_DECIMALS}' if largest < 1e12 else "size")


def _said(pattern: str) -> str:
    """What a terminal's pattern stands for, where it is a word that may be a name, too: `position of`."""
    return re.sub(r"\(\?=.*\)$", "", pattern).replace("\\s+", " ") if pattern.isprintable() else pattern


def _space(last: str, text: str, rule: str) -> str:
    glued = not last.endswith(" of") and _is_glued(last, text, rule)
    return "" if glued else quoted(" ") + " "


def _is_glued(last: str, text: str, rule: str) -> bool:
    return last in _OPENING or text in _CLINGING or (last in ("+", "-") and rule in ("reward", "negative"))
