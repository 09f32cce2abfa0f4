"""Files that are never half-written: content is written aside and renamed into place."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import GedankenError


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all. Raises `GedankenError` naming the file and the cause."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(aside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise GedankenError(f"cannot write {path}: {error.strerror or error}; free some space or choose another place; "
                            "what was there before is untouched") from error


def write_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8) whole or not at all. Raises `GedankenError` naming the file and the cause."""
    write_bytes(path, text.encode())
