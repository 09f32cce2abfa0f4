"""The rule book: a rule and all that is known of it (`Entry`), and the two files that keep the entries.

`rules.txt` is for people: a rule a line, the sentence it came from as a comment above, comments kept; which rules there
are is read from it. `rules.json` holds the rest: who said it and when, evidence, what was retired. A crash between
the two is told from a person's edit by the fingerprint of the text that stood before. What a person changed in
`rules.txt` while an agent ran is merged when it saves; a file with mistakes is never written over.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import UserError
from ..files import write_text
from ..memory.rules import Standing
from .checking import Evidence, Status, is_drifting, judge
from .fitting import Fit
from .history import Event, Kind, Origin, edits, now
from .rules.holes import filled, holes
from .rules.parse import Line as ParsedLine
from .rules.parse import RuleError, parse, parse_file, with_definitions
from .rules.syntax import Rule
from .rules.text import number, to_text
from .schema import Schema

Source = Literal["user", "manual", "demonstration", "examples", "model", "miner"]
Line = tuple[Literal["rule", "text"], str]
PEOPLE = ("user", "manual", "demonstration")
TEXT, DATA = "rules.txt", "rules.json"
_VERSION = 1
_HEADER = """\
# What the agent was told and has found out, one rule a line; edit, add and delete as you like.
# docs/rules.md describes the language. Evidence and sources are in rules.json."""
PROPOSED: dict[Source, str] = {
    "demonstration": "# read from demonstrations, confirmed by a person",
    "examples": "# read from examples: acts unless the data contradict it",
    "model": "# proposed by the language model: acts once the data support it",
    "miner": "# found in the data: acts while the data support it",
}
_FITTED = re.compile(r"\s*# \? = [^#]*\(\d+ transitions?\)\s*$")


class Entry(BaseModel):
    """One rule of a knowledge base: its canonical `text`, the `sentence` it was read from ("" if it was told as a
    rule line), who said it and when, how it stands with the data, and what these gave for each `?` of it. `effect` is
    by how much it lowers the model's held-out error (nats a transition, alone), `weight` what it weighs beside the
    others, both where measured; `is_harmful` if it surely raises the error.

    `turn` is the number of the telling it was last told in, `since` the last transition, (episode, t), that was in
    memory then (None: there was none): of two people's rules that differ the one told later goes first, and what was
    lived before a rule was told does not refute it, since a person may know that the world has changed.

    `origin` is the language model that wrote it, if one did; `history` is what happened to it, oldest first.
    `evidence_from` is where its evidence was counted, if it was imported and not yet checked here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    rule: Rule
    text: str
    sentence: str = ""
    source: Source = "user"
    told: datetime
    status: Status = "untested"
    turn: int = 0
    since: tuple[int, int] | None = None
    evidence: Evidence = Evidence()
    evidence_from: str = ""
    origin: Origin | None = None
    history: tuple[Event, ...] = ()

    effect: float | None = None
    weight: float | None = None
    is_harmful: bool = False
    fitted: tuple[float, ...] = ()
    fitted_on: int = 0

    @property
    def is_drifting(self) -> bool:
        """Whether it used to hold and has begun to fail."""
        return is_drifting(self.rule, self.evidence)

    @property
    def acting(self) -> Rule | None:
        """The rule with what was fitted in place of each `?`; None while that is unknown."""
        if not holes(self.rule):
            return self.rule
        return filled(self.rule, self.fitted) if len(self.fitted) == holes(self.rule) else None

    @property
    def claim(self) -> str:
        """The canonical text without the rule's name: what makes two rules the same."""
        return to_text(self.rule.statement)

    @property
    def is_told(self) -> bool:
        """Whether a person said it."""
        return self.source in PEOPLE

    @property
    def fitting(self) -> str:
        """What was fitted, as a comment: `# ? = 0.7 (120 transitions)`; "" if nothing was."""
        values = ", ".join(map(number, self.fitted))
        return f"# ? = {values} ({self.fitted_on} transitions)" if values else ""

    @property
    def standing(self) -> Standing:
        """The rule as memory's history of rules keeps it."""
        lower, upper = self.evidence.interval
        counted: dict[str, float] = {"hits": self.evidence.hits, "violations": self.evidence.violations,
                                     "lower": lower, "upper": upper}
        if self.effect is not None:
            counted["effect"] = self.effect
        origin = f"{self.origin.model}, {self.origin.prompt}" if self.origin else ""
        return Standing(self.id, self.text, self.source, self.status, counted, self.sentence, origin)

    def judged(self, evidence: Evidence, fit: Fit | None = None) -> Entry:
        """The entry with this evidence, this fit of its holes, and the status that follows; a retired one stays
        retired."""
        found = fit or Fit((), (), 0)
        changes = {"evidence": evidence, "fitted": found.values, "fitted_on": found.support, "evidence_from": ""}
        entry = self.model_copy(update=changes)
        return entry if self.status == "retired" else entry.restored()

    def restored(self) -> Entry:
        """The entry as its evidence has it, whatever its status was."""
        rule = self.acting
        return self.model_copy(update={"status": judge(rule, self.evidence) if rule is not None else "untested"})

    def changed(self, kind: Kind, note: str = "", **changes: object) -> Entry:
        """The entry with these changes, and the event in its history."""
        event = Event(at=now(), kind=kind, note=note)
        return self.model_copy(update={**changes, "history": (*self.history, event)})

    def retired(self) -> Entry:
        """The entry taken out of use."""
        return self if self.status == "retired" else self.changed("retired", status="retired")

    def revived(self) -> Entry:
        """The entry back in use, standing as its evidence says."""
        return self.changed("revived").restored() if self.status == "retired" else self


@dataclass(frozen=True)
class Seen:
    """`rules.txt` of a folder: its fingerprint, and the rules that stood in it, by their claims."""

    path: Path
    text: str
    claims: frozenset[str]


@dataclass(frozen=True)
class Book:
    """What the files hold: every entry, and the lines of `rules.txt`: an entry's id, or a line that stands as it is.

    `comments` are those at the end of an entry's line, by its id; `last` is the number of the last id given; `seen` is
    `rules.txt` as it was last read or written, which tells a person's edit from our own.
    """

    entries: tuple[Entry, ...] = ()
    lines: tuple[Line, ...] = ()
    comments: dict[str, str] = field(default_factory=dict)
    last: int = 0
    seen: Seen | None = None

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
                comment = _comment(standing[content])
                after = "  ".join(filter(None, [self.comments.get(content, ""), standing[content].fitting]))
                if comment != above or (content not in placed and written[-1:] == [_HEADER]):
                    written += ["", comment] if content not in placed and comment else [comment] if comment else [""]
                written.append(standing[content].text + (f"  {after}" if after else ""))
                above = comment
        return "\n".join(written) + "\n"


def save(folder: Path, book: Book, schema: Schema) -> Book:
    """Write both files, each aside and renamed, with what a person changed in `rules.txt` since the book saw it; return
    the book as it was written. `schema` is the world's own, without definitions.

    Raises `GedankenError` where the disk says no, and `UserError` where `rules.txt` has mistakes, or does not go with
    what was told meanwhile: then it stays as it is, and the book goes to `rules.json` only.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / TEXT
    there = _read(path)
    before = "" if there is None else _fingerprint(there)
    if there is not None and book.seen is not None and book.seen.path == path.resolve() and before != book.seen.text:
        try:
            merged = _merged(book, there, schema, path)
            parse_file(merged.text(), schema, source="rules.txt with what was told meanwhile")
        except RuleError as error:
            data = _data(book, schema, book.seen.text, book.seen.text, book.seen.claims)
            write_text(folder / DATA, data)
            raise UserError(f"{path} was changed and cannot be used; it stays as it is, and what was told and found "
                            f"out meanwhile is in {DATA}. Mend it and save again:\n{error}") from error
        book = merged
    text = book.text()
    seen = Seen(path.resolve(), _fingerprint(text), frozenset(e.claim for e in book.entries if e.status != "retired"))
    write_text(folder / DATA, _data(book, schema, seen.text, before or _fingerprint(""), seen.claims))
    write_text(path, text)
    return replace(book, seen=seen)


def _data(book: Book, schema: Schema, text: str, before: str, claims: frozenset[str]) -> str:
    """The content of `rules.json`; `unwritten` are the entries that `rules.txt` does not know yet."""
    data = {
        "version": _VERSION, "schema": schema.name, "last": book.last, "text": text, "text_before": before,
        "unwritten": [e.id for e in book.entries if e.status != "retired" and e.claim not in claims],
        "entries": [e.model_dump(mode="json", exclude={"rule"}) for e in book.entries],
    }
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _merged(book: Book, text: str, schema: Schema, path: Path) -> Book:
    """The book with what a person changed in `rules.txt` since it was seen: what is told here and there stands, what
    is gone here or there is retired. Raises `RuleError` with every mistake in the text."""
    assert book.seen is not None
    lines = parse_file(text, schema, source=str(path))
    theirs = {to_text(line.rule.statement): line.rule for line in lines if line.rule is not None}
    entries, last = {e.claim: e for e in book.entries}, book.last
    for claim, rule in theirs.items():
        old = entries.get(claim)
        if old is None:
            last += 1
            entries[claim] = entry_of(f"r{last}", rule)
        elif claim not in book.seen.claims or old.status != "retired":
            entries[claim] = _standing(old, rule)
    taken = {rule.name for rule in theirs.values() if rule.name}
    for claim, entry in entries.items():
        if claim not in theirs and claim in book.seen.claims:
            entries[claim] = entry.retired()
        elif claim not in theirs and entry.rule.name in taken:    # the person's line keeps the name
            nameless = entry.rule.model_copy(update={"name": None})
            entries[claim] = entry.model_copy(update={"rule": nameless, "text": to_text(nameless)})
    return replace(_arranged(Book(tuple(entries.values()), (), {}, last), lines), seen=book.seen)


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
    standing = [claim for claim, e in known.items() if e.status != "retired"]
    for old_claim, claim in edits(standing, [to_text(x.rule.statement) for x in lines if x.rule is not None]):
        if claim not in known and old_claim not in present:
            old = known[old_claim]
            told = entries[claim].model_copy(update={"history": old.history})
            entries[claim] = told.changed("edited", old.text)
    kept = (e if claim in present or e.id in saved.unwritten else e.retired() for claim, e in entries.items())
    seen = Seen((folder / TEXT).resolve(), _fingerprint(text), frozenset(present))
    return replace(_arranged(Book(tuple(kept), (), {}, last), lines), seen=seen)


def entry_of(id: str, rule: Rule, sentence: str = "", source: Source = "user", origin: Origin | None = None) -> Entry:
    """A new entry, told now."""
    return Entry(id=id, rule=rule, text=to_text(rule), sentence=sentence, source=source, told=now(), origin=origin)


def _standing(entry: Entry, rule: Rule) -> Entry:
    """The entry as its line has it: not retired, with the line's name."""
    if to_text(rule) != entry.text:
        entry = entry.changed("named", entry.text, rule=rule, text=to_text(rule))
    return entry.revived()


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
            if comment := _FITTED.sub("", line.comment):
                comments[entry.id] = comment
    return Book(book.entries, tuple(arranged), comments, book.last)


def _comment(entry: Entry) -> str:
    """The comment above a rule: the sentence it was read from, or who proposed it."""
    sentence = "".join(c if c.isprintable() else " " for c in entry.sentence)
    return f"# {' '.join(sentence.split())}" if sentence.strip() else PROPOSED.get(entry.source, "")


@dataclass
class _Saved:
    """What `rules.json` holds: entries by their claim, fingerprints of `rules.txt`, the ids that it does not know yet,
    and what no longer parses."""

    entries: dict[str, Entry] = field(default_factory=dict)
    last: int = 0
    text: str = ""
    text_before: str = ""
    unwritten: frozenset[str] = frozenset()
    lost: list[RuleError] = field(default_factory=list)


def _saved(path: Path, data: str, schema: Schema) -> _Saved:
    try:
        content = json.loads(data)
        if content["version"] != _VERSION:
            raise ValueError(f"version {content['version']}")
        saved = _Saved({}, int(content["last"]), str(content["text"]), str(content["text_before"]),
                       frozenset(content.get("unwritten", ())))
        standing_first = sorted(content["entries"], key=lambda raw: raw["status"] == "retired")
        schema, _ = with_definitions([raw["text"] for raw in standing_first], schema)
        for raw in content["entries"]:
            try:
                rule = parse(raw["text"], schema, source=f"{path}, {raw['id']}")
            except RuleError as error:
                if raw["status"] != "retired":
                    saved.lost.append(error)
                continue
            entry = Entry(**(raw | {"text": to_text(rule)}), rule=rule)
            saved.entries[entry.claim] = entry
        return saved
    except (ValueError, KeyError, TypeError, RecursionError, ValidationError) as error:
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
