"""What a sentence may speak of: a world's features, actions and values, in the plain terms that the reader needs.

Nothing here knows a schema; whoever has one lists its items.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Kind = Literal["real", "integer", "boolean", "category", "value"]
KINDS: tuple[Kind, ...] = ("real", "integer", "boolean", "category", "value")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_|(?<=[a-zA-Z])(?=\d)")


@dataclass(frozen=True)
class Item:
    """A feature, or (`kind` "value") one value of the category `owner`. `gloss` describes it in a few words."""

    name: str
    kind: Kind
    owner: str = ""
    gloss: str = ""
    is_action: bool = False
    is_array: bool = False
    low: float = -math.inf
    high: float = math.inf

    @property
    def type(self) -> int:
        """A small number for what sort of item it is, below `TYPES`."""
        return KINDS.index(self.kind) * 4 + self.is_action * 2 + self.is_array

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The words of its own name, in lower case: `pickUp_2` is pick, up, 2."""
        return spoken(self.name)

    @property
    def label(self) -> str:
        """How it is called: a value together with its feature."""
        return " ".join((*spoken(self.owner), *self.words))

    @property
    def text(self) -> str:
        """All that is known of it, in words."""
        return f"{self.label}: {self.gloss}" if self.gloss else self.label


TYPES = 4 * len(KINDS)


def spoken(name: str) -> tuple[str, ...]:
    """The words of a name, in lower case."""
    return tuple(part for piece in _CAMEL.split(name) for part in piece.lower().split("-") if part)
