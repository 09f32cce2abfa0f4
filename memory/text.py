"""Text at memory's door: what SQLite, JSON or a terminal would choke on is mended once, here."""

from __future__ import annotations

from collections.abc import Callable

Count = Callable[[str], int]


def clean(text: str) -> str:
    """The text mended, and without outer white space."""
    return mended(text).strip()


def mended(text: str) -> str:
    """The text without NULs, and with U+FFFD for lone surrogates."""
    return text.replace("\x00", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def roughly_tokens(text: str) -> int:
    """A token count without a tokenizer: four characters a token, never fewer than the words."""
    return max(len(text.split()), -(-len(text) // 4))
