"""Telling: what a person says, cut into units, and a sentence read as rules by a language model.

A text is rule lines, English sentences, or a manual of both: rule lines indented under a sentence are what that
sentence means. Only the language model guesses; nothing here invents a rule that nobody said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..prompts import Gateway, Reading, split_sentences, translate
from .rules.constrain import decoding_grammar
from .rules.parse import RuleError, parse, parse_file
from .rules.syntax import Rule
from .rules.text import STATEMENTS, number, to_text, word
from .schema import Feature, Schema

_RULE = re.compile(rf"\s*(?:[^\W\d]\w*\s*:\s*)?(?:{'|'.join(STATEMENTS)})\b")
_ENDED = re.compile(r"[.!?…:;][\"')\]”’]*\s*$")
_BULLET = re.compile(r"\s*(?:[-*•–]|\(?\d{1,3}[.)])\s")
_SHOWN = 4    # of the rules that were told in sentences before, as examples


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
    rules_only = "\n".join(line if kind in ("rule", "under") else "" for line, kind in zip(lines, kinds, strict=True))
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
            elif kind == "rule":
                close()
                found.append(Unit(""))
            last = found[-1]
            found[-1] = Unit(last.sentence, (*last.rules, place.rule), (*last.lines, place.number))
        else:
            if kind != "more":
                close()
            if kind in ("more", "prose"):
                prose.append(line)
    close()
    return found


def _kinds(lines: Sequence[str]) -> Iterator[str]:
    """What each line is: "" (blank or a comment), "rule", "under" (a rule of the sentence above), "prose" (begins a
    sentence), or "more" (goes on with the sentence above)."""
    above = ""    # what a line could continue: "" nothing, "open" or "ended" prose, "under" a sentence's rules
    for line in lines:
        is_indented, is_rule = line[:1].isspace(), bool(_RULE.match(line))
        if not line.strip() or line.lstrip().startswith("#"):
            kind, above = "", ("" if not line.strip() else above)
        elif is_indented and above and not _BULLET.match(line) and (is_rule or above != "open"):
            kind, above = "under", "under"
        elif is_rule:
            kind, above = "rule", ""
        else:
            kind = "more" if above == "open" and not _BULLET.match(line) else "prose"
            above = "ended" if _ENDED.search(line) else "open"
        yield kind


class Translator:
    """Reads sentences as rules of one schema through a gateway, under the decoding grammar."""

    def __init__(self, schema: Schema, gateway: Gateway) -> None:
        self.schema, self.gateway = schema, gateway
        self._grammar: str | None = None

    def grammar(self) -> str | None:
        """The decoding grammar of a rule line, for models that decode under one."""
        if self._grammar is None and "grammar" in self.gateway.options:
            self._grammar = decoding_grammar(self.schema)
        return self._grammar

    def readings(self, sentence: str, told: Sequence[tuple[str, str]] = ()) -> list[tuple[Rule, Reading]]:
        """What the sentence may mean, the likeliest first: only what parses and checks, in canonical text.

        `told` are sentences told before with their rule lines, shown as examples. Raises `ModelUnavailable`.
        """
        words = _words(sentence)
        near = sorted(told, key=lambda pair: len(words & _words(pair[0])))[-_SHOWN:]
        shown = [*examples(self.schema), *near]
        answers = translate(sentence, self.schema.describe(), shown, self.gateway, self.grammar())
        found: dict[str, tuple[Rule, Reading]] = {}
        for answer in answers:
            try:
                rule = parse(answer.text, self.schema)
            except RuleError:
                continue
            text = to_text(rule)
            found.setdefault(text, (rule, Reading(text, answer.confidence)))
        return list(found.values())


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def examples(schema: Schema) -> list[tuple[str, str]]:
    """Sentences with their rule lines that show the language in the world's own names."""
    acting = {a.name for a in schema.actions}
    states = [f for f in schema.named.values() if not f.shape and f.name not in acting]
    choices = [f for f in states if f.kind == "category" and len(f.values) > 1]
    numbers = [f for f in states if f.kind == "real"]
    action = next((a for a in schema.actions if a.kind == "category"), None)
    pairs: list[tuple[str, str]] = []
    if choices and action:
        f, g, last = choices[-1], choices[0], action.values[-1]
        condition = f"{word(f.name)} == {word(f.values[-1])}"
        when = f"{_said(f)} is {f.values[-1]}"
        name, done = word(action.name), f"{word(action.name)} == {word(last)}"
        pairs += [
            (f"Never {last} when {when}.", f"forbid {name} == {word(last)} if {condition}"),
            (f"If you {last} while {when}, nothing changes.", f"expect same if {done} and {condition}"),
            (f"When you {last} while {when}, {_said(g)} becomes {g.values[-1]}.",
             f"expect {word(g.name)}' == {word(g.values[-1])} if {done} and {condition}"),
            (f"It pays 1 to {last} while {when}.", f"reward +1 if {done} and {condition}"),
        ]
    if choices:
        f = choices[-1]
        pairs.append((f"Get {_said(f)} to be {f.values[0]}.", f"achieve {word(f.name)} == {word(f.values[0])}"))
    for f in numbers[:1]:
        middle = number(round((f.low + f.high) / 2, 2)) if abs(f.low + f.high) < 1e9 else "1"
        pairs += [(f"Keep {_said(f)} above {middle}.", f"maintain {word(f.name)} > {middle}"),
                  (f"Stay away from {_said(f)} below {middle}.", f"avoid {word(f.name)} < {middle}")]
    return [(said, to_text(rule)) for said, line in pairs if (rule := _checked(line, schema)) is not None]


def _said(feature: Feature) -> str:
    return feature.name.replace("_", " ")


def _checked(line: str, schema: Schema) -> Rule | None:
    try:
        return parse(line, schema)
    except RuleError:
        return None
