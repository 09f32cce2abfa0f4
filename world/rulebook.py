"""The rule book: a rule and all that is known of it (`Entry`), and the two files that keep the entries.

`rules.txt` is for people: a rule a line, the sentence it came from as a comment above, comments kept; which rules there
are is read from it. `rules.json` holds the rest: who said it and when, evidence, what was retired. A crash between
the two is told from a person's edit by the fingerprint of the text that stood before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import UserError
from ..files import write_text
from .evidence import Evidence, Status, is_drifting, judge
from .rules.parse import Line as ParsedLine
from .rules.parse import RuleError, parse, parse_file
from .rules.syntax import Rule
from .rules.text import to_text
from .schema import Schema

Source = Literal["user", "manual", "model", "miner"]
Line = tuple[Literal["rule", "text"], str]
PEOPLE = ("user", "manual")
TEXT, DATA = "rules.txt", "rules.json"
_VERSION = 1
_HEADER = """\
# What the agent was told and has found out, one rule a line; edit, add and delete as you like.
# docs/rules.md describes the language. Evidence and sources are in rules.json."""
_PROPOSED = {
    "model": "# proposed by the language model: acts once the data support it",
    "miner": "# found in the data: acts while the data support it",
}


class Entry(BaseModel):
    """One rule of a knowledge base: its canonical `text`, the `sentence` it was read from ("" if it was told as a
    rule line), who said it and when, and how it stands with the data. `effect` is what it changes of the model's
    held-out error (nats a transition, alone) and `weight` what it weighs beside the others, both where measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    rule: Rule
    text: str
    sentence: str = ""
    source: Source = "user"
    told: datetime
    status: Status = "untested"
    evidence: Evidence = Evidence()
    effect: float | None = None
    weight: float | None = None

    @property
    def is_drifting(self) -> bool:
        """Whether it used to hold and has begun to fail."""
        return is_drifting(self.rule, self.evidence)

    @property
    def claim(self) -> str:
        """The canonical text without the rule's name: what makes two rules the same."""
        return to_text(self.rule.statement)

    @property
    def is_told(self) -> bool:
        """Whether a person said it."""
        return self.source in PEOPLE

    def judged(self, evidence: Evidence) -> Entry:
        """The entry with this evidence and the status that follows from it; a retired one stays retired."""
        status = self.status if self.status == "retired" else judge(self.rule, evidence)
        return self.model_copy(update={"evidence": evidence, "status": status})


@dataclass(frozen=True)
class Book:
    """What the files hold: every entry, and the lines of `rules.txt`: an entry's id, or a line that stands as it is.

    `comments` are those at the end of an entry's line, by its id; `last` is the number of the last id given.
    """

    entries: tuple[Entry, ...] = ()
    lines: tuple[Line, ...] = ()
    comments: dict[str, str] = field(default_factory=dict)
    last: int = 0

    def text(self) -> str:
        """The content of `rules.txt`: the lines as they stand, retired rules left out, new ones at the end."""
        standing = {e.id: e for e in self.entries if e.status != "retired"}
        placed = {id for kind, id in self.lines if kind == "rule"}
        new: list[Line] = [("rule", id) for id in standing if id not in placed]
        lines: list[Line] = [*(self.lines or (("text", _HEADER),)), *new]
        written: list[str] = []
        above = ""    # the comment that the line above stands under
        for kind, content in lines:
            if kind == "text":
                written.append(content)
                above = ""
            elif content in standing:
                comment, after = _comment(standing[content]), self.comments.get(content, "")
                if comment != above or (content not in placed and written[-1:] == [_HEADER]):
                    written += ["", comment] if content not in placed and comment else [comment] if comment else [""]
                written.append(standing[content].text + (f"  {after}" if after else ""))
                above = comment
        return "\n".join(written) + "\n"


def write(folder: Path, book: Book, schema: Schema) -> None:
    """Write both files, each aside and renamed. Raises `GedankenError` where the disk says no."""
    folder.mkdir(parents=True, exist_ok=True)
    text = book.text()
    data = {
        "version": _VERSION, "schema": schema.name, "last": book.last,
        "text": _fingerprint(text), "text_before": _fingerprint(_read(folder / TEXT) or ""),
        "entries": [e.model_dump(mode="json", exclude={"rule"}) for e in book.entries],
    }
    write_text(folder / DATA, json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    write_text(folder / TEXT, text)


def read(folder: Path, schema: Schema) -> Book:
    """Read both files. `rules.txt` says which rules there are: a line that is new or was changed is the user's rule,
    one that is gone is retired. A missing `rules.txt` is restored from `rules.json`.

    Raises `UserError` where there is neither file, for a damaged `rules.json`, and (as `RuleError`) for every mistake
    in `rules.txt` at once.
    """
    text, data = _read(folder / TEXT), _read(folder / DATA)
    if text is None and data is None:
        raise UserError(f"there is no {TEXT} in {folder}; name the folder that an agent was saved in")
    saved = _Saved() if data is None else _saved(folder / DATA, data, schema)
    if text is None or (saved.text_before == _fingerprint(text) != saved.text):
        if saved.lost:
            raise RuleError.together(saved.lost)
        book = Book(tuple(saved.entries.values()), (), {}, saved.last)    # nobody edited: the last write was cut short
        return book if text is None else _arranged(book, parse_file(text, schema, source=str(folder / TEXT)))
    lines = parse_file(text, schema, source=str(folder / TEXT))
    last, known = saved.last, saved.entries
    entries = dict(known)
    present: set[str] = set()
    sentences = {e.sentence for e in known.values() if e.sentence}
    above = ""
    for line in lines:
        if line.rule is not None:
            claim = to_text(line.rule.statement)
            old = entries.get(claim)
            if old is None:
                last += 1
                sentence = above if above in sentences else ""
                entries[claim] = entry_of(f"r{last}", line.rule, sentence=sentence)
            else:
                entries[claim] = _standing(old, line.rule)
            present.add(claim)
        above = line.comment.removeprefix("#").strip() if line.rule is None else above
    kept = (e if claim in present else _retired(e) for claim, e in entries.items())
    return _arranged(Book(tuple(kept), (), {}, last), lines)


def entry_of(id: str, rule: Rule, sentence: str = "", source: Source = "user") -> Entry:
    """A new entry, told now."""
    told = datetime.now(UTC).replace(microsecond=0)
    return Entry(id=id, rule=rule, text=to_text(rule), sentence=sentence, source=source, told=told)


def _standing(entry: Entry, rule: Rule) -> Entry:
    """The entry as its line has it: not retired, with the line's name."""
    entry = entry.model_copy(update={"rule": rule, "text": to_text(rule)})
    return entry.model_copy(update={"status": judge(rule, entry.evidence)}) if entry.status == "retired" else entry


def _retired(entry: Entry) -> Entry:
    return entry.model_copy(update={"status": "retired"})


def _arranged(book: Book, lines: Iterable[ParsedLine]) -> Book:
    """The book with the lines of a file: where its entries stand, and the comments between them."""
    ids = {e.claim: e for e in book.entries}
    arranged: list[Line] = []
    comments: dict[str, str] = {}
    for line in lines:
        entry = ids.get(to_text(line.rule.statement)) if line.rule is not None else None
        if line.rule is None:
            arranged.append(("text", line.text))
        elif entry is not None and ("rule", entry.id) not in arranged:
            if arranged and arranged[-1] == ("text", _comment(entry)):
                arranged.pop()    # written anew from the entry
            arranged.append(("rule", entry.id))
            if line.comment:
                comments[entry.id] = line.comment
    return Book(book.entries, tuple(arranged), comments, book.last)


def _comment(entry: Entry) -> str:
    """The comment above a rule: the sentence it was read from, or who proposed it."""
    return f"# {' '.join(entry.sentence.split())}" if entry.sentence else _PROPOSED.get(entry.source, "")


@dataclass
class _Saved:
    """What `rules.json` holds: entries by their claim, fingerprints of `rules.txt`, and what no longer parses."""

    entries: dict[str, Entry] = field(default_factory=dict)
    last: int = 0
    text: str = ""
    text_before: str = ""
    lost: list[RuleError] = field(default_factory=list)


def _saved(path: Path, data: str, schema: Schema) -> _Saved:
    try:
        content = json.loads(data)
        if content["version"] != _VERSION:
            raise ValueError(f"version {content['version']}")
        saved = _Saved({}, int(content["last"]), str(content["text"]), str(content["text_before"]))
        for raw in content["entries"]:
            try:
                rule = parse(raw["text"], schema, source=f"{path}, {raw['id']}")
            except RuleError as error:
                if raw["status"] != "retired":
                    saved.lost.append(error)
                continue
            entry = Entry(**raw, rule=rule)
            saved.entries[entry.claim] = entry
        return saved
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        way_out = f"delete it to start from {TEXT} alone, without evidence"
        raise UserError(f"{path} is damaged ({error}); {way_out}") from error


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def _fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def named(entries: Sequence[Entry], key: str) -> Entry | None:
    """The entry with this id or name; of several with one name, one that is not retired."""
    found = [e for e in entries if key in (e.id, e.rule.name)]
    return min(found, key=lambda e: (e.id != key, e.status == "retired"), default=None)
