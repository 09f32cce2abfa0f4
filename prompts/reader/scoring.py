"""Scoring whole readings: the network's probability beside what a careful reader would look at.

Does the reading use every number that the sentence names in digits, name what the sentence names, and nothing that it
does not? Said back in plain words, does it sound like the sentence? A linear score of a few such features ranks the
readings of one sentence (a conditional logit: their shares sum to 1); how far a share can be trusted is a logistic
curve. Both are fitted on worlds that the network never saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .codec import NOTHING, WORD_ID
from .reading import Prepared

FEATURES = (
    "log_prob", "share", "nothing", "numbers_left", "strange", "missed", "repeated", "length", "alike", "doubtful",
)


@dataclass(frozen=True)
class Scoring:
    """`weights` of the `FEATURES`, in their order; `trust`: the bias, and the weights of a reading's log odds among the
    readings found and of its log-probability."""

    weights: tuple[float, ...] = (0.7, 1.0, 0.3, -0.1, -0.4, -0.9, 0.0, 1.0, 7.0, -1.5)
    trust: tuple[float, float, float] = (0.0, 0.7, 0.2)

    def confidences(self, features: Sequence[Sequence[float]]) -> list[float]:
        """How likely each reading of one sentence is right, in 0..1."""
        if not features:
            return []
        shares = self.shares(np.array(features))
        bias, odds, probability = self.trust
        z = bias + odds * np.log(shares / (1 - shares)) + probability * np.array(features)[:, 0]
        return [float(p) for p in 1 / (1 + np.exp(-z))]

    def shares(self, features: np.ndarray) -> np.ndarray:
        """The readings' shares `[R]` by their score, from features `[R, F]`; never quite 0 or 1."""
        score = features @ np.array(self.weights)
        share = np.exp(score - score.max())
        return np.clip(share / share.sum(), 1e-4, 1 - 1e-4)


@dataclass(frozen=True)
class Said:
    """A reading said back: in plain `words`, and whether nobody can mean it (a rule that can never fire, say)."""

    words: str
    is_doubtful: bool = False


def features_of(prepared: Prepared, ids: Sequence[int], log_prob: float, share: float, alike: float, is_doubtful: bool
                ) -> list[float]:
    """The `FEATURES` of one reading; `share` is its part of the probability of all readings found, `alike` how much its
    words mean the same as the sentence, -1..1."""
    codec = prepared.codec
    pointed = [i - codec.first_item for i in ids if codec.first_item <= i < codec.first_number]
    used = {(codec.numbers[i - codec.first_number].start) for i in ids if i >= codec.first_number}
    spans = [(n.start, n.end) for i in ids if i >= codec.first_number for n in [codec.numbers[i - codec.first_number]]]
    left = [n for n in codec.numbers if n.form == "plain" and n.value not in (0.0, 1.0, 2.0) and n.start not in used
            and not any(a <= n.start < b for a, b in spans)]
    support = _support(prepared)
    named = _named(prepared)
    distinct = set(pointed)
    owners = {int(prepared.owners[j]) for j in distinct}
    covered = distinct | owners | {j for j in named if int(prepared.owners[j]) in distinct}
    repeated = len(pointed) - len(distinct) if len(pointed) > 4 else 0
    nothing = list(ids) == [WORD_ID[NOTHING]]
    return [
        max(log_prob, -20.0), share, float(nothing), float(len(left)) * (not nothing),
        float(sum(1 - max(support[j], support[int(prepared.owners[j])]) for j in distinct)),
        float(sum(j not in covered for j in named)) * (not nothing), repeated / 4,
        len(ids) / max(len(prepared.tokens), 1), alike, float(is_doubtful),
    ]


def _support(prepared: Prepared) -> np.ndarray:
    """How much the sentence speaks of each item, in 0..1: `[M]`."""
    if not len(prepared.links):
        return np.zeros(len(prepared.types))
    own, _, wide, letters, meaning, _ = prepared.links.max(0).T
    return np.asarray(np.maximum.reduce([own, 0.7 * wide, letters * (letters > 0.5), (meaning * 1.3 - 0.3).clip(0, 1)]))


def _named(prepared: Prepared) -> list[int]:
    """Items all of whose own words the sentence has, as they stand."""
    if not len(prepared.links):
        return []
    whole = (prepared.links[..., 0] > 0) & (prepared.links[..., 1] > 0.99)
    return [int(j) for j in np.flatnonzero(whole.any(0))]
