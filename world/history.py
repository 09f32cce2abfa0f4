"""The history of a rule: what became of it and when, and which language model and prompt it came from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from difflib import SequenceMatcher
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ..prompts import Gateway
from ..prompts.templates import load

Kind = Literal["accepted", "edited", "imported", "named", "refitted", "retired", "revived"]


class Event(BaseModel):
    """Something that happened to a rule. `note` is the rule's text before it was edited, named or refitted, who
    proposed what was accepted, or where it was imported from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: datetime
    kind: Kind
    note: str = ""


class Origin(BaseModel):
    """Which language model wrote a rule, and the fingerprint of the prompt it answered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    prompt: str

    @staticmethod
    def of(gateway: Gateway, prompt: str) -> Origin:
        """The gateway's model, and one of our prompts by its name."""
        return Origin(model=gateway.name, prompt=f"{prompt} {load(prompt, gateway.config.prompts).fingerprint}")


def now() -> datetime:
    """The present time, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def edits(before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Pairs (old line, new line) of what a person rewrote in place: lines that differ between lines that agree, where
    as many went as came, and each new one is the same kind of statement as the old."""
    for kind, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "replace" and b - a == d - c:
            for old, new in zip(before[a:b], after[c:d], strict=True):
                if old.split(maxsplit=1)[0] == new.split(maxsplit=1)[0]:
                    yield old, new
