"""Text at memory's door: what SQLite, JSON or a terminal would choke on is mended once, here."""

from __future__ import annotations

from collections.abc import Callable

Count = Callable[[str], int]

LONGEST = 20_000  # characters of a note or a fact's value
LONGEST_NAME = 200  # characters of a kind, a source, a tag, a subject


def clean(text: str) -> str:
    """The text mended, and without outer white space."""
    return mended(text).strip()


def mended(text: str) -> str:
    """The text without NULs, and with U+FFFD for lone surrogates."""
    return text.replace("\x00", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def limited(text: str, most: int = LONGEST) -> str:
    """A clean text of `most` characters; of a longer one the beginning, and how much was cut."""
    text = clean(text)
    return text if len(text) <= most else f"{text[:most].rstrip()} [cut: {len(text) - most:,} characters more]"


def name(text: str) -> str:
    """A kind, a source, a tag: one clean line of `LONGEST_NAME` characters."""
    return " ".join(clean(text).split())[:LONGEST_NAME]


def roughly_tokens(text: str) -> int:
    """A token count without a tokenizer: four characters a token, never fewer than the words."""
    return max(len(text.split()), -(-len(text) // 4))
