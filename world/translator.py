"""The translator: what a language model makes of a sentence, or of what surprised the agent, as checked rules.

Only the language model guesses; what it says is parsed and checked like any other text, and what does not fit the
world is dropped. Sentences and transitions go into its prompts as quoted data.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from ..errors import GedankenError, UserError
from ..prompts import Gateway, ModelUnavailable, Reading, propose, translate
from .evidence import as_rows
from .rules.constrain import decoding_grammar
from .rules.evaluate import Rows
from .rules.parse import RuleError, parse
from .rules.syntax import Rule
from .rules.text import number, to_text, word
from .schema import Feature, Schema

if TYPE_CHECKING:
    from ..memory.record import Transitions

Ask = Callable[[str, Sequence[Reading]], int | None]
"""(sentence, readings) -> the index of the one that was meant, or None."""
_WORLD = ("expect", "always", "reward", "end")
_SHOWN = 4    # sentences told before, shown as examples
_SURPRISES = 4    # transitions shown to the language model


@dataclass(frozen=True)
class Understanding:
    """What became of a sentence: its rule, if any, and the readings as (text, confidence)."""

    rule: Rule | None
    readings: tuple[tuple[str, float], ...]
    fate: Literal["understood", "asked", "refused"]
    reason: str = ""


class Translator:
    """Reads sentences as rules of one schema through a gateway, under the decoding grammar."""

    def __init__(self, schema: Schema, gateway: Gateway) -> None:
        self.schema, self.gateway = schema, gateway
        self._grammar: str | None = None

    def understood(self, sentence: str, told: Sequence[tuple[str, str]], ask: Ask | None, confidence: float
                   ) -> Understanding:
        """Read a sentence as a rule: the likeliest reading if it has at least `confidence`, else the one that `ask`
        chooses. Raises `ModelUnavailable`, and `UserError` where `ask` chooses what is not there."""
        try:
            found = self.readings(sentence, told)
        except ModelUnavailable:
            raise
        except GedankenError as error:    # of this sentence: too long for the model, say
            return Understanding(None, (), "refused", str(error))
        readings = [reading for _, reading in found]
        shown = tuple((r.text, r.confidence) for r in readings)
        if not found:
            reason = "the language model gave no rule that fits this world; write it as a rule line"
            return Understanding(None, shown, "refused", reason)
        best = readings[0]
        if best.confidence >= confidence:
            return Understanding(found[0][0], shown, "understood")
        if ask is None:
            reason = f"the language model is only {best.confidence:.0%} sure that this means `{best.text}`"
            return Understanding(None, shown, "refused", reason + "; write it as a rule line")
        choice = ask(sentence, readings)
        if choice is None:
            return Understanding(None, shown, "refused", "none of the readings was meant; write it as a rule line")
        if not 0 <= choice < len(found):
            raise UserError(f"there is no reading {choice}: choose from 0 to {len(found) - 1}, or None")
        return Understanding(found[choice][0], shown, "asked")

    def readings(self, sentence: str, told: Sequence[tuple[str, str]] = ()) -> list[tuple[Rule, Reading]]:
        """What the sentence may mean, the likeliest first: only what parses and checks, in canonical text.

        `told` are sentences told before with their rule lines, shown as examples. Raises `ModelUnavailable`.
        """
        words = _words(sentence)
        near = sorted(told, key=lambda pair: len(words & _words(pair[0])))[-_SHOWN:]
        shown = [*examples(self.schema), *near]
        if self._grammar is None and "grammar" in self.gateway.options:
            self._grammar = decoding_grammar(self.schema)
        answers = translate(sentence, self.schema.describe(), shown, self.gateway, self._grammar)
        found: dict[str, tuple[Rule, Reading]] = {}
        for answer in answers:
            try:
                rule = parse(answer.text, self.schema)
            except RuleError:
                continue
            text = to_text(rule)
            found.setdefault(text, (rule, Reading(text, answer.confidence)))
        return list(found.values())


    def guesses(self, rules: Sequence[str], transitions: Transitions, surprise: np.ndarray | None) -> list[Rule]:
        """Rules that may explain the most surprising transitions, checked; `rules` stand already.

        Without `surprise [N]` what changes seldom under its action is surprising. Raises `ModelUnavailable`.
        """
        rows = as_rows(self.schema, transitions)
        if surprise is None:
            surprise = _rarity(rows)
        seen: dict[str, None] = {}
        for i in np.argsort(-np.nan_to_num(surprise), kind="stable")[: 10 * _SURPRISES].tolist():
            seen[_step(rows, transitions, i)] = None
        takes_grammar = "grammar" in self.gateway.options
        grammar = decoding_grammar(self.schema, statements=_WORLD) if takes_grammar else None
        answers = propose(self.schema.describe(), rules, list(seen)[:_SURPRISES], self.gateway, grammar)
        return [rule for answer in answers if (rule := _checked(answer.text, self.schema)) is not None]


def _rarity(rows: Rows) -> np.ndarray:
    """How seldom the same features change under the same action, in nats `[N]`."""
    assert rows.next is not None
    assert rows.action is not None
    changed = [(rows.now[name] != rows.next[name]).reshape(rows.size, -1).any(1) for name in rows.schema.base]
    discrete = rows.action.long() if rows.schema.discrete_actions else rows.action.long() * 0
    _, which, counts = np.unique(torch.cat([torch.stack(changed, 1).long(), discrete], 1).numpy(), axis=0,
                                 return_inverse=True, return_counts=True)
    return -np.log(counts[which.reshape(-1)] / rows.size)


def _step(rows: Rows, transitions: Transitions, i: int) -> str:
    """One transition in the words of the language: the action, the state, and what changed."""
    schema = rows.schema
    acting = {a.name for a in schema.actions}
    scalars = [f for f in schema.named.values() if not f.shape and f.name not in acting]
    done = [_equals(a, rows.column(k)[i].item() + a.offset) for k, a in enumerate(schema.actions)]
    now = {f: rows.read(f.name, False)[i].item() for f in scalars}
    next = {f: rows.read(f.name, True)[i].item() for f in scalars}
    changes = [_equals(f, next[f], "'") for f in scalars if next[f] != now[f]] or ["nothing changed"]
    if reward := float(transitions.reward[i]):
        changes.append(f"reward {reward:+.3g}")
    if transitions.terminated[i]:
        changes.append("end")
    return ", ".join([*done, *(_equals(f, now[f]) for f in scalars)]) + " -> " + ", ".join(changes)


def _equals(feature: Feature, value: float, prime: str = "") -> str:
    name = word(feature.name) + prime
    if feature.kind == "category":
        return f"{name} == {word(feature.values[int(value)])}"
    return (name if value else f"not {name}") if feature.kind == "boolean" else f"{name} == {value:.4g}"


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
