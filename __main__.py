"""`python -m gedanken` and the script `gedanken`: the command line."""

from __future__ import annotations

import io
import os
import sys


def main() -> None:
    """Run the command line on `sys.argv`; exits with 0 (done), 1 (the work failed) or 2 (the user's mistake)."""
    # The models are small, and threads wait for each other longer than they compute: on a busy machine of two cores
    # training with two took 10 to 20 times as long as with one. Whoever sets the variable has the last word.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no ● still works
    from .commands.app import app

    app(prog_name="gedanken")


if __name__ == "__main__":
    main()
