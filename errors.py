"""The errors a user meets: each says what is wrong, where, and how to mend it.

Everything the package raises on purpose is a `GedankenError`. The command line prints its text without a
traceback: exit code 2 for a `UserError` (something the user wrote or chose), 1 for any other.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GedankenError(Exception):
    """The work could not be done; the text says why and what to do."""


class UserError(GedankenError):
    """The user's input cannot be used; the text names the thing, the place and the way out."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `"; did you mean 'battery'?"` for the known name nearest to `name`, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else ""
