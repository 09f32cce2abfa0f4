"""`python -m gedanken` and the script `gedanken`: the command line."""

from __future__ import annotations

import sys
from typing import TextIO


def main() -> None:
    """Run the command line on `sys.argv`; exits with 0 (done), 1 (the work failed) or 2 (the user's mistake)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIO) or hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal that knows no ✓ still works
    from .commands.app import app

    app(prog_name="gedanken")


if __name__ == "__main__":
    main()
