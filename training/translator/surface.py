"""The surface of a sentence: openers, capitals, stops, contractions and slips, as hands differ."""

from __future__ import annotations

import re
from random import Random

from .banks import bank
from .english import contracted, mistyped

_ORDERS = ("forbid", "avoid", "maintain", "prefer", "achieve")


def finished(text: str, rules: tuple[str, ...], rng: Random, plain: bool = False) -> str:
    """Dress a composed sentence; `plain` leaves out what a hand-written one has already."""
    text = (
        re.sub(r"\s+", " ", text)
        .replace(" ,", ",")
        .replace(",,", ",")
        .replace(".,", ",")
        .replace(":,", ":")
        .replace("::", ":")
    )
    text = contracted(text, rng)
    words = bank("surface")
    is_order = bool(rules) and rules[0].startswith(_ORDERS)
    if rng.random() < (0.04 if plain else 0.11) and text[:1].isalpha():
        opener = rng.choice(words["orders" if is_order or not rules else "openers"])
        if not plain or opener.rstrip().endswith((":", "-", "*")):
            text = opener + text
    elif not plain and rng.random() < 0.025 and text[-1:].isalnum():
        text += rng.choice(words["closers"])
    if rng.random() < 0.035:
        text = mistyped(text, rng)
    if plain:
        return text if rng.random() < 0.9 else text.rstrip(".") if rng.random() < 0.5 else text.lower()
    style = rng.random()
    text = re.sub(r"(?<=[a-z0-9][.?!] )[a-z]", lambda m: m[0].upper(), text) if style < 0.85 else text
    if style < 0.80 and not text.startswith("- "):
        text = text[:1].upper() + text[1:]
    elif style > 0.992:
        text = text.upper()
    if text[-1:] not in ".?!" and style < 0.72:
        text += "!" if is_order and rng.random() < 0.12 else "."
    return text
