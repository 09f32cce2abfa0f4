"""From a sentence to a rule line, and from surprises to candidate rule lines: prompt text in, text out.

Nothing here knows the rule language: the grammar it is handed holds the model to it, and whoever asked parses and
checks what comes back.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .failures import AnswerIncomplete
from .gateway.gateway import Gateway

if TYPE_CHECKING:
    from .reader.items import Item
    from .reader.reader import Say

UNKNOWN_CONFIDENCE = 0.5
_MARKS = re.compile(r"^\s*(?:[-*•]\s+|\d{1,3}[.)]\s+|(?:rule|answer)\s*:\s*)?`*|`+\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class Asking:
    """How often and how freely to ask: the likeliest answer first, then samples at `temperature` from seeds 1, 2, ...

    Models that take no seed are asked once.
    """

    readings: int = 3
    temperature: float = 0.6
    max_tokens: int = 64
    seed: int = 0


@dataclass(frozen=True)
class Reading:
    """What a sentence may mean: a rule line, or several, one a line of `text`; "" that it cannot be said.

    `confidence`, in 0..1, is how likely the reading is right where the model was trained to tell, as the embedded one
    was; else the geometric mean of the probabilities the model gives the text's tokens; 0.5 where it cannot tell.
    """

    text: str
    confidence: float
    words: str = ""
    """The same said back in plain words, where somebody did."""


def translate(
    sentence: str,
    schema_text: str,
    examples: Sequence[tuple[str, str]],
    gateway: Gateway,
    grammar: str | None,
    asking: Asking | None = None,
    items: Sequence[Item] = (),
    say: Say | None = None,
    also: Sequence[str] = (),
) -> list[Reading]:
    """Return different readings of a sentence, the likeliest first; empty if none is whole.

    A model that was trained to read (`Gateway.can_read`) is given the sentence, the world's `items`, and `say`, which
    puts rule lines into plain words (None: no rules of this world); any other is prompted, and asked for up to
    `asking.readings` answers.

    Args:
        sentence: what was said; goes into the prompt as quoted data.
        schema_text: the world's features and actions, described.
        examples: (sentence, rule line) pairs that show the language, the most fitting last.
        gateway: the model to ask.
        grammar: GBNF text of one rule line, or None.
        asking: how often and how freely to ask.
        items: the world's features, actions and values, for a model that reads.
        say: puts a reading into plain words, for a model that reads.
        also: rule lines that a model that reads shall weigh as readings, too.

    Raises:
        ModelUnavailable: no model answers.
    """
    if say is not None and gateway.can_read:
        return gateway.read(sentence, items, say, "translate", also)
    asking = asking or Asking()
    variables = {"schema": schema_text, "examples": list(examples), "sentence": sentence}
    messages = gateway.render("translate", **variables)
    return _readings(messages, "translate", gateway, grammar, asking, lines_each=1)


def propose(
    schema_text: str,
    rules: Sequence[str],
    surprises: Sequence[str],
    gateway: Gateway,
    grammar: str | None,
    asking: Asking | None = None,
    known: Sequence[str] = (),
    examples: Sequence[tuple[str, str]] = (),
) -> list[Reading]:
    """Return rule lines that may explain surprising transitions, the likeliest first; see `translate`.

    `rules` are the lines that stand, `surprises` what was not expected, `known` what memory says besides, a text each,
    quoted as data; `examples` are earlier (surprise, rule line) pairs, the best last. A model that takes no grammar may
    give several lines an answer.

    Raises:
        ModelUnavailable: no model answers.
    """
    asking = asking or Asking()
    messages = gateway.render("propose", schema=schema_text, rules=list(rules), surprises=list(surprises),
                              known=list(known), examples=list(examples))
    return _readings(messages, "propose", gateway, grammar, asking, lines_each=asking.readings)


def repair(
    schema_text: str,
    rules: Sequence[str],
    surprises: Sequence[str],
    faults: Sequence[str],
    gateway: Gateway,
    grammar: str | None,
    asking: Asking | None = None,
    known: Sequence[str] = (),
    examples: Sequence[tuple[str, str]] = (),
) -> list[Reading]:
    """Ask again after what was wrong: as `propose`, with `faults`, a proposed line and its mistake each.

    Raises:
        ModelUnavailable: no model answers.
    """
    asking = asking or Asking()
    messages = gateway.render("repair", schema=schema_text, rules=list(rules), surprises=list(surprises),
                              known=list(known), examples=list(examples), faults=list(faults))
    return _readings(messages, "repair", gateway, grammar, asking, lines_each=asking.readings)


def _readings(
    messages: Any, purpose: str, gateway: Gateway, grammar: str | None, asking: Asking, lines_each: int
) -> list[Reading]:
    texts: dict[str, None] = {}  # a set that keeps its order
    times = asking.readings if "seed" in gateway.options else 1
    for number in range(times):
        temperature = asking.temperature if number else 0.0
        try:
            answer = gateway.ask(
                messages,
                purpose,
                grammar,
                max_tokens=asking.max_tokens,
                temperature=temperature,
                seed=asking.seed + number,
            )
        except AnswerIncomplete:
            continue
        texts.update(dict.fromkeys(rule_lines(answer)[:lines_each]))
    scores = gateway.score(messages, list(texts), purpose)
    if scores is None:
        return [Reading(text, UNKNOWN_CONFIDENCE) for text in texts]
    readings = [Reading(text, math.exp(min(score, 0.0))) for text, score in zip(texts, scores, strict=True)]
    return sorted(readings, key=lambda reading: -reading.confidence)


def rule_lines(answer: str) -> list[str]:
    """Return the lines of an answer without what chat models wrap them in: fences, list marks, "Rule:"."""
    lines = [line for line in answer.splitlines() if line.strip() and not line.lstrip().startswith("```")]
    return [text for line in lines if (text := _MARKS.sub("", line).strip())]
