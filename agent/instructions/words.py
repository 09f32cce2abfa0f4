"""From text to the kinds of its words, by the table of phrases and what the schema has to speak of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from lark import Token
from lark.lexer import Lexer

from ...errors import UserError, nearest
from ...world.schema import Schema
from .nouns import Nouns
from .vocabulary import FORMS, IDLE, LINKS, PHRASES, POLITE, UNITS

MAX_LENGTH = 1_000
_PIECE = re.compile(r"-?\d+(?:\.\d+)?|°?[^\W\d_](?:[\w'-]*\w)?(?:/[^\W\d_]+)?|[°%]|[<>]=?|=+|[,;.]")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_LONGEST = 7
_BEFORE_ACTS = frozenset((
    "and", "then", ",", "or", "you", "have", ";", ".", "first", "not", "never", "don't", "after", "before", "once",
    "be", "please", "without", "to", "must", "when", "while", "until", "by", "finally"))


def tokens(text: str, schema: Schema) -> list[Token]:
    """The words of an instruction by kind. Raises `UserError` for a word that this world has not."""
    if len(text) > MAX_LENGTH:
        raise UserError(f"an instruction of {len(text)} characters; at most {MAX_LENGTH} are read")
    nouns, i = Nouns.of(schema), 0
    found: list[Token] = []
    pieces = _PIECE.findall(text.strip().rstrip(".!?").lower())
    pieces = [p if p in nouns else FORMS.get(p, p) for p in pieces]
    while i < len(pieces):
        token, n = _longest(pieces, i, nouns, found)
        if token is None and pieces[i] not in IDLE:
            known = sorted(nouns.words | {p for phrases in PHRASES.values() for p in phrases})
            raise UserError(f"the word {pieces[i]!r} of {text!r} means nothing here{nearest(pieces[i], known)} "
                            f"(this world has: {', '.join(nouns.spoken)})")
        if token is not None and token.type != "IDLE":
            found.append(token)
        i += n
    return list(_settled(found))


class Words(Lexer):
    """Hands tokens that are made already to the parser."""

    def __init__(self, conf: Any) -> None: ...

    def lex(self, data: list[Token]) -> Iterator[Token]:  # type: ignore[override]
        yield from data


def _longest(pieces: list[str], i: int, nouns: Nouns, found: list[Token]) -> tuple[Token | None, int]:
    """The kind of the longest phrase that begins here, and how many pieces it takes."""
    if _NUMBER.fullmatch(pieces[i]):
        return Token("NUMBER", pieces[i]), 1
    if found and found[-1].type == "NUMBER" and (unit := _unit(pieces, i, nouns)):
        return unit
    is_act = not found or pieces[i - 1] in _BEFORE_ACTS
    for n in range(min(_LONGEST, len(pieces) - i), 0, -1):
        phrase = " ".join(pieces[i : i + n])
        if phrase in nouns.cells and not (is_act and phrase in _kinds()):
            return Token("WORD", phrase), n
        if phrase not in _kinds() and phrase not in _polite():
            if feature := nouns.feature(phrase):
                return Token("FEATURE", "|".join(feature)), n
            if n == 1 and phrase.removesuffix("s") in nouns.cells and phrase not in _kinds():
                return Token("WORD", phrase.removesuffix("s")), 1
        if phrase in nouns.choices and not (is_act and phrase in _kinds()):
            return Token("STATE", phrase), n
        if phrase in _polite():
            return Token("IDLE", phrase), n
        if phrase in _kinds():
            return Token(_kinds()[phrase], phrase), n
    if pieces[i] not in IDLE and (feature := nouns.described(pieces[i])):
        return Token("TRAIT" if nouns.is_deed(pieces[i], feature) else "FEATURE", "|".join(feature)), 1
    return None, 1


def _unit(pieces: list[str], i: int, nouns: Nouns) -> tuple[Token, int] | None:
    if " ".join(pieces[i : i + 2]) in ("degrees celsius", "degree celsius"):
        return Token("UNIT", "°C"), 2
    unit = nouns.units.get(pieces[i]) or UNITS.get(pieces[i])
    return (Token("UNIT", unit), 1) if unit else None


def _settled(found: list[Token]) -> Iterator[Token]:
    """The words whose kind hangs on what stands around them."""
    ranged = False
    for i, token in enumerate(found):
        after = found[i + 1].type if i + 1 < len(found) else ""
        ranged = token.type == "BETWEEN" or (ranged and token.type not in LINKS - {"AND"})
        if ranged and token.type == "AND" and after == "NUMBER":
            ranged = False
            continue
        if token == "have" or token == "have to":
            if after in ("THE", "A", "WORD", "EACH", "BOTH", "IT"):
                yield Token("PICK", token)
            continue
        if token.type == "EITHER":
            if after in ("WORD", "ANYTHING"):
                yield Token("A", token)
        elif token.type in ("LEAST", "MOST") and token.startswith("or ") and after in ("NUMBER", "FEATURE", "THE"):
            yield Token("OR", "or")
            yield Token("ABOVE" if token.type == "LEAST" else "BELOW", token[3:])
        elif token.type == "ONE" and after in ("WORD", "ANYTHING"):
            yield Token("A", token)
        elif token.type == "NUMBER" and after in ("WORD", "ANYTHING") and token in ("2", "3", "4"):
            yield Token("COUNT", token)
        else:
            yield token


@cache
def _kinds() -> dict[str, str]:
    table: dict[str, str] = {"have": "HAVE"}
    for kind, phrases in PHRASES.items():
        for phrase in phrases:
            table.setdefault(_plain(phrase), kind)
    return table


@cache
def _polite() -> frozenset[str]:
    return frozenset(map(_plain, POLITE))


def _plain(phrase: str) -> str:
    """A phrase as it is looked up, each word in its first form."""
    return " ".join(FORMS.get(piece, piece) for piece in phrase.split())
