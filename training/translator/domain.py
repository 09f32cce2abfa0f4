"""A domain: one hand-written world with the phrases people have for its features, effects and actions.

`Phrase` couples English with a rule expression; everything composed later is made of phrases.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gedanken.world.rules.parse import parse
from gedanken.world.schema import Feature, Schema

from .grounding import is_said, without_tolerance

_SCHEMA_KEYS = ("name", "kind", "shape", "low", "high", "unit", "values", "description")
_WORDS = re.compile(r"[^\W\d]\w*'?")
_COMPARISON = re.compile(r"([^<>=!]+?) (==|!=|<=|>=|<|>) ([^<>=!]+)")
_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


@dataclass(frozen=True)
class Phrase:
    """A finite clause and the expression it stands for; `about` is the noun it begins with, if any."""

    text: str
    rule: str
    about: str = ""

    @property
    def inverse(self) -> str:
        """The expression of the contrary."""
        return inverse(self.rule)


def inverse(rule: str) -> str:
    """`door == open` -> `door != open`, `lit` -> `not lit`; anything compound goes into `not (...)`."""
    found = _COMPARISON.fullmatch(rule)
    if found and not re.search(r" (and|or|not|in|within) ", f" {rule} ") and not re.match(r"(any|all)\(", rule):
        return f"{found[1]} {_OPPOSITE[found[2]]} {found[3]}"
    if rule.startswith("not ") and not re.search(r" (and|or) ", rule):
        return rule.removeprefix("not ")
    simple = re.fullmatch(r"\w+|(any|all)\([^()]*\)|\w+ in \{[^{}]*\}", rule)
    return f"not {rule}" if simple else f"not ({rule})"


@dataclass(frozen=True)
class Quantity:
    """A feature or an action: its schema entry, and its nouns, condition phrases, effect phrases and verbs."""

    entry: dict[str, Any]
    nouns: tuple[str, ...] = ()
    phrases: tuple[Phrase, ...] = ()
    becomes: tuple[Phrase, ...] = ()
    verbs: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.entry["name"])

    @property
    def kind(self) -> str:
        return str(self.entry["kind"])

    @property
    def is_number(self) -> bool:
        return self.kind in {"real", "integer"}

    @property
    def is_array(self) -> bool:
        return bool(self.entry.get("shape"))

    @property
    def values(self) -> tuple[str, ...]:
        return tuple(self.entry.get("values", ()))

    @property
    def low(self) -> float | None:
        return self.entry.get("low")

    @property
    def high(self) -> float | None:
        return self.entry.get("high")

    @property
    def unit(self) -> str:
        return str(self.entry.get("unit") or "")


@dataclass(frozen=True)
class Domain:
    """One world: quantities, and `free` pairs (sentence, rule lines) written by hand."""

    name: str
    features: tuple[Quantity, ...]
    actions: tuple[Quantity, ...]
    free: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def schema(self) -> dict[str, Any]:
        """The features and actions alone, as `Pair.schema` has them."""
        return {
            "name": self.name,
            "features": [q.entry for q in self.features],
            "actions": [q.entry for q in self.actions],
        }


def schema_of(data: dict[str, Any]) -> Schema:
    """The checkable schema of `{"name", "features", "actions"}`; it cannot perceive or act."""
    features, actions = ([_feature(entry) for entry in data[k]] for k in ("features", "actions"))
    return Schema(str(data["name"]), tuple(features), tuple(actions), perceive=lambda o, e: {}, act=lambda a: a)


def _feature(entry: dict[str, Any]) -> Feature:
    bounds = {k: float(entry[k]) for k in ("low", "high") if entry.get(k) is not None}
    return Feature(
        entry["name"],
        entry["kind"],
        tuple(entry.get("shape", ())),
        values=tuple(entry.get("values", ())),
        unit=entry.get("unit") or "",
        description=entry.get("description") or "",
        **bounds,
    )


def bounds_of(entries: list[dict[str, Any]]) -> set[float]:
    """Every lower and upper bound of the entries."""
    return {float(entry[k]) for entry in entries for k in ("low", "high") if entry.get(k) is not None}


def words_of(rule: str) -> set[str]:
    """Every bare word of a rule, primes taken off."""
    return {w.rstrip("'") for w in _WORDS.findall(rule)}


def primed(rule: str, names: set[str]) -> str:
    """The expression over the next state: `load > 5` -> `load' > 5`. A pointer into an array is primed, too."""
    return _WORDS.sub(lambda m: m[0] + "'" if m[0] in names else m[0], rule)


def load(folder: Path) -> list[Domain]:
    """Read every domain of a folder, by file name."""
    return [_domain(json.loads(p.read_text(encoding="utf-8"))) for p in sorted(folder.glob("*.json"))]


def _domain(data: dict[str, Any]) -> Domain:
    nouns = Counter(n for f in data["features"] for n in f.get("nouns", ()))
    shared = {n for n, count in nouns.items() if count > 1}
    features = tuple(_quantity(f, shared) for f in data["features"])
    actions = tuple(_quantity(f) for f in data["actions"])
    free = tuple((f["text"], tuple(without_tolerance(r, f["text"]) for r in f["rules"])) for f in data.get("free", ()))
    domain = Domain(data["name"], features, actions, free)
    schema = schema_of(domain.schema)  # raises here, once, where a file is wrong
    for _, rules in free:
        for rule in rules:
            parse(rule, schema)
    return domain


def _quantity(data: dict[str, Any], shared: Set[str] = frozenset()) -> Quantity:
    """A feature or action; the nouns `shared` with another are left out, because nobody could tell which is meant."""
    entry = {k: data[k] for k in _SCHEMA_KEYS if k in data}
    nouns = tuple(n for n in data.get("nouns", ()) if n not in shared) or ("the " + data["name"].replace("_", " "),)
    known = bounds_of([entry])
    said = {k: tuple(_said(data.get(k, {}), nouns, known)) for k in ("phrases", "becomes")}
    verbs = {k: tuple(v) for k, v in data.get("verbs", {}).items()}
    return Quantity(entry, nouns, said["phrases"], said["becomes"], verbs)


def _said(bank: dict[str, list[str]], nouns: tuple[str, ...], known: set[float]) -> Iterator[Phrase]:
    for rule, texts in bank.items():
        for text in texts:
            if is_said(rule, text, known):
                yield Phrase(text, rule, next((n for n in nouns if text.startswith(n + " ")), ""))
