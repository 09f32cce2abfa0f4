"""Between rule lines and what the network writes: words of the language, and pointers to items and to numbers.

`door == open` is one pointer, to the value; a number points to where the sentence names it. So the network never
spells a name or a number that is not there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from .items import Item
from .numerals import Numeral

START, STOP, NOTHING, LINE = "<start>", "<stop>", "<nothing>", "<line>"
LOW, HIGH = "<low>", "<high>"    # the bounds of the feature named last, without their sign
NEXT, DIFFERS = "<next>", "<differs>"    # before a pointer to a value: `door' == open`, `door != open`
SIGNS = ("==", "!=", "<=", ">=", "<", ">")
WORDS = (
    START, STOP, NOTHING, LINE, LOW, HIGH, NEXT, DIFFERS, *SIGNS, "(", ")", "[", "]", "{", "}", ",", "'", "+", "-", "*",
    "/", "%", "0", "1", "2", "expect", "always", "reward", "end", "forbid", "avoid", "maintain", "prefer", "achieve",
    "then", "if", "with", "probability", "weight", "within", "steps", "and", "or", "not", "implies", "in", "same",
    "changed", "any", "all", "count", "abs", "min", "max", "clip", "true", "false",
)
"""The closed part of the output vocabulary."""
WORD_ID = {word: i for i, word in enumerate(WORDS)}
_TOKEN = re.compile(r'"[^"]+"|[^\W\d]\w*|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|[=!<>]=|\S')
_PLAIN = re.compile(r"[^\W\d]\w*")


class Codec:
    """Encodes and decodes rule lines for one world (`items`) and one sentence (`numbers`)."""

    def __init__(self, items: Sequence[Item], numbers: Sequence[Numeral]) -> None:
        self.items, self.numbers = items, numbers
        self.features = {x.name: i for i, x in enumerate(items) if x.kind != "value"}
        self.values = {(x.owner, x.name): i for i, x in enumerate(items) if x.kind == "value"}
        self.first_item, self.first_number = len(WORDS), len(WORDS) + len(items)

    def encode(self, rules: Sequence[str]) -> list[int]:
        """The ids of rule lines, without start and stop. Raises `ValueError` for what cannot be pointed to."""
        if not rules:
            return [WORD_ID[NOTHING]]
        lines = [self._line(_TOKEN.findall(rule)) for rule in rules]
        return [i for k, line in enumerate(lines) for i in ([WORD_ID[LINE]] if k else []) + line]

    def decode(self, ids: Sequence[int]) -> list[str]:
        """The rule lines that ids stand for; none for "nothing"."""
        if list(ids) == [WORD_ID[NOTHING]]:
            return []
        lines: list[list[str]] = [[]]
        subject: Item | None = None
        in_set = False
        for i in ids:
            line = lines[-1]
            if i >= self.first_number:
                numeral = self.numbers[i - self.first_number]
                line.append(_number(numeral.value, 3 if numeral.form == "fraction" else 10))
            elif i >= self.first_item:
                item = self.items[i - self.first_item]
                if item.kind != "value":
                    subject = item
                    line.append(_word(item.name))
                elif in_set or line[-1:] in (["=="], ["!="]):
                    line.append(_word(item.name))
                else:
                    marks = [line.pop() for _ in range(2) if line[-1:] in ([NEXT], [DIFFERS])]
                    prime, sign = "'" if NEXT in marks else "", "!=" if DIFFERS in marks else "=="
                    line += [_word(item.owner) + prime, sign, _word(item.name)]
            elif WORDS[i] == LINE:
                lines.append([])
            elif WORDS[i] in (LOW, HIGH):
                bound = math.nan if subject is None else subject.low if WORDS[i] == LOW else subject.high
                line.append(_number(abs(bound)))
            else:
                line.append(WORDS[i])
                in_set = WORDS[i] == "{" or (in_set and WORDS[i] != "}")
        return [_joined(line) for line in lines]

    def _line(self, tokens: list[str]) -> list[int]:
        out: list[int] = []
        subject, arrays = "", list[str]()
        in_set = False
        k = 0
        while k < len(tokens):
            token = tokens[k].strip('"')
            step = 1
            before = tokens[k - 1] if k else ""
            if tokens[k][0] == '"' or (_PLAIN.fullmatch(token) and (token not in WORD_ID)):
                primed = tokens[k + 1 : k + 2] == ["'"]
                sign = tokens[k + 1 + primed : k + 2 + primed]
                after = tokens[k + 2 + primed : k + 3 + primed]
                value = self.values.get((token, after[0].strip('"'))) if after else None
                if (before in ("==", "!=") or in_set) and (subject, token) in self.values:
                    out.append(self.first_item + self.values[subject, token])
                elif sign in (["=="], ["!="]) and value is not None and token in self.features:
                    marks = [NEXT] * primed + [DIFFERS] * (sign == ["!="])
                    out += [*(WORD_ID[mark] for mark in marks), self.first_item + value]
                    step = 3 + primed
                elif token in self.features:
                    subject = token
                    out.append(self.first_item + self.features[token])
                else:
                    out.append(self.first_item + self._action_value(token))
            elif token[0].isdigit():
                out.append(self._number(float(token), subject))
            else:
                word = "steps" if token == "step" else token
                if word not in WORD_ID:
                    raise ValueError(f"'{token}' is not a word of the reader")
                out.append(WORD_ID[word])
                in_set = token == "{" or (in_set and token != "}")
                if token == "[":
                    arrays.append(subject)
                elif token == "]" and arrays:
                    subject = arrays.pop()    # the cell, not what its index named
            k += step
        return out

    def _action_value(self, name: str) -> int:
        for (owner, value), i in self.values.items():
            if value == name and self.items[self.features[owner]].is_action:
                return i
        raise ValueError(f"'{name}' is neither a feature nor an action's value")

    def _number(self, value: float, subject: str) -> int:
        for i, numeral in enumerate(self.numbers):
            if math.isclose(numeral.value, value, rel_tol=0.015 if numeral.form == "fraction" else 1e-6):
                return self.first_number + i
        if value in (0.0, 1.0, 2.0):
            return WORD_ID[_number(value)]
        item = self.items[self.features[subject]] if subject in self.features else None
        for word, bound in ((LOW, item.low), (HIGH, item.high)) if item else ():
            if abs(bound) == value:
                return WORD_ID[word]
        raise ValueError(f"the sentence does not name {value:g}")


def _number(value: float, digits: int = 10) -> str:
    return f"{value:.{digits}g}"


def _word(name: str) -> str:
    return name if _PLAIN.fullmatch(name) and name not in WORD_ID else f'"{name}"'


def _joined(tokens: Sequence[str]) -> str:
    text = re.sub(r" (?=[\])}',])|(?<=[(\[{]) ", "", " ".join(tokens))
    return re.sub(r"(?<=[\w\"']) \[", "[", re.sub(r"\b(any|all|count|abs|min|max|clip|same|changed) \(", r"\1(", text))
