"""The chart: every meaning that a grammar of phrases gives to every stretch of a sentence.

A production is a sequence of words, kinds of words (`VALUE`) and phrases (`Condition`); its meaning is what a function
makes of the meanings of its parts, None where they do not go together. Parsing is top-down from left to right with a
memo (Frost et al. 2008), so phrases are never left-recursive; equal meanings of a stretch are one, and only the
cheapest few are kept, so that the work is bounded by the square of the sentence's length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

KEPT = 12    # meanings of one stretch of words
WORK = 40_000    # productions tried, after which a sentence is given up
MUTE = "(no meaning)"    # of phrases that are all words, which functions of meaning do not see
Meaning = Callable[..., Any]
Edges = Mapping[tuple[str, int], Sequence[tuple[int, Any, float]]]
"""(kind of word, first word) -> (the word after the last, meaning, cost)."""


@dataclass(frozen=True)
class Production:
    """`Name: parts -> meaning`, where parts are words, KINDS and Phrases."""

    parts: tuple[str, ...]
    meaning: str


def productions(text: str) -> dict[str, list[Production]]:
    """Read a grammar: lines `Phrase: parts -> meaning`, where `a|b` are alternatives and `[a]` may be left out.

    A phrase goes on in lines that begin with `|`; without a meaning, that of its only part is taken.
    """
    found: dict[str, list[Production]] = {}
    name = ""
    for line in text.splitlines():
        line = line.split("#")[0].strip()
        if not line:
            continue
        if not line.startswith("|"):
            name, line = (part.strip() for part in line.split(":", 1))
        body, _, meaning = line.removeprefix("|").partition("->")
        for parts in _expanded(re.findall(r"[\[\]()|]|[^\s\[\]()|]+", body)):
            found.setdefault(name, []).append(Production(parts, meaning.strip()))
    return found


def _expanded(pieces: list[str]) -> list[tuple[str, ...]]:
    """Every sequence that a body stands for."""
    if not pieces:
        return [()]
    first, rest = _choice(pieces)
    return [(*one, *more) for one in first for more in _expanded(rest)]


def _choice(pieces: list[str]) -> tuple[list[tuple[str, ...]], list[str]]:
    """The alternatives that a body begins with, and what comes after them."""
    found: list[tuple[str, ...]]
    if pieces[0] not in "[(":
        found, rest = [(pieces[0],)], pieces[1:]
    else:
        depth, end = 1, 1
        while depth:
            depth += (pieces[end] in "[(") - (pieces[end] in "])")
            end += 1
        found, rest = _expanded(pieces[1 : end - 1]), pieces[end:]
        found = [(), *found] if pieces[0] == "[" else found
    if rest and rest[0] == "|":
        more, rest = _choice(rest[1:])
        found = [*found, *more]
    return found, rest


@dataclass
class Chart:
    """One sentence under one grammar: `words`, the `edges` of its lexicon, and functions for the meanings."""

    grammar: Mapping[str, Sequence[Production]]
    meanings: Mapping[str, Meaning]
    words: Sequence[str]
    edges: Edges
    work: int = 0
    memo: dict[tuple[str, int], dict[int, dict[Hashable, float]]] = field(default_factory=dict)

    def whole(self, name: str) -> list[tuple[Any, float]]:
        """The meanings of the whole sentence as one phrase with their costs, the cheapest first."""
        found = self.ends(name, 0).get(len(self.words), {})
        return sorted(found.items(), key=lambda pair: pair[1])

    def ends(self, name: str, start: int) -> dict[int, dict[Hashable, float]]:
        """Where a phrase that begins at a word may end, with its meanings and their costs."""
        key = name, start
        if key not in self.memo:
            self.memo[key] = {}
            found: dict[int, dict[Hashable, float]] = {}
            for production in self.grammar[name]:
                self._add(production, start, found)
            self.memo[key] = {end: _cheapest(meanings) for end, meanings in found.items()}
        return self.memo[key]

    def _add(self, production: Production, start: int, found: dict[int, dict[Hashable, float]]) -> None:
        states: list[tuple[int, tuple[Any, ...], float]] = [(start, (), 0.0)]
        for part in production.parts:
            states = [s for state in states for s in self._after(part, state)]
            if not states:
                return
            self.work += len(states)
            if self.work > WORK:
                return
        function = self.meanings[production.meaning] if production.meaning else _only
        for end, values, cost in states:
            meaning = function(*values)
            for one in meaning if isinstance(meaning, list) else [meaning]:
                if one is not None:
                    ways = found.setdefault(end, {})
                    ways[one] = min(ways.get(one, cost), cost)

    def _after(self, part: str, state: tuple[int, tuple[Any, ...], float]) -> list[tuple[int, tuple[Any, ...], float]]:
        at, values, cost = state
        if part in self.grammar:
            return [(end, values if meaning is MUTE else (*values, meaning), cost + more)
                    for end, ways in self.ends(part, at).items() for meaning, more in ways.items()]
        if part.isupper():
            return [(end, (*values, meaning), cost + more) for end, meaning, more in self.edges.get((part, at), ())]
        return [(at + 1, values, cost)] if at < len(self.words) and self.words[at] == part else []


def _cheapest(meanings: dict[Hashable, float]) -> dict[Hashable, float]:
    return dict(sorted(meanings.items(), key=lambda pair: pair[1])[:KEPT])


def _only(*values: Any) -> Any:
    return values[0] if values else MUTE
