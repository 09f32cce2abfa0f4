"""Prompts are files: a header declares their variables, and both are checked when a file is read.

    # What the prompt is for.
    # version: 2
    # text schema: trusted text, put in as it is (a list: one a line)
    # data sentence: anything a user or the world said, put in as a quoted string that cannot break out
    # pairs examples: (input, output) pairs, put in as turns of a conversation, the inputs quoted
    === system
    ... {{schema}} ...
    === turns {{examples}}
    === user
    ... {{sentence}} ...

A file of the same name in a user's folder stands in for ours; it declares the same variables. Which wording an answer
came from is recorded with every call: the prompt's name, the version it says it is, and a fingerprint.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from ..errors import UserError, nearest

KINDS = ("text", "data", "pairs")
TURNS = "turns"
ROLES = ("system", "user", "assistant")
_DECLARATION = re.compile(r"#\s*(\w+)\s+(\w+)\s*:")
_VERSION = re.compile(r"#\s*version\s*:\s*(.*?)\s*$")
_SECTION = re.compile(r"===\s*(.*?)\s*$")
_LINE_ENDS = re.compile("[\x7f-\x9f\u2028\u2029]")  # beyond those that JSON escapes itself
_TURNS = re.compile(r"turns\s+\{\{\s*(\w+)\s*\}\}")
_PLACEHOLDER = re.compile(r"\{\{\s*(.*?)\s*\}\}")


class Prompt(list[tuple[str, str]]):
    """(role, text) messages, as LangChain's chat models take them, that know which prompt file they were made of."""

    template: str = ""


@dataclass(frozen=True)
class Template:
    """A prompt with holes: `variables` maps each name to its kind, `sections` are (role, text) pairs.

    A section ("turns", name) stands for the turns of the pairs of that name.
    """

    name: str
    variables: dict[str, str]
    sections: tuple[tuple[str, str], ...]
    version: str = field(default="", repr=False)

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that change with the wording."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:12]

    @property
    def label(self) -> str:
        """Name, version and fingerprint, as they are recorded: `translate v2 1f3a5c7e9b0d`."""
        return " ".join(filter(None, (self.name, self.version and f"v{self.version}", self.fingerprint)))

    def render(self, **values: Any) -> Prompt:
        """Return the messages.

        Raises:
            UserError: a variable is missing, unknown, or of the wrong kind; every mistake is named.
        """
        mistakes = [f"'{name}' is missing" for name in self.variables if name not in values]
        mistakes += [
            f"'{name}' is not one of its variables{nearest(name, self.variables)}"
            for name in values
            if name not in self.variables
        ]
        texts: dict[str, str] = {}
        turns: dict[str, list[tuple[str, str]]] = {}
        for name in self.variables.keys() & values.keys():
            try:
                if self.variables[name] == "pairs":
                    turns[name] = _as_turns(values[name])
                else:
                    texts[name] = _as_text(self.variables[name], values[name])
            except (TypeError, ValueError):
                mistakes.append(f"'{name}' ({self.variables[name]}) cannot be made of {type(values[name]).__name__}")
        if mistakes:
            raise UserError(f"prompt '{self.name}': {'; '.join(sorted(mistakes))}")
        # One pass: what a value holds is never looked at for holes again.
        messages = Prompt()
        messages.template = self.label
        for role, text in self.sections:
            if role == TURNS:
                messages += turns[text]
            else:
                messages.append((role, _PLACEHOLDER.sub(lambda hole: texts[hole[1]], text)))
        return messages


def render(name: str, /, folder: str | Path | None = None, **variables: Any) -> Prompt:
    """Return the messages of the prompt `name`, from `folder` where it has a file of that name, else from ours.

    Raises:
        UserError: there is no such prompt, its file is wrong, or a variable is missing or unknown.
    """
    return load(name, folder).render(**variables)


def load(name: str, folder: str | Path | None = None) -> Template:
    """Return the prompt `name`, checked; see `render`."""
    if name not in names():
        raise UserError(f"no prompt '{name}'{nearest(name, names())}; prompts: {', '.join(names())}")
    template = parse(name, text_of(name), f"{name}.txt")
    theirs = Path(folder) / f"{name}.txt" if folder is not None else None
    if theirs is None or not theirs.is_file():
        return template
    try:
        text = theirs.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{theirs}: cannot be read: {error}") from error
    override = parse(name, text, str(theirs))
    if override.variables != template.variables:
        expected = ", ".join(f"{kind} {variable}" for variable, kind in template.variables.items())
        raise UserError(f"{theirs}: the prompt '{name}' declares exactly these variables: {expected}")
    return override


def check_folder(folder: str | Path) -> None:
    """Check a user's folder of prompts.

    Raises:
        UserError: it is no folder, or naming every mistake in its files, a file that stands in for none of ours too.
    """
    if not Path(folder).is_dir():
        raise UserError(f"there is no folder of prompts {folder}")
    mistakes = []
    for path in sorted(Path(folder).glob("*.txt")):
        try:
            load(path.stem, folder)
        except UserError as error:
            mistakes.append(str(error) if path.stem in names() else f"{path}: {error}")
    if mistakes:
        raise UserError("\n".join(mistakes))


def names() -> list[str]:
    """The names of all prompts."""
    return sorted(entry.name.removesuffix(".txt") for entry in _ours().iterdir() if entry.name.endswith(".txt"))


def text_of(name: str) -> str:
    """The text of our prompt file of that name."""
    return _ours().joinpath(f"{name}.txt").read_text(encoding="utf-8")


def _ours() -> Traversable:
    return resources.files(__package__).joinpath("templates")


def parse(name: str, text: str, source: str) -> Template:
    """Read a prompt file's text; `source` names it in errors.

    Raises:
        UserError: naming every mistake with its line.
    """
    version = ""
    variables: dict[str, str] = {}
    sections: list[tuple[str, list[str]]] = []
    mistakes: list[str] = []
    used: set[str] = set()
    for number, line in enumerate(text.splitlines(), 1):
        if section := _SECTION.match(line):
            role, variable = section[1], ""
            if turns := _TURNS.fullmatch(role):
                role, variable = TURNS, turns[1]
                used.add(variable)
                if variables.get(variable) != "pairs":
                    mistakes.append(f"{source}:{number}: '{variable}' is not declared as pairs")
            elif role not in ROLES:
                mistakes.append(f"{source}:{number}: no role '{role}'; roles: {', '.join(ROLES)}, turns {{{{pairs}}}}")
            sections.append((role, [variable] if variable else []))
        elif sections:
            for hole in _PLACEHOLDER.findall(line):
                used.add(hole)
                if hole not in variables:
                    mistakes.append(f"{source}:{number}: '{hole}' is not declared{nearest(hole, variables)}")
                elif variables[hole] == "pairs":
                    mistakes.append(f"{source}:{number}: pairs go in a line '=== turns {{{{{hole}}}}}'")
            if sections[-1][0] == TURNS and line.strip():
                mistakes.append(f"{source}:{number}: text after turns belongs to another '=== role' line")
            sections[-1][1].append(line)
        elif declaration := _DECLARATION.match(line):
            kind, variable = declaration.groups()
            if kind not in KINDS:
                mistakes.append(f"{source}:{number}: no kind '{kind}'; kinds: {', '.join(KINDS)}")
            elif variable in variables:
                mistakes.append(f"{source}:{number}: '{variable}' is declared twice")
            variables[variable] = kind
        elif said := _VERSION.match(line):
            version = said[1]
        elif line.strip() and not line.startswith("#"):
            mistakes.append(f"{source}:{number}: text before the first '=== role' line")
    mistakes += [f"{source}: '{variable}' is declared and never used" for variable in variables if variable not in used]
    if not sections:
        mistakes.append(f"{source}: no '=== role' line, so no message")
    if mistakes:
        raise UserError("\n".join(mistakes))
    return Template(name, variables, tuple((role, "\n".join(lines).strip()) for role, lines in sections), version)


def quote(text: str) -> str:
    """Return a text as one quoted line, its own quotes and line ends escaped."""
    line = json.dumps(text, ensure_ascii=False)
    return _LINE_ENDS.sub(lambda end: f"\\u{ord(end[0]):04x}", line)


def _as_text(kind: str, value: Any) -> str:
    values = [value] if isinstance(value, str) else value
    return "\n".join(quote(_text(item)) if kind == "data" else _text(item) for item in _sequence(values))


def _as_turns(pairs: Any) -> list[tuple[str, str]]:
    turns: list[tuple[str, str]] = []
    for given, answer in pairs:
        turns += [("user", quote(_text(given))), ("assistant", _text(answer))]
    return turns


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(type(value).__name__)
    return value


def _sequence(values: Any) -> Sequence[Any]:
    if not isinstance(values, Sequence):
        raise TypeError(type(values).__name__)
    return values
