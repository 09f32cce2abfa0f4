"""The translator: what a sentence may mean as checked rules of one schema, and which of its readings is taken.

Only the language model guesses; what it says is parsed and checked like any other text, and what does not fit the
world is dropped. Where memory holds transitions that speak of a reading, they weigh in (`judging`). Sentences go into
prompts as quoted data.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from ..errors import GedankenError, UserError
from ..memory.context import Context, Line, assemble
from ..memory.short_term import ShortTerm
from ..prompts import Gateway, ModelUnavailable, Reading, translate
from ..prompts.counting import counter
from ..prompts.gateway.asking import as_text
from ..prompts.reader.links import spoken_of, strange_word
from ..prompts.reader.scoring import Said
from .english import Reader
from .items import is_about, items_of
from .judging import RECENT, judged
from .miner import mine
from .remembering import recalled
from .rules import syntax as s
from .rules.check import warnings
from .rules.constrain import decoding_grammar
from .rules.parse import RuleError, parse
from .rules.syntax import Rule
from .rules.text import number, to_text, word
from .rules.words import to_words
from .schema import Feature, Schema

if TYPE_CHECKING:
    from ..memory.experience.record import Transitions

Ask = Callable[[str, Sequence[Reading]], int | None]
"""(sentence, readings) -> the index of the one that was meant, or None."""
_SHOWN = 4    # sentences told before, shown as examples
_ASKED = 5    # readings that a person is asked about
REMEMBERED = 0.97    # confidence of a reading that a person chose for a sentence like it
NOTHING = "None of this can be observed or said here."
NO_MODEL = "no language model; write it as a rule line"
_WAY_OUT = "write it as a rule line"


@dataclass(frozen=True)
class Candidate:
    """One reading of a sentence: its rules (none: it cannot be said here), as canonical text, and its confidence; it
    `is_literal` where the grammar accounts for every word."""

    rules: tuple[Rule, ...]
    reading: Reading
    is_literal: bool = False


@dataclass(frozen=True)
class Understanding:
    """What became of a sentence: its rules, if any, and the readings as (text, confidence)."""

    rules: tuple[Rule, ...]
    readings: tuple[tuple[str, float], ...]
    fate: Literal["understood", "asked", "refused"]
    reason: str = ""


class Translator:
    """Reads sentences as rules of one schema: by a grammar (`english`), and through a gateway where there is one;
    examples are shown as far as they fit into the working context of `recent`."""

    def __init__(self, schema: Schema, gateway: Gateway | None, recent: ShortTerm | None = None) -> None:
        self.schema, self.gateway = schema, gateway
        self.recent = recent or ShortTerm(count=counter(gateway.model if gateway else None))
        self._items = items_of(schema)
        self._english = Reader(schema)
        self._grammar: str | None = None
        self._mined: tuple[Transitions, tuple[Rule, ...]] | None = None

    def understood(self, sentence: str, told: Sequence[tuple[str, str]], ask: Ask | None, confidence: float,
                   transitions: Transitions | None = None) -> Understanding:
        """Read a sentence as rules: the likeliest reading if it has at least `confidence`, else the one that `ask`
        chooses. Raises `ModelUnavailable`, and `UserError` where `ask` chooses what is not there."""
        try:
            found = self.readings(sentence, told, transitions)
        except ModelUnavailable:
            raise
        except GedankenError as error:    # of this sentence: too long for the model, say
            return Understanding((), (), "refused", str(error))
        shown = tuple((c.reading.text, c.reading.confidence) for c in found if c.rules)
        if not shown and self.gateway is None:
            return Understanding((), (), "refused", NO_MODEL)
        if not shown:
            reason = "" if found else "the language model gave no rule that fits this world; "
            return Understanding((), (), "refused", reason + (self._unsayable(sentence) if found else _WAY_OUT))
        best = found[0]
        if best.rules and best.reading.confidence >= confidence:
            return Understanding(best.rules, shown, "understood")
        if not best.rules and (ask is None or best.reading.confidence >= confidence):
            return Understanding((), shown, "refused", self._unsayable(sentence))
        if ask is None:
            who = "the language model is" if self.gateway else "it is"
            reason = f"{who} only {best.reading.confidence:.0%} sure that this means "
            means = f"`{'` and `'.join(best.reading.text.splitlines())}`"
            return Understanding((), shown, "refused", f"{reason}{means}; {_WAY_OUT}")
        offered = [c for c in found if c.rules][:_ASKED]
        choice = ask(sentence, [c.reading for c in offered])
        if choice is None:
            return Understanding((), shown, "refused", f"none of the readings was meant; {_WAY_OUT}")
        if not 0 <= choice < len(offered):
            raise UserError(f"there is no reading {choice}: choose from 0 to {len(offered) - 1}, or None")
        return Understanding(offered[choice].rules, shown, "asked")

    def readings(self, sentence: str, told: Sequence[tuple[str, str]] = (), transitions: Transitions | None = None
                 ) -> list[Candidate]:
        """What the sentence may mean, the likeliest first: only what parses and checks, in canonical text.

        `told` are sentences told before with their rule lines: what is like one of them means the like, and prompts
        show them as examples. `transitions` speak for and against the readings. Raises `ModelUnavailable`.
        """
        answers = self._asked(sentence, told, transitions) if self.gateway else []
        alike = [Reading(lines, REMEMBERED) for lines in recalled(sentence, told, self.schema)[:1]]
        literal = self._read(sentence) if self.gateway is None or self.gateway.can_read else []
        room = 1.0 - sum(one.confidence for one in literal)
        answers = [*literal, *(replace(answer, confidence=room * answer.confidence) for answer in answers)]
        found: dict[str, Candidate] = {}
        for answer in [*alike, *answers]:
            rules = [_checked(line, self.schema) for line in answer.text.splitlines()]
            if None in rules:
                continue
            kept = tuple({to_text(rule): rule for rule in rules if rule is not None}.values())
            text = "\n".join(map(to_text, kept))
            before = found[text].reading.confidence if text in found else 0.0
            plainly = " ".join(to_words(rule, self.schema) for rule in kept)
            found[text] = Candidate(kept, Reading(text, min(before + answer.confidence, 1.0), plainly),
                                    answer in literal or (text in found and found[text].is_literal))
        candidates = sorted(found.values(), key=lambda c: -c.reading.confidence)
        if transitions is not None and len(transitions):
            candidates = self._weighed(candidates, transitions)
        return candidates

    def _asked(self, sentence: str, told: Sequence[tuple[str, str]], transitions: Transitions | None
               ) -> Sequence[Reading]:
        """The language model's readings."""
        assert self.gateway is not None
        words = _words(sentence)
        near = sorted(told, key=lambda pair: len(words & _words(pair[0])))[-_SHOWN:]
        shown = [*examples(self.schema), *near]
        if not self.gateway.can_read:
            shown = self._fitting(sentence, shown)
        if self._grammar is None and "grammar" in self.gateway.options and not self.gateway.can_read:
            self._grammar = decoding_grammar(self.schema)
        return translate(sentence, self.schema.describe(), shown, self.gateway, self._grammar, items=self._items,
                         say=self.said_back, also=self._explaining(sentence, transitions))

    def _read(self, sentence: str) -> list[Reading]:
        """The readings of the grammar. The network's have the room that they leave; where both read the same, their
        confidences add up; where the grammar reads nothing, the network's stand."""
        read = self._english.read(sentence)
        return [Reading("\n".join(map(to_text, one.rules)), p)
                for one, p in zip(read, self._english.confidences(read), strict=True)]

    def _fitting(self, sentence: str, shown: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """The examples that fit the budget of a prompt, the last ones first to be kept."""
        world = self.schema.describe()
        lines = [Line(said, "example", rules) for said, rules in reversed(shown)]

        def written(context: Context) -> str:
            shown = context.pairs("example")[::-1]
            assert self.gateway is not None
            return as_text(self.gateway.render("translate", schema=world, examples=shown, sentence=sentence))

        self.recent.shown = assemble(lines, self.recent.budget_tokens, self.recent.count, written)
        return self.recent.shown.pairs("example")[::-1]

    def _explaining(self, sentence: str, transitions: Transitions | None) -> Sequence[str]:
        """Rule lines about what the sentence speaks of that explain the transitions: what it may well be saying."""
        can_read = self.gateway is not None and self.gateway.can_read
        if transitions is None or not len(transitions) or not can_read:
            return ()
        if self._mined is None or self._mined[0] is not transitions:
            recent = transitions.take(slice(max(len(transitions) - RECENT, 0), None))
            self._mined = transitions, tuple(mine(self.schema, recent))
        there = spoken_of(sentence, self._items)
        return tuple(to_text(rule) for rule in self._mined[1] if is_about(rule, there))

    def said_back(self, lines: Sequence[str]) -> Said | None:
        """Rule lines in plain words, and whether they are doubtful; None where they do not parse or check."""
        rules = [_checked(line, self.schema) for line in lines]
        kept = [rule for rule in rules if rule is not None]
        if len(kept) < len(rules):
            return None
        words = " ".join(to_words(rule, self.schema) for rule in kept)
        return Said(words or NOTHING, self._is_doubtful(kept))

    def _is_doubtful(self, rules: Sequence[Rule]) -> bool:
        """Whether a rule could never fire or hold, or compares a thing with itself: nobody means that."""
        itself = (n for rule in rules for n in s.walk(rule) if isinstance(n, s.Compare))
        return any(warnings(rule, self.schema) for rule in rules) or any(
            len(set(map(to_text, n.operands))) < len(n.operands) for n in itself)

    def _weighed(self, candidates: Sequence[Candidate], transitions: Transitions) -> list[Candidate]:
        """The candidates with their confidence after the data have spoken, the likeliest first. What was said word for
        word may be news of a world that has changed: there memory only chooses between the readings."""
        found = []
        for is_literal in (True, False):
            some = [c for c in candidates if c.is_literal == is_literal]
            priors = [c.reading.confidence for c in some]
            posterior = judged([c.rules for c in some], priors, self.schema, transitions)
            share = sum(priors) / sum(posterior) if is_literal and some else 1.0
            found += [replace(c, reading=replace(c.reading, confidence=share * p))
                      for c, p in zip(some, posterior, strict=True)]
        return sorted(found, key=lambda c: -c.reading.confidence)

    def _unsayable(self, sentence: str) -> str:
        """Why a sentence is refused, with the word that the world has nothing for."""
        strange = strange_word(sentence, self._items)
        named = f"this world has no feature for '{strange}'" if strange else "this cannot be said in the rule language"
        return f"{named}; {_WAY_OUT}, or ask for what can be observed"


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
    middle = number(round((numbers[0].low + numbers[0].high) / 2, 2)) if numbers and _is_bounded(numbers[0]) else "1"
    if action and (choices or numbers):
        f, chosen = (choices or numbers)[-1], action.values[len(action.values) // 2]
        condition = f"{word(f.name)} == {word(f.values[-1])}" if choices else f"{word(numbers[0].name)} > {middle}"
        when = f"{_said(f)} is {f.values[-1]}" if choices else f"{_said(numbers[0])} is above {middle}"
        done = f"{word(action.name)} == {word(chosen)}"
        pairs += [
            (f"Never {chosen} when {when}.", f"forbid {done} if {condition}"),
            (f"If you {chosen} while {when}, nothing changes.", f"expect same if {done} and {condition}"),
            (f"It pays 1 to {chosen} while {when}.", f"reward +1 if {done} and {condition}"),
        ]
        for g in choices[:1]:
            effect = f"{word(g.name)}' == {word(g.values[-1])}"
            pairs.append((f"When you {chosen} while {when}, {_said(g)} becomes {g.values[-1]}.",
                          f"expect {effect} if {done} and {condition}"))
    for f in choices[-1:]:
        pairs.append((f"Get {_said(f)} to be {f.values[0]}.", f"achieve {word(f.name)} == {word(f.values[0])}"))
    for f in numbers[:1]:
        pairs += [(f"Keep {_said(f)} above {middle}.", f"maintain {word(f.name)} > {middle}"),
                  (f"Stay away from {_said(f)} below {middle}.", f"avoid {word(f.name)} < {middle}")]
    return [(said, to_text(rule)) for said, line in pairs if (rule := _checked(line, schema)) is not None]


def _is_bounded(feature: Feature) -> bool:
    return abs(feature.low + feature.high) < 1e9


def _said(feature: Feature) -> str:
    return feature.name.replace("_", " ")


def _checked(line: str, schema: Schema) -> Rule | None:
    try:
        return parse(line, schema)
    except RuleError:
        return None
