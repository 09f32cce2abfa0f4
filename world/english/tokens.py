"""The words of a sentence, in lower case, without articles, punctuation and what adds nothing; its numbers beside them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...prompts.reader.numerals import Numeral, numerals

_WORD = re.compile(r"[^\W_]+(?:\.\d+)?|%|°\w*|[^\W_]+")
_SHORT = ((r"\bcan['’]?t\b|\bcannot\b", "can not"), (r"\bwon['’]t\b", "will not"), (r"\bshan['’]t\b", "shall not"),
          (r"n['’]t\b", " not"), (r"['’]re\b", " are"), (r"['’]ll\b", " will"), (r"['’]d\b", " would"),
          (r"['’]ve\b", " have"), (r"\b(it|that|there|he|she|what|where|nothing|who)['’]s\b", r"\1 is"),
          (r"['’]s?\b", " "), (r"\b(\d+)\s?([a-z]{1,3})\b", r"\1 \2"), (r"(?<=\d),(?=\d{3}\b)", ""),
          (r"[−–](?=\d)", "-"), (r"\bminus (?=\d)", "-"))
_IDLE = frozenset({"the", "a", "an", "your", "please", "simply", "just", "also", "really", "that", "however", "again",
                   "this", "well", "though", "certainly", "absolutely", "completely", "obviously", "immediately",
                   "actually", "my", "our", "very", "remember", "note", "so", "therefore", "thus", "own", "right"})
_ASIDE = re.compile(r"\b(?:will you|at all|in there|of course|i e|on its own|by itself|by themselves|any ?more|"
                    r"ever|every single|for sure|no matter what|whatever happens|from then on|in total|altogether)\b")
_ONE = frozenset({"point", "step", "dollar", "coin", "euro", "cent"})


@dataclass(frozen=True)
class Said:
    """The words of a sentence, and its numbers as (first word, word after the last, the number)."""

    words: tuple[str, ...]
    numbers: tuple[tuple[int, int, Numeral], ...]


def said(sentence: str, names: frozenset[str] = frozenset()) -> Said:
    """What a sentence says; the words `names` are kept whatever they are."""
    text = sentence.strip().lower()
    for pattern, plain in _SHORT:
        text = re.sub(pattern, plain, text)
    text = _ASIDE.sub(" ", text)
    spans = [m for m in _WORD.finditer(text)]
    kept, ends = [], []
    for k, m in enumerate(spans):
        word = m[0]
        after = spans[k + 1][0] if k + 1 < len(spans) else ""
        if word in {"a", "an"} and after in _ONE:
            word = "one"
        elif word in _IDLE and word not in names:
            continue
        kept.append(word)
        ends.append(m.span())
    found = []
    for n in numerals(text):
        inside = [i for i, (a, b) in enumerate(ends) if a < n.end and b > n.start]
        if inside:
            sign = n.start > 0 and text[n.start - 1] == "-" and (n.start == 1 or not text[n.start - 2].isalnum())
            value = -n.value if sign else n.value
            found.append((inside[0], inside[-1] + 1, Numeral(n.start, n.end, value, n.form)))
    ones = [(i, i + 1, Numeral(*ends[i], 1.0)) for i, w in enumerate(kept) if w == "one" and not any(
        a == i for a, _, _ in found)]
    return Said(tuple(kept), tuple(dict.fromkeys((*found, *ones))))
