"""Erasure: what was deleted is overwritten, so that nothing of it is left in the file."""

from __future__ import annotations

from ..errors import GedankenError
from .database import Database


def scrub(database: Database) -> None:
    """Write the file anew without what was deleted from it: rows, words and vectors.

    Needs as much free disk again as the file is large. Copies made before (`snapshot`) keep what they hold. Raises
    `GedankenError` where another process is in the way; nothing is lost, and it can be called again.
    """
    database.execute("INSERT INTO note_words (note_words) VALUES ('rebuild')")  # deleted words linger in its segments
    database.execute("PRAGMA secure_delete = ON")
    database.execute("VACUUM")
    busy = database.rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]
    if busy:
        raise GedankenError(
            f"{database.path}: what was deleted is still in the write-ahead log, which another process reads; close "
            "that one, then do this again"
        )
