"""From text to the kinds of its words, by the table of phrases and the values of a schema."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from lark import Token
from lark.lexer import Lexer

from ...errors import UserError, nearest
from ...world.schema import Schema
from .vocabulary import ENDINGS, IDLE, PHRASES

MAX_LENGTH = 1_000
_PIECE = re.compile(r"[^\W\d_][\w'-]*|\d+|[,;.]")
_SILENT = {"FIRST", "NEVER", "SHUN", "AFTER", "BEFORE", "THEN", "ONLY_THEN", "AND", "OR", "BESIDE", "WITHIN", "STEPS"}


def tokens(text: str, schema: Schema) -> list[Token]:
    """The words of an instruction by kind. Raises `UserError` for a word that this world has not."""
    if len(text) > MAX_LENGTH:
        raise UserError(f"an instruction of {len(text)} characters; at most {MAX_LENGTH} are read")
    pieces = _PIECE.findall(text.strip().rstrip(".!").lower())
    own, found, i = values(schema), [], 0
    pieces = [p if p in own else ENDINGS.get(p, p) for p in pieces]
    while i < len(pieces):
        kind, n = _longest(pieces, i, own)
        if not kind and pieces[i] not in IDLE:
            known = sorted(own | {p for phrases in PHRASES.values() for p in phrases})
            raise UserError(f"the word {pieces[i]!r} of {text!r} means nothing here{nearest(pieces[i], known)} "
                            f"(this world has: {', '.join(sorted(own))})")
        if kind:
            name = f"_{kind}" if kind in _SILENT else kind
            found.append(Token(name, " ".join(pieces[i : i + n])))
        i += n
    return found


class Words(Lexer):
    """Hands tokens that are made already to the parser."""

    def __init__(self, conf: Any) -> None: ...

    def lex(self, data: list[Token]) -> Iterator[Token]:  # type: ignore[override]
        yield from data


def values(schema: Schema) -> set[str]:
    """The words for values of the schema's arrays and of what goes with them."""
    names = schema.grid.arrays if schema.grid else ()
    return {value for name in names for value in schema.named[name].values}


def _longest(pieces: list[str], i: int, own: set[str]) -> tuple[str, int]:
    for n in range(min(5, len(pieces) - i), 0, -1):
        phrase = " ".join(pieces[i : i + n])
        if phrase in own and not (phrase in _kinds() and _acts(pieces, i)):
            return "WORD", n
        if n == 1 and phrase.removesuffix("s") in own and phrase not in _kinds():
            pieces[i] = phrase.removesuffix("s")
            return "WORD", 1
        if phrase in _kinds():
            return _kinds()[phrase], n
    return ("NUMBER", 1) if pieces[i].isdigit() else ("", 1)


def _acts(pieces: list[str], i: int) -> bool:
    """Whether a word that may be a state or an act is an act: nothing, or what links clauses, stands before it."""
    return i == 0 or pieces[i - 1] in {"and", "then", ",", "or", "you", "have", ";", ".", "first", "not", "never",
                                       "don't", "after", "before", "once", "please", "without"}


@cache
def _kinds() -> dict[str, str]:
    table: dict[str, str] = {}
    for kind, phrases in PHRASES.items():
        for phrase in phrases:
            table.setdefault(phrase, kind)
    return table
