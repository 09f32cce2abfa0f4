"""The gate of the notes: is what is to be noted known already?

Stores of memories fill with copies of what was recalled and stored again. So a text that is noted meets, in this order,

1. the same text: of one kind and origin there is one note of it. A machine's texts are the same where the stems of
   their words are (`words.gist`), a person's where their letters are;
2. for a machine's text, a near duplicate of its kind, its own or a person's (`words.alike`);
3. for a machine's text, an echo: a recalled note of any kind and origin, said again, reworded or quoted
   (`words.echoes`).

Candidates for 2 and 3 share shingles with it; they are looked up in an index and compared in full.
"""

from __future__ import annotations

import hashlib
import json
from typing import Literal

from ..database import Database
from ..origin import Origin
from .words import alike, echoes, gist

_NEWEST = 64  # notes looked at a shingle
_CANDIDATES = 16  # notes compared in full
_SHINGLES = 256  # of a text, looked up

Known = Literal["same", "near", "echo"]


def digest(text: str, origin: Origin) -> bytes:
    """What two texts of an origin have in common where they are the same."""
    tokens = () if origin == "person" else gist(text).tokens
    return hashlib.blake2b(" ".join(tokens or text.casefold().split()).encode(), digest_size=16).digest()


def known(database: Database, text: str, kind: str, origin: Origin, exact: bool = False) -> tuple[int, Known] | None:
    """The note that says this already, and how it was found; None where the text is new. `exact` asks for 1 alone."""
    sql = "SELECT id FROM notes WHERE kind = ? AND origin = ? AND digest = ?"
    if same := database.rows(sql, (kind, origin, digest(text, origin))):
        return int(same[0][0]), "same"
    if exact or origin == "person":
        return None
    mine = gist(text)
    found = _candidates(database, sorted(mine.shingles)[:_SHINGLES])
    for id, other, of_kind, of_origin, _ in found:
        if of_kind == kind and of_origin in (origin, "person") and alike(mine, gist(other)):
            return int(id), "near"
    for id, other, _, _, recalled in found:
        if recalled and echoes(text, other):
            return int(id), "echo"
    return None


def _candidates(database: Database, hashes: list[int]) -> list[tuple[int, str, str, Origin, int]]:
    """Id, text, kind, origin and times recalled of the notes that share the most shingles, the newer first."""
    return database.rows(
        """SELECT n.id, n.text, n.kind, n.origin, n.recalled FROM notes n JOIN (
               SELECT s.note, count(*) AS shared FROM json_each(?1) h CROSS JOIN note_shingles s
               ON s.hash = h.value AND s.note IN
                   (SELECT note FROM note_shingles WHERE hash = h.value ORDER BY note DESC LIMIT ?2)
               GROUP BY s.note ORDER BY shared DESC, s.note DESC LIMIT ?3) found ON n.id = found.note
           ORDER BY found.shared DESC, n.id DESC""",
        (json.dumps(hashes), _NEWEST, _CANDIDATES),
    )
