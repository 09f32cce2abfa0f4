"""The words of one schema: what each feature, value and action is called, as edges of the chart.

    NOUN                        the name of a feature
    VALUE                       (feature, value): `open`, `full`; a boolean's is True or False
    DO, DOES, DOING, DONE       (action, value): a deed, in its forms
    TURN, TURNS, TURNING, ...   (feature, value): a verb that makes it so
    NUMBER                      an `Amount`, with its unit if it has one
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from ...prompts.reader.items import spoken
from ..schema import Feature, Pointed, Schema
from .morphology import forms, numbers_of, verb_of
from .tokens import Said, said

Entry = tuple[tuple[str, ...], str, Any, float]
"""(words, kind of word, meaning, cost)."""
_DEEDS = {"base": "DO", "s": "DOES", "ing": "DOING", "ed": "DONE"}
_TURNS = {"base": "TURN", "s": "TURNS", "ing": "TURNING", "ed": "TURNED"}
_ALIKE = (("closed", "shut"), ("on", "lit", "running", "burning", "active"), ("off", "unlit", "out", "dark"),
          ("empty", "dry"), ("broken", "kaput"), ("red", "scarlet"), ("grey", "gray"), ("none", "nothing"))
_CONTRARY = {"open": ("closed", "shut"), "closed": ("open",), "shut": ("open",), "on": ("off",), "off": ("on",),
             "full": ("empty",), "wet": ("dry",), "dry": ("wet",), "lit": ("unlit", "dark"), "locked": ("unlocked",),
             "up": ("down",), "in": ("out",), "out": ("in",), "running": ("stopped",), "clean": ("dirty",),
             "dirty": ("clean",), "awake": ("asleep",), "asleep": ("awake",), "alive": ("dead",), "hot": ("cold",)}
_IDLING = frozenset({"wait", "noop", "idle", "nothing", "rest", "stay", "pass", "none", "hold"})
_BREAK = re.compile(r"[,;:(]|\b(?:from|in|of|at|on|with|for|where|that|which|0|1|by|left|as|above|under|to|the)\b")
_CLAUSE = re.compile(r"(?:the|a|an|your|its|somebody|someone|there)?\s*([\w ]+?) (is|are|has|stands|hangs) ([\w ]+)")
_UNITS = {"m": ("metre", "meter"), "km": ("kilometre", "kilometer"), "cm": ("centimetre", "centimeter"),
          "s": ("second",), "min": ("minute",), "h": ("hour",), "kg": ("kilo", "kilogram"), "g": ("gram",),
          "l": ("litre", "liter"), "%": ("percent",), "percent": ("%",), "c": ("degree", "celsius"),
          "°c": ("degree", "celsius"),
          "deg": ("degree",), "degrees": ("degree",), "kw": ("kilowatt",), "w": ("watt",), "v": ("volt",),
          "t": ("ton",), "bar": ("bar",), "db": ("decibel",), "rpm": ("revolution",), "kmh": ("kph",),
          "ml": ("millilitre",), "mm": ("millimetre", "millimeter"), "a": ("amp",), "j": ("joule",),
          "€": ("euro",), "$": ("dollar",),
          "kpa": ("kilopascal",), "hz": ("hertz",)}


@dataclass(frozen=True)
class Amount:
    """A number of a sentence: its value, whether it is a share, and the features whose unit it has."""

    value: float
    form: Literal["plain", "percent", "fraction"] = "plain"
    features: frozenset[str] | None = None


class Lexicon:
    """The phrases of one schema, looked up in sentences."""

    def __init__(self, schema: Schema, more: Iterable[Entry] = ()) -> None:
        self.schema = schema
        self.acting = {a.name for a in schema.actions}
        self._phrases: dict[str, list[Entry]] = {}
        for entry in (*self._entries(), *more):
            if entry[0]:
                self._phrases.setdefault(entry[0][0], []).append(entry)
        self.names = frozenset(w for phrases in self._phrases.values() for words, *_ in phrases for w in words)
        self.units: dict[str, frozenset[str]] = {}
        for f in schema.named.values():
            for word in _unit_words(f):
                self.units[word] = self.units.get(word, frozenset()) | {f.name}

    def edges(self, heard: Said) -> dict[tuple[str, int], list[tuple[int, Any, float]]]:
        """Every phrase found in a sentence."""
        found: dict[tuple[str, int], list[tuple[int, Any, float]]] = {}
        words = heard.words
        for i, first in enumerate(words):
            for phrase, kind, meaning, cost in self._phrases.get(first, ()):
                if words[i : i + len(phrase)] == phrase:
                    found.setdefault((kind, i), []).append((i + len(phrase), meaning, cost))
            if first in self.units:
                found.setdefault(("UNIT", i), []).append((i + 1, self.units[first], 0.0))
        for start, end, numeral in heard.numbers:
            amount = Amount(numeral.value, numeral.form)
            while end < len(words) and words[end] in {"percent", "%"} and numeral.form == "percent":
                end += 1
            found.setdefault(("NUMBER", start), []).append((end, amount, 0.0))
            if end < len(words) and words[end] in self.units and numeral.form == "plain":
                with_unit = Amount(numeral.value, "plain", self.units[words[end]])
                found[("NUMBER", start)].append((end + 1, with_unit, 0.0))
        return found

    # --- what there is to say --------------------------------------------------------------------------------------

    def _entries(self) -> Iterator[Entry]:
        for f in self.schema.named.values():
            if f.name in self.acting and f.kind == "category":
                yield from self._deeds(f)
            elif not f.shape and not _is_read_off(self.schema, f):
                yield from self._nouns(f)
                yield from self._values(f)

    def _nouns(self, f: Feature) -> Iterator[Entry]:
        name = spoken(f.name)
        yield from _plural(name, "NOUN", f.name, 0.0)
        if len(name) > 1:
            yield from _plural(name[-1:], "NOUN", f.name, 0.8)
            yield from _plural(name[:-1], "NOUN", f.name, 1.2)
        described = [said(f.description.split(",")[0].split(";")[0], frozenset({"own"})).words,
                     said(_BREAK.split(re.sub(r"^(the|a|an) ", "", f.description.lower()))[0]).words]
        for words in described:
            if words and words != name and len(words) <= 7 and f.kind != "boolean":
                yield from _plural(words, "NOUN", f.name, 0.3)

    def _values(self, f: Feature) -> Iterator[Entry]:
        if f.kind == "category":
            glosses = f.glosses or ("",) * len(f.values)
            for value, gloss in zip(f.values, glosses, strict=True):
                own = spoken(value)
                ways = [(own, 0.0)] + [((word,), 0.3) for word in _alike(own)]
                if gloss and len(gloss.split()) <= 5:
                    ways.append((said(gloss).words, 0.4))
                for words, cost in ways:
                    yield words, "VALUE", (f.name, value), cost
                    yield from _verbs(words, _TURNS, (f.name, value), cost + 0.2)
        elif f.kind == "boolean":
            for noun, state in self._flags(f):
                if noun:
                    yield from _plural(noun, "NOUN", f.name, 0.0)
                states: list[tuple[tuple[str, ...], bool, float]] = [(state, True, 0.0)]
                states += [((w,), True, 0.3) for w in _alike(state)]
                states += [((w,), False, 0.2) for w in _CONTRARY.get(" ".join(state), ())]
                for words, flag, cost in states:
                    yield words, "VALUE", (f.name, flag), cost
                    yield from _verbs(words, _TURNS, (f.name, flag), cost + 0.2)

    def _flags(self, f: Feature) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
        """(what is spoken of, the state it is in) for a boolean feature."""
        name = tuple(w for w in spoken(f.name) if w not in {"is", "has"})
        yield (name[:-1], name[-1:]) if len(name) > 1 else ((), name)
        clause = _CLAUSE.match(f.description.lower())
        if clause:
            yield said(clause[1]).words, said(clause[3]).words

    def _deeds(self, f: Feature) -> Iterator[Entry]:
        glosses = f.glosses or ("",) * len(f.values)
        verbs: dict[str, int] = {}
        for value in f.values:
            verbs[spoken(value)[0]] = verbs.get(spoken(value)[0], 0) + 1
        for value, gloss in zip(f.values, glosses, strict=True):
            own, meaning = spoken(value), (f.name, value)
            yield from _verbs(own, _DEEDS, meaning, 0.0)
            yield own, "ACT", meaning, 0.0
            if len(own) > 1 and verbs[own[0]] == 1:
                yield from _verbs(own[:1], _DEEDS, meaning, 0.8)
            for part in re.split(r"[,;]", gloss):
                yield from _verbs(said(part, frozenset(own)).words, _DEEDS, meaning, 0.3)
            if _IDLING & set(own):
                for words in (("do", "nothing"), ("wait",), ("idle",), ("stay", "idle")):
                    yield from _verbs(words, _DEEDS, meaning, 0.3)


def _verbs(words: tuple[str, ...], kinds: dict[str, str], meaning: Any, cost: float) -> Iterator[Entry]:
    """A verb, with what follows it, in its forms; of a state (`kinds` of turning), the verb behind it."""
    if not words:
        return
    verb = words[0] if kinds is _DEEDS else verb_of(words[0])
    if verb:
        for form, kind in forms(verb).items():
            yield (form, *words[1:]), kinds[kind], meaning, cost


def verb_entries(words: tuple[str, ...], kind: str, meaning: Any) -> Iterator[Entry]:
    """A verb, with what follows it, in its forms: of `HANDL` the kinds HANDLE, HANDLES, HANDLING, HANDLED."""
    endings = {"base": "E", "s": "ES", "ing": "ING", "ed": "ED"}
    for form, which in forms(words[0]).items():
        yield (form, *words[1:]), kind + endings[which], meaning, 0.0


def _plural(words: tuple[str, ...], kind: str, meaning: Any, cost: float) -> Iterator[Entry]:
    if words:
        for last in numbers_of(words[-1]):
            yield (*words[:-1], last), kind, meaning, cost


def _alike(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(w for group in _ALIKE if len(words) == 1 and words[0] in group for w in group if w != words[0])


def _unit_words(f: Feature) -> Iterator[str]:
    unit = f.unit.lower()
    if unit:
        for word in (unit.replace("/", ""), *_UNITS.get(unit, ())):
            yield from numbers_of(word)


def _is_read_off(schema: Schema, f: Feature) -> bool:
    """Whether a feature is a cell of a board, which `board` has words for."""
    return isinstance(schema.derivations.get(f.name), Pointed)
