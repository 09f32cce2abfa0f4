"""Exchange: the rules of one knowledge base for another of the same world, as text or as JSON.

The text is that of `rules.txt`. JSON holds beside each rule its sentence, who said it, and its evidence:

    {"format": "gedanken rules", "version": 1, "schema": "4f0c...", "rules": [{"text": "forbid ...", ...}]}

A file vouches for nothing by itself: the person who imports it does. So what it says a *person* said comes in as
`manual`, what a machine proposed stays proposed, and what is known here already stays as it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import UserError
from ..memory.text import clean
from .checking import Evidence
from .history import Origin
from .knowledge import KnowledgeBase
from .rulebook import PEOPLE, PROPOSED, Book, Entry, Source, entry_of
from .rules.parse import Line, RuleError, parse_file
from .rules.source import MAX_FILE, Mistake
from .rules.source import Source as Place
from .schema import Schema

__all__ = ["export_json", "export_text", "import_rules", "read_rules", "schema_fingerprint"]

FORMAT = "gedanken rules"


class _Counts(BaseModel):
    model_config = ConfigDict(extra="forbid")

    hits: Annotated[float, Field(ge=0, le=1e12)] = 0
    violations: Annotated[float, Field(ge=0, le=1e12)] = 0


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str
    sentence: str = ""
    source: Source = "user"
    origin: Origin | None = None
    evidence: _Counts = _Counts()


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    format: Literal["gedanken rules"]
    version: Literal[1]
    schema_: str = Field(alias="schema")
    rules: list[_Rule]


def export_text(knowledge: KnowledgeBase) -> str:
    """The standing rules as `rules.txt` has them: a rule a line, the sentence it was read from above."""
    return Book(tuple(knowledge.entries)).text()


def export_json(knowledge: KnowledgeBase) -> str:
    """The standing rules with their sentence, source, language model and evidence, as JSON."""
    rules = [
        {
            "text": e.text, "sentence": e.sentence, "source": e.source,
            "origin": e.origin.model_dump() if e.origin else None,
            "evidence": {"hits": e.evidence.hits, "violations": e.evidence.violations},
        }
        for e in knowledge.entries if e.status != "retired"
    ]
    data = {"format": FORMAT, "version": 1, "schema": schema_fingerprint(knowledge.schema), "rules": rules}
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def import_rules(knowledge: KnowledgeBase, text: str, where: str) -> list[Entry]:
    """Take in what `export_text` or `export_json` wrote, and return the rules that are new here.

    Evidence comes along only where the schema is the same to the last bound and value; it then counts until the rules
    are first checked here. `where` names the file in messages and in the rules' history.

    Raises:
        RuleError: with every mistake in the rules; nothing is taken then.
        UserError: the JSON is not an export of rules, or a rule has the name of one that stands here.
    """
    return knowledge.receive(read_rules(text, knowledge.schema, where), where)


def read_rules(text: str, schema: Schema, where: str) -> list[Entry]:
    """The rules of an exported file as entries without ids, machine-made ones as such; raises as `import_rules`."""
    if text.lstrip().startswith("{"):
        return list(_from_json(text, schema, where))
    return list(_from_text(parse_file(text, schema, source=where)))


def schema_fingerprint(schema: Schema) -> str:
    """Sixteen hexadecimal digits that agree where two schemas have the same features and actions, sizes included."""
    return hashlib.sha256(json.dumps(schema.identity(), sort_keys=True).encode()).hexdigest()[:16]


def _from_text(lines: Sequence[Line]) -> Iterator[Entry]:
    """A comment stands for all rules below it, up to a blank line: it is their sentence, or says who proposed them."""
    above = ""
    proposed: dict[str, Source] = {comment: source for source, comment in PROPOSED.items() if source not in PEOPLE}
    for line in lines:
        if line.rule is None:
            above = line.text.strip()
        else:
            source = proposed.get(above, "manual")
            yield entry_of("", line.rule, above.removeprefix("#").strip() if source == "manual" else "", source)


def _from_json(text: str, schema: Schema, where: str) -> Iterator[Entry]:
    if len(text) > MAX_FILE:
        raise UserError(f"{where} has {len(text)} characters; at most {MAX_FILE} are read")
    try:
        file = _File.model_validate(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where} is not an export of rules: {_first(error)}") from None
    several = [(i, r.text) for i, r in enumerate(file.rules, 1) if len(r.text.splitlines()) != 1]
    if several:
        raise RuleError.together([Place(t, where, i).error([Mistake("a rule is one line")]) for i, t in several])
    is_same = file.schema_ == schema_fingerprint(schema)
    lines = parse_file("\n".join(r.text for r in file.rules), schema, source=f"{where}, rule")
    for line, given in zip(lines, file.rules, strict=True):
        if line.rule is None:
            continue    # a comment
        source: Source = "manual" if given.source in PEOPLE else given.source
        entry = entry_of("", line.rule, " ".join(clean(given.sentence).split()), source, given.origin)
        if is_same and (given.evidence.hits or given.evidence.violations):
            counted = Evidence(hits=int(given.evidence.hits), violations=int(given.evidence.violations))
            entry = entry.judged(counted).model_copy(update={"evidence_from": where})
        yield entry


def _first(error: Exception) -> str:
    """The first thing that is wrong, in a line."""
    if isinstance(error, ValidationError):
        wrong = error.errors()[0]
        return f"{'.'.join(map(str, wrong['loc'])) or 'the whole'}: {wrong['msg'].lower()}"
    return str(error).splitlines()[0]
