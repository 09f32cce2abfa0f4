"""A user's YAML file, read safely, with the line of everything in it, so that a mistake can be shown where it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import UserError

MAX_BYTES = 1_000_000
MAX_DEPTH = 50
SHOWN = 30

Place = tuple[str | int, ...]


@dataclass
class Mistakes:
    """What is wrong with a user's files, each with its file and line."""

    found: list[tuple[str, int, str]] = field(default_factory=list)

    def add(self, path: Path, line: int, text: str) -> None:
        """Remember a mistake; `line` counts from 1."""
        self.found.append((str(path), line, text))

    def raise_any(self) -> None:
        """Raise a UserError with every mistake, a line each, if there is one."""
        if self.found:
            lines = [f"{path}:{line}: {text}" for path, line, text in sorted(set(self.found), key=lambda m: m[:2])]
            more = [f"... and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
            raise UserError("\n".join(lines[:SHOWN] + more))


@dataclass(frozen=True)
class Document:
    """The content of a YAML file: plain data, and the line where each thing begins."""

    path: Path
    data: Any
    lines: dict[Place, int]

    def line(self, place: Place) -> int:
        """The line of a thing, or of the nearest one around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def read_text(path: Path, limit: int = MAX_BYTES) -> str:
    """Return the text of a user's file.

    Raises:
        UserError: it cannot be read, is no UTF-8, or has more than `limit` bytes.
    """
    try:
        if path.stat().st_size > limit:
            raise UserError(f"{path} has {path.stat().st_size:,} bytes; {limit:,} are the most that are read")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a text in UTF-8 (byte {error.start}); save it as UTF-8") from error


def read_yaml(path: Path) -> Document:
    """Return the content of a YAML file of plain data; anchors and aliases are refused, and keys given twice.

    Raises:
        UserError: naming the lines of all mistakes.
    """
    import yaml

    flow = yaml.FlowSequenceStartToken, yaml.FlowMappingStartToken
    opening = (*flow, yaml.BlockSequenceStartToken, yaml.BlockMappingStartToken)
    closing = yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken, yaml.BlockEndToken
    text = read_text(path)
    mistakes = Mistakes()
    try:
        depth = 0
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            depth += isinstance(token, opening) - isinstance(token, closing)
            if depth > MAX_DEPTH:
                raise UserError(f"{path}:{token.start_mark.line + 1}: this is nested more than {MAX_DEPTH} deep")
            if isinstance(token, yaml.AliasToken | yaml.AnchorToken):
                mistakes.add(path, token.start_mark.line + 1, "anchors and aliases (&, *) are not taken; write it out")
        mistakes.raise_any()
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines: dict[Place, int] = {}
        _locate(node, (), lines, mistakes, path)
        mistakes.raise_any()
        return Document(path, yaml.safe_load(text), lines)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{path}:{line}: this is no YAML: {error.problem or error}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{path}: this is no YAML that can be used: {str(error).splitlines()[0]}") from error


def _locate(node: Any, place: Place, lines: dict[Place, int], mistakes: Mistakes, path: Path) -> None:
    import yaml

    if node is None:
        return
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, str(key.value))
            if inner in lines:
                mistakes.add(path, key.start_mark.line + 1, f"'{key.value}' is given twice")
            lines[inner] = key.start_mark.line + 1
            _locate(value, inner, lines, mistakes, path)
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            _locate(item, (*place, number), lines, mistakes, path)
