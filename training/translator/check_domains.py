# ruff: noqa: T201
"""Check the hand-written domains: every condition, effect and rule parses against the domain's own schema.

    python -m gedanken.training.translator.check_domains [FILE ...]

Without files, every file in `domains/`. Prints each mistake with its file and text; exits with 1 if there is any.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gedanken.errors import UserError
from gedanken.world.rules.check import warnings
from gedanken.world.rules.parse import parse

from .domain import schema_of

DOMAINS = Path(__file__).parent / "domains"


def lines(domain: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every (rule line to parse, text it belongs to) of a domain."""
    for entry in domain["features"]:
        for key, texts in entry.get("phrases", {}).items():
            yield f"avoid {key}", texts[0]
        for key, texts in entry.get("becomes", {}).items():
            yield f"expect {key}", texts[0]
    for entry in domain["actions"]:
        for key, texts in entry.get("verbs", {}).items():
            yield (f"forbid {entry['name']} == {key}" if entry["kind"] == "category" else f"forbid {key}"), texts[0]
    for free in domain["free"]:
        for rule in free["rules"]:
            yield rule, free["text"]


def mistakes(domain: dict[str, Any]) -> Iterator[str]:
    """Each mistake of a domain, in words."""
    try:
        schema = schema_of(domain)
    except UserError as error:
        yield str(error)
        return
    for value in sorted({v for f in schema.features + schema.actions for v in f.values} & set(schema.named)):
        yield f"'{value}' is both a value and a feature: a rule could not tell them apart"
    for line, text in lines(domain):
        try:
            rule = parse(line, schema)
            yield from (f"{line!r} for {text!r}: {doubt}" for doubt in warnings(rule, schema))
        except UserError as error:
            yield f"{line!r} for {text!r}: {error}"


def main(paths: list[str]) -> int:
    wrong = 0
    statements: Counter[str] = Counter()
    files = [Path(p) for p in paths] or sorted(DOMAINS.glob("*.json"))
    for path in files:
        try:
            domain = json.loads(path.read_text(encoding="utf-8"))
            found = list(mistakes(domain))
        except (json.JSONDecodeError, KeyError, IndexError) as error:
            print(f"{path.name}: {type(error).__name__}: {error}")
            wrong += 1
            continue
        for mistake in found:
            print(f"{path.name}: {mistake}")
        wrong += len(found)
        for free in domain["free"]:
            statements.update([r.split()[0] for r in free["rules"]] or ["unsayable"])
    print(f"{len(files)} domains, {wrong} mistakes; free: {dict(statements.most_common())}")
    return int(wrong > 0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
