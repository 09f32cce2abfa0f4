"""From what happened to lessons: prompt text in, text out. What comes back is a lesson a line, and only data."""

from __future__ import annotations

from collections.abc import Sequence

from .gateway.gateway import Gateway

MAX_TOKENS = 200


def reflect(schema_text: str, happened: Sequence[str], known: Sequence[str], gateway: Gateway) -> str:
    """Return the lessons that a model draws from what happened, one a line; `known` is what memory says already. Both
    are quoted as data.

    Raises:
        ModelUnavailable: no model answers.
    """
    messages = gateway.render("reflect", schema=schema_text, happened=list(happened), known=list(known))
    return gateway.ask(messages, "reflect", max_tokens=MAX_TOKENS, temperature=0.0)
