"""Typed inputs and outputs of few-shot tasks: what the model is told, the grammar that holds it to it, reading it back.

A type is "text", "int", "float", "bool", a list of labels, or any other type pydantic knows: a model (a record with
typed fields), `list[str]`, `list[Model]`. The plain ones are written as they are, the others as JSON.
"""

from __future__ import annotations

import json
import math
import re
import types
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, PydanticUserError, TypeAdapter, ValidationError

from ..local.grammars import from_schema, one_of

Value = Any
"""A str, int, float, bool, list or pydantic model, by its type."""
Kind = Any
"""The type of an output; see above. A list is a choice of labels."""

PLAIN = ("text", "int", "float", "bool")
NAMES = {str: "text", int: "int", float: "float", bool: "bool"}
INTEGER = re.compile(r"[+-]?\d+")
INT_GRAMMAR = 'root ::= "-"? ("0" | [1-9] [0-9]{0,17})'
FLOAT_GRAMMAR = 'root ::= "-"? ("0" | [1-9] [0-9]{0,11}) ("." [0-9]{1,9})?'
TRUTH = {"true": True, "yes": True, "false": False, "no": False}
JSON = re.compile(r"[{\[].*[}\]]", re.S)


class Shown(str):
    """An input as the model reads it; rendering it again changes nothing."""


def kind_of(given: Any) -> Kind:
    """Return a type in its one form: a plain name, a list of labels, or a type for pydantic.

    Raises:
        ValueError: it is none, and the text says what can be given.
    """
    given = NAMES.get(given, given) if isinstance(given, type) else given
    if get_origin(given) is Literal:
        given = list(get_args(given))
    if isinstance(given, list | tuple):
        labels = list(given)
        if not labels or not all(isinstance(label, str) for label in labels):
            raise ValueError("labels are a list of texts, one at least")
        wrong = [f"label {label!r} is not one plain line" for label in labels if not _is_plain(label)]
        if len({label.casefold() for label in labels}) < len(labels):
            wrong.append("two labels are the same")
        if wrong:
            raise ValueError("; ".join(wrong))
        return labels
    if isinstance(given, str) and given in PLAIN:
        return given
    if isinstance(given, type | types.GenericAlias) or get_origin(given) is not None:
        try:
            described = adapter(given).json_schema()
        except (PydanticUserError, TypeError):
            described = {}
        if not described:
            raise ValueError(f"{given!r} is no type that can be written as JSON")
        return given
    raise ValueError(f"expected {', '.join(PLAIN)}, a list of labels or a pydantic model, got {given!r}")


def is_choice(kind: Kind) -> bool:
    """Whether an output is one of a few known texts, whose likelihoods can be compared."""
    return isinstance(kind, list) or kind == "bool"


def choices(kind: Kind) -> list[str]:
    """Return the texts of a choice."""
    return ["true", "false"] if kind == "bool" else list(kind)


def is_json(kind: Kind) -> bool:
    """Whether values of this type are written as JSON: records and lists."""
    return not isinstance(kind, list) and kind not in PLAIN


@lru_cache(maxsize=256)
def adapter(kind: Any) -> TypeAdapter[Any]:
    """Return what validates and writes a type of pydantic's."""
    return TypeAdapter(kind)


def annotation(kind: Kind) -> Any:
    """Return the Python type of a kind, for a field of a record."""
    if isinstance(kind, list):
        return Literal[tuple(kind)]
    return {name: type_ for type_, name in NAMES.items()}[kind] if isinstance(kind, str) else kind


def grammar_of(kind: Kind) -> str | None:
    """Return the GBNF grammar of an output's text; None for free text."""
    if isinstance(kind, list):
        return one_of(kind)
    if is_json(kind):
        return from_schema(adapter(kind).json_schema())
    if kind == "text":
        return None
    return {"int": INT_GRAMMAR, "float": FLOAT_GRAMMAR, "bool": one_of(["true", "false"])}[kind]


def direction(kind: Kind, max_words: int | None = None) -> str:
    """Return what the model is told about the form of its answer."""
    if isinstance(kind, list):
        return f"Answer with one of these and nothing else: {', '.join(kind)}."
    if is_json(kind):
        return f"Answer with JSON like {form(adapter(kind).json_schema())} and nothing else."
    return {
        "text": "Answer with the text alone." if max_words is None else f"Answer in at most {max_words} words.",
        "int": "Answer with one whole number and nothing else.",
        "float": "Answer with one number and nothing else.",
        "bool": "Answer with true or false and nothing else.",
    }[kind]


def form(schema: dict[str, Any], definitions: dict[str, Any] | None = None) -> str:
    """Return a JSON schema as people write it: `{"place": text, "count": whole number}`."""
    definitions = definitions or schema.get("$defs", {})
    if "$ref" in schema:
        return form(definitions.get(schema["$ref"].rsplit("/", 1)[-1], {}), definitions)
    if "enum" in schema or "const" in schema:
        return " or ".join(json.dumps(value, ensure_ascii=False) for value in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        return " or ".join(form(one, definitions) for one in schema["anyOf"])
    if schema.get("type") == "object":
        fields = (f'"{name}": {form(field, definitions)}' for name, field in schema.get("properties", {}).items())
        return "{" + ", ".join(fields) + "}"
    if schema.get("type") == "array":
        return f"[{form(schema.get('items', {}), definitions)}, ...]"
    names = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    return names.get(schema.get("type", ""), schema.get("type", "any"))


def read(kind: Kind, answer: str, max_words: int | None = None) -> Value:
    """Return the typed value of an answer; text is cut to `max_words` of its first line.

    Raises:
        ValueError: it is none, and the text says what was expected.
    """
    text = answer.strip()
    bare = text.strip("\"'`").removesuffix(".").strip()
    if isinstance(kind, list):
        return _label(kind, text, bare)
    if is_json(kind):
        return _record(kind, text)
    if kind == "text":
        if not text:
            raise ValueError("the answer is empty")
        return text if max_words is None else shortened(text.splitlines()[0], max_words)
    if kind == "bool":
        if bare.lower() not in TRUTH:
            raise ValueError(f"expected true or false, got {text!r}")
        return TRUTH[bare.lower()]
    if kind == "int":
        if not INTEGER.fullmatch(bare) or len(bare) > 1000:
            raise ValueError(f"expected a whole number, got {text[:60]!r}")
        return int(bare)
    try:
        number = float(bare)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"expected a number, got {text!r}")
    return number


def shortened(line: str, max_words: int) -> str:
    """Return the whole sentences of a line that `max_words` hold; so many words where they hold none."""
    words = line.split()
    if len(words) <= max_words:
        return " ".join(words)
    kept = " ".join(words[:max_words])
    ends = [found.end() for found in re.finditer(r"[.!?]+(?=\s|$)", kept)]
    return kept[: ends[-1]] if ends else kept


def write(kind: Kind, value: Value) -> str:
    """Return the text of an output as the model shall write it.

    Raises:
        ValueError: the value is not of the type.
    """
    if is_json(kind):
        try:
            typed = adapter(kind).validate_python(value)
        except ValidationError as error:
            raise ValueError(_mistakes(error)) from error
        return json.dumps(adapter(kind).dump_python(typed, mode="json"), ensure_ascii=False)
    if not isinstance(value, str | int | float | bool):
        raise ValueError(f"expected {_name(kind)}, got {type(value).__name__}")
    return str(value).lower() if isinstance(value, bool) else str(value)


def render(kind: Kind, value: Value) -> Shown:
    """Return an input as the model reads it: text as it is, a record as a line a field.

    Raises:
        ValueError: the value is not of the type.
    """
    if isinstance(value, Shown):
        return value
    if not is_json(kind):
        text = write(kind, value)
        if write(kind, read(kind, text)) != text.strip():
            raise ValueError(f"expected {_name(kind)}, got {value!r}")
        return Shown(text)
    data = json.loads(write(kind, value))
    if not isinstance(data, dict):
        return Shown(json.dumps(data, ensure_ascii=False))
    lines = (f"{name}: {v if isinstance(v, str) else json.dumps(v, ensure_ascii=False)}" for name, v in data.items())
    return Shown("\n".join(lines))


def plain(value: Value) -> Any:
    """Return a value as JSON data."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def _label(labels: list[str], text: str, bare: str) -> str:
    for label in labels:
        if label in (text, bare):
            return label
    folded = [label for label in labels if label.casefold() == bare.casefold()]
    if len(folded) == 1:
        return folded[0]
    raise ValueError(f"expected one of {', '.join(labels)}, got {text!r}")


def _record(kind: Kind, text: str) -> Value:
    found = JSON.search(text)  # models without a grammar like to wrap it
    try:
        return adapter(kind).validate_json(found[0] if found else text)
    except ValidationError as error:
        raise ValueError(f"{_mistakes(error)}; expected {form(adapter(kind).json_schema())}") from error


def _mistakes(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, e['loc'])) + ': ' if e['loc'] else ''}{e['msg']}" for e in error.errors()
    )


def _name(kind: Kind) -> str:
    return f"one of {', '.join(kind)}" if isinstance(kind, list) else {"int": "a whole number"}.get(kind, f"a {kind}")


def _is_plain(label: str) -> bool:
    return bool(label.strip()) and label == label.strip() and label.isprintable()
