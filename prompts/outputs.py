"""Typed outputs of few-shot tasks: what the model is told, the grammar that holds it to it, and reading it back."""

from __future__ import annotations

import math
import re
from typing import Literal

from .grammars import one_of

Value = str | int | float | bool
Kind = Literal["text", "int", "float", "bool"] | list[str]
"""The type of an output; a list is a choice of labels."""

INTEGER = re.compile(r"[+-]?\d+")
INT_GRAMMAR = 'root ::= "-"? ("0" | [1-9] [0-9]{0,17})'
FLOAT_GRAMMAR = 'root ::= "-"? ("0" | [1-9] [0-9]{0,11}) ("." [0-9]{1,9})?'
TRUTH = {"true": True, "yes": True, "false": False, "no": False}


def grammar_of(kind: Kind) -> str | None:
    """Return the GBNF grammar of an output's text; None for free text."""
    if isinstance(kind, list):
        return one_of(kind)
    return {"text": None, "int": INT_GRAMMAR, "float": FLOAT_GRAMMAR, "bool": one_of(["true", "false"])}[kind]


def direction(kind: Kind) -> str:
    """Return what the model is told about the form of its answer."""
    if isinstance(kind, list):
        return f"Answer with one of these and nothing else: {', '.join(kind)}."
    return {
        "text": "Answer with the text alone.",
        "int": "Answer with one whole number and nothing else.",
        "float": "Answer with one number and nothing else.",
        "bool": "Answer with true or false and nothing else.",
    }[kind]


def read(kind: Kind, answer: str) -> Value:
    """Return the typed value of an answer.

    Raises:
        ValueError: it is none, and the text says what was expected.
    """
    text = answer.strip()
    bare = text.strip("\"'`").removesuffix(".").strip()
    if kind == "text":
        if not text:
            raise ValueError("the answer is empty")
        return text
    if kind == "bool":
        if bare.lower() not in TRUTH:
            raise ValueError(f"expected true or false, got {text!r}")
        return TRUTH[bare.lower()]
    if kind == "int":
        if not INTEGER.fullmatch(bare):
            raise ValueError(f"expected a whole number, got {text!r}")
        return int(bare)
    if kind == "float":
        try:
            number = float(bare)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise ValueError(f"expected a number, got {text!r}")
        return number
    for label in kind:
        if label in (text, bare):
            return label
    folded = [label for label in kind if label.casefold() == bare.casefold()]
    if len(folded) == 1:
        return folded[0]
    raise ValueError(f"expected one of {', '.join(kind)}, got {text!r}")


def write(value: Value) -> str:
    """Return the text of an output as the model shall write it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
