"""Parsing: a line of text to a syntax tree, a file of rules to its lines, every mistake shown where it stands.

A bare word is a `Name` until `check` has a schema to tell a feature from a category's value. Text is hostile until
parsed: lines, nesting and files are bounded, and nothing recurses on text that has not been measured.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from lark import Lark, Token, Tree, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from ...errors import nearest
from ..schema import Schema
from .build import Builder
from .check import check
from .definitions import defined, names
from .source import (
    MAX_DEFINITIONS,
    MAX_FILE,
    MAX_LINE,
    MAX_LINES,
    MAX_MISTAKES,
    MAX_NESTING,
    Mistake,
    RuleError,
    Source,
    excerpt,
)
from .syntax import Let, Rule
from .text import RESERVED, STATEMENTS

__all__ = ["Line", "RuleError", "grammar", "parse", "parse_file", "with_definitions"]

_FUNCTIONS = ("abs", "min", "max", "clip", "count", "any", "all", "near", "distance", "same", "changed")
_LINKS = ("with", "within", "if", "then", "else", "also", "while", "and", "or", "implies")
_UNIT = re.compile(r"\d\s([^\W\d]+)\s*$")    # what the parser took for a unit
_LET = re.compile(r"\s*let\s")
_PLAIN = re.compile(r"[^\W\d]\w*")
_OPERATORS = {"COMPARISON", "PLUS", "MINUS", "TIMES", "DIVIDE", "MODULO"}
_INSTEAD = {
    "=": "write '==' to compare",
    "&": "write 'and'",
    "|": "write 'or'",
    "!": "write 'not', or '!=' for 'differs from'",
    "’": "the prime is a plain '",
    "′": "the prime is a plain '",
    "≤": "write '<='",
    "≥": "write '>='",
    "≠": "write '!='",
    "^": "write x * x for a square",
    ";": "write one rule a line",
    "\n": "write one rule a line",
}


@dataclass(frozen=True)
class Line:
    """One line of a file of rules: its number from 1, its whole text, its rule and its comment (with the `#`)."""

    number: int
    text: str
    rule: Rule | None = None
    comment: str = ""


@cache
def grammar() -> Lark:
    """The compiled grammar of the language."""
    return Lark.open(
        "grammar.lark", rel_to=__file__, parser="lalr", propagate_positions=True, lexer_callbacks={"NAME": _reserve}
    )


def parse(text: str, schema: Schema | None = None, *, source: str = "rule", line: int = 1) -> Rule:
    """Parse one rule; with a schema, check it too. `source` and `line` say where it stands.

    Raises `RuleError` with every mistake found: of the syntax the first, of the types all.
    """
    place = Source(excerpt(text, 0)[0] if len(text) > MAX_LINE else text, source, line)
    if len(text) > MAX_LINE:
        raise place.error([Mistake(f"a rule of {len(text)} characters", 0, f"; at most {MAX_LINE} are allowed")])
    try:
        tree = grammar().parse(text)
    except UnexpectedInput as error:
        raise place.error([_explain(error, text)]) from None
    if nesting(tree) > MAX_NESTING:
        raise place.error([Mistake(f"nested more than {MAX_NESTING} levels deep", 0, "; write it as several rules")])
    builder = Builder()
    rule: Rule = builder.transform(tree)
    if builder.mistakes:
        raise place.error(builder.mistakes)
    place = Source(text, source, line, builder.offsets)
    return rule if schema is None else check(rule, schema, source=place)


def parse_file(text: str, schema: Schema | None = None, source: str = "rules.txt") -> list[Line]:
    """Parse a file of rules, a rule a line; comments and blank lines are kept. Its definitions hold in every line.

    Raises one `RuleError` that reports every mistake of the file.
    """
    texts = text.splitlines()
    if len(texts) > MAX_LINES or len(text) > MAX_FILE:
        message = f"a file of {len(texts)} lines and {len(text)} characters"
        hint = f"; at most {MAX_LINES} and {MAX_FILE} are allowed"
        raise Source("", source, min(len(texts), MAX_LINES + 1)).error([Mistake(message, 0, hint)])
    lines: list[Line] = []
    errors: list[RuleError] = []
    named: dict[str, int] = {}
    if schema is not None:
        schema, wrong = with_definitions(texts, schema, source)
    else:
        wrong = {}
    for number, content in enumerate(texts, start=1):
        start = _comment(content)
        rule = None
        if number in wrong:
            errors.append(wrong[number])
        elif content[:start].strip():
            try:
                rule = parse(content, schema, source=source, line=number)
            except RuleError as error:
                errors.append(error)
        if rule is not None and rule.name is not None:
            first = named.setdefault(rule.name, number)
            if first != number:
                mistake = Mistake(f"the name '{rule.name}' is taken", content.index(rule.name), f" by line {first}")
                errors.append(Source(content, source, number).error([mistake]))
        if sum(len(e.errors) for e in errors[-MAX_MISTAKES:]) >= MAX_MISTAKES:
            errors.append(Source(content, source, number).error([Mistake("too many mistakes; the rest is not read")]))
            break
        lines.append(Line(number, content, rule, content[start:].rstrip()))
    if errors:
        raise RuleError.together(errors)
    return lines


def with_definitions(
    texts: Sequence[str], schema: Schema, source: str = "rules"
) -> tuple[Schema, dict[int, RuleError]]:
    """The schema with the definitions among the lines, in whatever order they stand on each other; and what is wrong
    with them, by line."""
    waiting: dict[int, Let] = {}
    wrong: dict[int, RuleError] = {}
    for number, content in enumerate(texts, start=1):
        if _LET.match(content) and len(waiting) <= MAX_DEFINITIONS:
            try:
                statement = parse(content, source=source, line=number).statement
            except RuleError as error:
                wrong[number] = error
            else:
                waiting |= {number: statement} if isinstance(statement, Let) else {}
    reads = {number: names(let) for number, let in waiting.items()}
    while waiting:
        missing = {let.name for let in waiting.values()}
        ready = [number for number in waiting if not reads[number] & missing]
        for number in ready or list(waiting):
            let = waiting.pop(number)
            try:
                if not ready:
                    hint = "; a definition stands on features and on other definitions"
                    raise Source(texts[number - 1], source, number).error(
                        [Mistake(f"'{let.name}' is defined by itself", texts[number - 1].index(let.name), hint)])
                schema = defined(schema, [parse(texts[number - 1], schema, source=source, line=number)])
            except RuleError as error:
                wrong[number] = error
    return schema, wrong


def nesting(tree: Tree[Token]) -> int:
    """How many levels deep a parse tree is; does not recurse."""
    deepest, stack = 0, [(tree, 1)]
    while stack:
        node, level = stack.pop()
        deepest = max(deepest, level)
        stack.extend((child, level + 1) for child in node.children if isinstance(child, Tree))
    return deepest


def _comment(line: str) -> int:
    """The offset at which the comment of a line begins (its length if it has none); a `#` in quotes begins none."""
    quoted = False
    for i, character in enumerate(line):
        if character == '"':
            quoted = not quoted
        elif character == "#" and not quoted:
            return i
    return len(line)


def _reserve(token: Token) -> Token:
    """Make a reserved word its own token where the parser would take it for a name."""
    if token.value in RESERVED:
        token.type = token.value.upper()
    return token


# --- explaining a mistake ---------------------------------------------------------------------------------------------


def _explain(error: UnexpectedInput, text: str) -> Mistake:
    """Say what was expected where the parser stopped, and the likely remedy."""
    if isinstance(error, UnexpectedCharacters):
        offset = error.pos_in_stream or 0
        found = text[offset]
        hint = _INSTEAD.get(found) or "it has no meaning here"
        return Mistake(f"unexpected {found!r}", offset, f"; {hint}")
    assert isinstance(error, UnexpectedToken)
    token, accepted = error.token, set(error.accepts or error.expected)
    if token.type == "$END":
        end = len(text[: _comment(text)].rstrip())
        return Mistake("the line ends too soon", end, f"; expected {_wanted(accepted)}")
    offset = token.start_pos or 0
    before = text[:offset].split()[-1:] or [""]
    first = text.split(maxsplit=1)[0]
    if accepted == {"COLON"}:
        return Mistake(f"unknown statement '{first}'", text.index(first), _statement(first))
    if token.type == "LPAR" and _PLAIN.fullmatch(before[0]):
        return Mistake(f"unknown function '{before[0]}'", text.rindex(before[0], 0, offset), _function(before[0]))
    if first == "let" and str(token) == "=":
        return Mistake("unexpected '='", offset, "; a definition is written let NAME = EXPRESSION")
    if str(token) in _INSTEAD:
        return Mistake(f"unexpected '{token}'", offset, f"; {_INSTEAD[str(token)]}")
    unit = _UNIT.search(text[:offset])
    if unit is not None and not unit[1].startswith("step") and (near := nearest(unit[1], _LINKS)):
        return Mistake(f"unexpected '{unit[1]}'", unit.start(1), near)
    known = sorted(_words(accepted))
    near = nearest(str(token), known) if token.type == "NAME" and "NAME" not in accepted else ""
    return Mistake(f"unexpected '{excerpt(str(token), 0)[0]}'", offset, near or f"; expected {_wanted(accepted)}")


def _statement(word: str) -> str:
    return nearest(word, STATEMENTS) or f"; a rule begins with {_either(STATEMENTS)}"


def _function(word: str) -> str:
    return nearest(word, _FUNCTIONS) or f"; there are {_either(_FUNCTIONS)}"


def _words(terminals: set[str]) -> Iterator[str]:
    patterns = {t.name: t.pattern.value for t in grammar().terminals}
    return (patterns[t] for t in terminals if t in patterns and patterns[t].isidentifier())


def _wanted(terminals: set[str]) -> str:
    """The terminals the parser would take, in words a user knows."""
    if "EXPECT" in terminals:
        return "a statement: " + _either(STATEMENTS)
    if {"NAME", "NUMBER"} <= terminals:
        return "a condition, a name or a number" if "NOT" in terminals else "a name or a number"
    patterns = {t.name: t.pattern.value for t in grammar().terminals}
    known = {"NAME": "a name", "NUMBER": "a number", "$END": "the end of the line", "DEADLINE": "'within N steps'",
             "EQUAL": "'='", "HOLE": "'?'"}
    left_out = _OPERATORS | {"QUOTED", "QUANTITY", "PRIME", "LSQB", "IMPLIES", "IN"}
    names = [known.get(t) or f"'{patterns[t]}'" for t in sorted(terminals - left_out)]
    if "COMPARISON" in terminals:
        names.append("a comparison (==, <, ...)")
    if "PLUS" in terminals:
        names.append("an operator (+, -, ...)")
    return _either(names)


def _either(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " or " + names[-1]
