"""Telling: what a person says, cut into units.

A text is rule lines, English sentences, or a manual of both: rule lines indented under a sentence are what that
sentence means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..prompts import split_sentences
from .rules.parse import parse_file
from .rules.syntax import Rule
from .rules.text import STATEMENTS
from .schema import Schema

_RULE = re.compile(rf"\s*(?:[^\W\d]\w*\s*:\s*)?(?:{'|'.join(STATEMENTS)})\b|\s*let\s+\w+\s*=")
_ENDED = re.compile(r"[.!?…:;][\"')\]”’]*\s*$")
_BULLET = re.compile(r"\s*(?:[-*•–]|\(?\d{1,3}[.)])\s")


@dataclass(frozen=True)
class Unit:
    """Sentences with the rule lines that stand for them: either may be missing. `lines` are the rules' numbers."""

    sentence: str
    rules: tuple[Rule, ...] = ()
    lines: tuple[int, ...] = ()


def units(text: str, schema: Schema, source: str) -> list[Unit]:
    """Cut a text into its units, in order; a sentence without rule lines is a unit of its own.

    Raises `RuleError` with every mistake in the rule lines at once.
    """
    lines = text.splitlines()
    margin = min((len(t) - len(t.lstrip()) for t in lines if t.strip()), default=0)
    kinds = list(_kinds([line[margin:] for line in lines]))
    rules_only = "\n".join(line if kind in ("rule", "under") else "#" for line, kind in zip(lines, kinds, strict=True))
    parsed = parse_file(rules_only, schema, source=source)
    found: list[Unit] = []
    prose: list[str] = []    # of the sentence that rule lines may follow

    def close() -> None:
        found.extend(Unit(sentence) for sentence in split_sentences("\n".join(prose)))
        prose.clear()

    for line, kind, place in zip(lines, kinds, parsed, strict=True):
        if kind in ("rule", "under"):
            assert place.rule is not None
            if kind == "under" and prose:
                found.append(Unit(" ".join(split_sentences("\n".join(prose)))))
                prose.clear()
            elif kind == "rule" or not found:
                close()
                found.append(Unit(""))
            last = found[-1]
            found[-1] = Unit(last.sentence, (*last.rules, place.rule), (*last.lines, place.number))
        elif kind in ("prose", "more"):
            if kind == "prose":
                close()
            prose.append(line)
        elif kind == "blank":
            close()
    close()
    return found


def _kinds(lines: Sequence[str]) -> Iterator[str]:
    """What each line is: "blank", "comment", "rule", "under" (a rule of the sentence above), "prose" (begins a
    sentence), or "more" (goes on with the sentence above)."""
    above = ""    # what a line could continue: "" nothing, "open" or "ended" prose, "under" a sentence's rules
    for line in lines:
        is_indented, is_rule = line[:1].isspace(), bool(_RULE.match(line))
        if not line.strip():
            kind, above = "blank", ""
        elif line.lstrip().startswith("#"):
            kind, above = "comment", "ended" if above == "open" else above
        elif is_indented and above and not _BULLET.match(line) and (is_rule or above != "open"):
            kind, above = "under", "under"
        elif is_rule:
            kind, above = "rule", ""
        else:
            kind = "more" if above == "open" and not _BULLET.match(line) else "prose"
            above = "ended" if _ENDED.search(line) else "open"
        yield kind
