"""What a schema has to speak of: the values of cells, scalar quantities by their names and descriptions, their values
and units."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...world.schema import Feature, Pointed, Schema
from .vocabulary import SAME_QUANTITY

_WORD = re.compile(r"[^\W\d_]{3,}")
_IDLE = frozenset((
    "the", "and", "how", "its", "are", "has", "can", "one", "not", "for", "was", "way", "all", "any", "where",
    "what", "which", "that", "when", "with", "from", "whether", "ends", "beyond", "right", "left", "positive",
    "either", "side", "episode", "much", "does", "have", "your", "this"))


@dataclass(frozen=True)
class Nouns:
    """`cells` are values of arrays; `scalars` quantities by name; `choices` values of scalars, and whose they are;
    `units` those of the schema, in small letters."""

    cells: frozenset[str]
    scalars: dict[str, Feature]
    choices: dict[str, tuple[str, ...]]
    units: dict[str, str]

    @staticmethod
    def of(schema: Schema) -> Nouns:
        grid = schema.grid
        cells = frozenset(v for name in (grid.arrays if grid else ()) for v in schema.named[name].values)
        scalars = {f.name: f for f in quantities(schema)}
        choices: dict[str, tuple[str, ...]] = {}
        for f in scalars.values():
            for value in f.values:
                choices[spoken(value)] = (*choices.get(spoken(value), ()), f.name)
        units = {f.unit.lower(): f.unit for f in scalars.values() if f.unit}
        return Nouns(cells, scalars, choices, units)

    def __contains__(self, word: str) -> bool:
        return word in self.cells or word in self.choices or any(word in _parts(n) for n in self.scalars)

    @property
    def words(self) -> set[str]:
        return {*self.cells, *self.choices, *map(spoken, self.scalars), *(p for n in self.scalars for p in _parts(n))}

    @property
    def spoken(self) -> list[str]:
        """What to say this world has."""
        return sorted({*self.cells, *self.choices, *map(spoken, self.scalars)})

    def feature(self, phrase: str) -> tuple[str, ...]:
        """The quantities that a phrase may name: the one of that name, else those with all its words in theirs."""
        if phrase.split()[0] in ("of", "the"):
            return ()
        exact = tuple(n for n in self.scalars if phrase in (n, spoken(n)))
        said = set(phrase.split()) - {"of", "the"}
        found = exact or tuple(n for n in self.scalars if said and said <= _parts(n))
        if not found and phrase.endswith("s") and len(phrase) > 3:
            return self.feature(phrase[:-1])
        if not found and phrase in SAME_QUANTITY and phrase not in self.choices:
            other = SAME_QUANTITY[phrase]
            return tuple(n for n in self.scalars if n == other) or tuple(n for n in self.scalars if other in _parts(n))
        return found

    def described(self, word: str) -> tuple[str, ...]:
        """The quantities whose description has the word."""
        return tuple(n for n, f in self.scalars.items()
                     if word not in _IDLE and _stem(word) in map(_stem, _WORD.findall(f.description.lower())))

    def is_deed(self, word: str, features: tuple[str, ...]) -> bool:
        """Whether a word of descriptions says what something does ("how far it leans"), rather than what it is."""
        return all(f"{_stem(word)}s" in _WORD.findall(self.scalars[n].description.lower()) for n in features)


def _stem(word: str) -> str:
    return word.removesuffix("ing").removesuffix("s")


def quantities(schema: Schema) -> list[Feature]:
    """The scalar features that are no part of a board: neither its pose nor what is ahead of it or carried."""
    grid, acting = schema.grid, {a.name for a in schema.actions}
    board: set[str] = set()
    if grid is not None:
        board = {n for pose in grid.poses for n in (pose.x, pose.y, pose.heading) if n}
        ahead = [name for name, d in schema.derivations.items() if isinstance(d, Pointed)]
        sides = {name.removesuffix(a) for name in ahead for a in grid.arrays if name.endswith(f"_{a}")}
        board |= {n for n in schema.named if any(n.endswith(f"_{a}") for a in grid.arrays)}
        board |= {n for n in schema.named if any(s and n.startswith(s) for s in sides)}
    return [f for f in schema.named.values() if not f.shape and f.name not in acting | board]


def spoken(name: str) -> str:
    return name.replace("_", " ").lower()


def _parts(name: str) -> set[str]:
    return set(name.lower().split("_"))
