"""How much each word of a sentence looks like each item: what lets the reader find names that it has never seen.

Six channels a word and item: the word is one of the item's own words, and what share of these the sentence has; the
word stands in the item's gloss or its feature's name; letters in common (typos, abbreviations); meaning in common; the
word is the head of the item's name (a train speed is a speed, a speed limit is not).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from .items import Item

CHANNELS = 6
_WORD = re.compile(r"[^\W_]+")
_ENDINGS = ("ingly", "edly", "ing", "ies", "ied", "ed", "es", "ly", "er", "en", "s", "e", "y")
_STOP = frozenset({
    "a", "an", "the", "of", "in", "on", "at", "to", "is", "are", "be", "it", "its", "and", "or", "that",
    "which", "with", "for", "by", "as", "if", "you", "your", "how", "what", "from", "this", "there", "has",
    "have", "no", "not",
})
_EVERYDAY = frozenset({
    "when", "whenever", "never", "always", "then", "than", "while", "more", "less", "most", "least", "below",
    "above", "under", "over", "between", "after", "before", "until", "unless", "must", "should", "shall", "will",
    "would", "does", "make", "makes", "keep", "stay", "stays", "become", "becomes", "change", "changes", "nothing",
    "anything", "every", "each", "step", "steps", "time", "times", "turn", "turns", "move", "moves", "only", "also",
    "just", "again", "same", "other", "them", "they", "their", "some", "about", "into", "onto", "back", "down",
    "your", "agent", "cannot", "good", "best", "better", "worth", "reward", "points", "point", "cost", "costs",
    "pays", "happens", "gets", "goes", "done", "doing", "being", "been", "were", "have", "having", "where", "which",
    "what", "please", "could", "note", "sure", "remember", "without", "during", "once", "first", "next", "finally",
    "later", "soon", "long", "very", "much", "many", "half", "twice", "exactly", "almost", "ideally", "prefer",
    "rather", "possible", "allowed",
})
Vector = Callable[[str], np.ndarray]
"""The meaning of one word: `[D]`, of length 1."""


def words(sentence: str) -> list[tuple[int, int]]:
    """Where the words of a sentence stand, as (start, end)."""
    return [match.span() for match in _WORD.finditer(sentence)]


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """A word in lower case without its ending; the same for `opens`, `opened` and `opening`."""
    word = word.lower()
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            return word[:-1] if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "ls" else word
    return word


@lru_cache(maxsize=100_000)
def _stems(text: str) -> frozenset[str]:
    return frozenset(stem(w) for w in _WORD.findall(text.replace("_", " ")) if w.lower() not in _STOP)


@lru_cache(maxsize=300_000)
def _trigrams(word: str) -> frozenset[str]:
    padded = f"^{word.lower()}$"
    return frozenset(padded[i : i + 3] for i in range(len(padded) - 2))


@lru_cache(maxsize=1_000_000)
def _alike(a: str, b: str) -> float:
    """Letters in common, 0..1; a prefix of three letters or more counts half."""
    one, two = _trigrams(a), _trigrams(b)
    share = len(one & two) / len(one | two)
    short, long = sorted((a.lower(), b.lower()), key=len)
    return max(share, 0.5 if len(short) >= 3 and long.startswith(short) else 0.0)


def links(sentence: str, items: Sequence[Item], vector: Vector) -> np.ndarray:
    """How each word of the sentence goes with each item: float32 `[W, M, CHANNELS]`, each in 0..1."""
    said = [sentence[a:b] for a, b in words(sentence)]
    out = np.zeros((len(said), len(items), CHANNELS), np.float32)
    if not said or not items:
        return out
    stems = [stem(w) for w in said]
    present = set(stems)
    own = sorted({w for item in items for w in item.words})
    column = {w: i for i, w in enumerate(own)}
    meaning = np.stack([vector(w) for w in said]) @ np.stack([vector(w) for w in own]).T if own else np.zeros((0, 0))
    letters = np.array([[_alike(w, o) for o in own] for w in said])
    for j, item in enumerate(items):
        mine = {stem(w) for w in item.words}
        wide = _stems(item.gloss) | _stems(item.owner)
        share = len(mine & present) / max(len(mine), 1)
        for i, s in enumerate(stems):
            if s in mine:
                out[i, j, 0], out[i, j, 1] = 1.0, share
            if s in wide:
                out[i, j, 2] = 1.0
            if item.words and s == stem(item.words[-1]):
                out[i, j, 5] = 1.0
        columns = [column[w] for w in item.words]
        if columns:
            out[:, j, 3] = letters[:, columns].max(1)
            out[:, j, 4] = meaning[:, columns].max(1).clip(0, 1)
    return out


def spoken_of(sentence: str, items: Sequence[Item]) -> set[Item]:
    """The items that a sentence speaks of: it has all words of their name, or one of their gloss, in whatever form."""
    present = {stem(sentence[a:b]) for a, b in words(sentence)}
    return {item for item in items
            if all(stem(w) in present for w in item.words) or (item.kind == "value" and _stems(item.gloss) & present)}


def strange_word(sentence: str, items: Sequence[Item]) -> str:
    """The longest word of a sentence that looks like no item and is not an everyday one ("" if there is none)."""
    known = set().union(*({stem(w) for w in item.words} | _stems(item.gloss) | _stems(item.owner) for item in items))
    letters = {w for item in items for w in item.words}
    said = [sentence[a:b] for a, b in words(sentence)]
    strange = [w for w in said if w.isalpha() and len(w) > 3 and w.lower() not in _EVERYDAY and stem(w) not in known
               and all(_alike(w, o) < 0.5 for o in letters)]
    return max(strange, key=len, default="")
