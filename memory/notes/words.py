"""What a text says, apart from how it is put: for telling near duplicates and echoes without a model.

Numbers, comparisons and negations are never smoothed over: "3 -> 4" and "4 -> 3", or "open" and "not open", are far
apart however much else they share.
"""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata
import zlib
from collections import Counter
from dataclasses import dataclass

RESEMBLANCE = 0.9  # from which two texts with the same marks say the same: a word in forty differs
SKETCH = 8  # shingles stored a text
_LONGEST = 2_000  # tokens of a text that are looked at

_TOKEN = re.compile(r"->|!=|[<>=]=?|[-+]?\d+(?:\.\d+)?|[^\W\d_]+(?:['’][^\W\d_]+)*")
_QUOTED = re.compile(r"[\"“«„']([^\"”»“]{8,})[\"”»“']")
_LEADING = re.compile(r"^[\s>*•-]+", re.MULTILINE)  # as mail and markdown quote
_NEGATIONS = frozenset((
    "not", "no", "never", "neither", "nor", "none", "without", "except", "unless", "cannot", "wrong", "false",
    "untrue", "incorrect", "mistaken",
))  # fmt: skip
# articles, copulas, pronouns, and the frames in which something is said to be remembered
_EMPTY = frozenset((
    "a", "an", "the", "this", "that", "these", "those", "is", "are", "was", "were", "be", "been", "being", "am",
    "its", "it's", "his", "her", "their", "your", "my", "our", "i", "you", "we", "he", "she", "it", "they",
    "will", "would", "as", "also", "just", "please", "recall", "recalled", "recalling", "remember",
    "remembered", "remembering", "note", "noted", "memory", "memories", "said", "says", "told", "know", "known",
    "lesson", "earlier", "previously", "according",
))  # fmt: skip


@dataclass(frozen=True)
class Gist:
    """The stems of a text's words that say something, in order, numbers, comparisons and negations among them."""

    tokens: tuple[str, ...]
    marks: tuple[str, ...]  # the numbers, comparisons and negations alone

    @functools.cached_property
    def words(self) -> frozenset[str]:
        return frozenset(self.tokens) - set(self.marks)

    @property
    def negations(self) -> frozenset[str]:
        return _NEGATIONS.intersection(self.marks)

    @functools.cached_property
    def shingles(self) -> frozenset[int]:
        """Hashes of each two words that follow one another (of the only word, where there is one)."""
        words = [token for token in self.tokens if token in self.words]
        pairs = [" ".join(pair) for pair in itertools.pairwise(words)] or words
        return frozenset(zlib.crc32(pair.encode()) for pair in pairs)

    @property
    def sketch(self) -> tuple[int, ...]:
        """The least of its shingles: texts that share much share some of these (Broder 1997, bottom-k)."""
        return tuple(sorted(self.shingles)[:SKETCH])


@functools.lru_cache(4_096)
def gist(text: str) -> Gist:
    """What a text says."""
    plain = unicodedata.normalize("NFKC", _LEADING.sub("", text)).casefold()
    tokens: list[str] = []
    marks: list[str] = []
    for token in _TOKEN.findall(plain)[:_LONGEST]:
        if token.endswith(("n't", "n’t")):
            token = "not"
        if token in _NEGATIONS or not token[0].isalpha():
            tokens.append(token)
            marks.append(token)
        elif token not in _EMPTY:
            tokens.append(_stem(token))
    return Gist(tuple(tokens), tuple(marks))


def alike(one: Gist, other: Gist) -> bool:
    """Whether two texts say the same: the same tokens, or the same marks and nearly the same shingles."""
    if one.tokens == other.tokens:
        return bool(one.tokens)
    if one.marks != other.marks:
        return False
    mine, theirs = one.shingles, other.shingles
    return len(mine & theirs) >= RESEMBLANCE * len(mine | theirs) > 0


def echoes(text: str, recalled: str) -> bool:
    """Whether a text only says again what was recalled: as it was, slightly reworded (a word in four added or dropped;
    one put for another says something else: the blue key, not the red), or quoted with a few words around it that deny
    nothing."""
    new, old = gist(text), gist(recalled)
    if _reworded(new, old):
        return True
    for span in _QUOTED.findall(text):
        inner = gist(span)
        around = new.words - inner.words
        if _reworded(inner, old) and inner.marks == new.marks and len(around) <= max(4, len(old.words) // 2):
            return True
    return False


def _reworded(new: Gist, old: Gist) -> bool:
    if not old.tokens or new.marks != old.marks:
        return False
    if new.tokens == old.tokens:
        return True
    added, dropped = Counter(new.tokens) - Counter(old.tokens), Counter(old.tokens) - Counter(new.tokens)
    return not (added and dropped) and 0 < len(new.words ^ old.words) <= len(old.words) // 4


def _stem(word: str) -> str:
    """Crude, and the same for all forms of most English words; of any other language, mostly the word itself."""
    for ending in ("'s", "’s", "ing", "ed", "es", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word[: -len(ending)]
    return word
