"""Training pairs for the translator: a schema, an English sentence about its world, and the rules that it says.

A pair is hand-written (a domain's `free` pairs) or composed: a statement is drawn, put into words, dressed as people
write, and moved to another schema. What the sentence cannot mean over its schema has no rules. Every pair is checked
by the language's own parser, and every number of a rule stands in its sentence or is its feature's bound.

    python -m training.translator.generate --domains training/translator/domains --seed 0 --n 20
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from gedanken.errors import UserError
from gedanken.world.rules.parse import parse
from gedanken.world.rules.text import to_text

from .augment import Draft, augmented, renumbered
from .domain import Domain, bounds_of, load, schema_of, words_of
from .grounding import is_said
from .statements import Statements
from .surface import finished

FREE, TWO, REMOVED, FOREIGN, SMALL_TALK = 0.30, 0.09, 0.035, 0.01, 0.03
"""Shares of the stream: hand-written pairs; among the composed, two rules at once and the three kinds of unsayable."""

LONG, LONG_TWO = 150, 200
"""Characters beyond which a composed sentence is drawn again: few people write longer ones."""


@dataclass(frozen=True)
class Pair:
    """One example. `schema` is `{"name", "features", "actions"}`; no rules: the sentence cannot be said."""

    schema: dict[str, Any]
    sentence: str
    rules: tuple[str, ...]


@dataclass
class Tally:
    """What was given and what was dropped, by kind or reason."""

    given: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)


def pairs(domains: Sequence[Domain], seed: int, tally: Tally | None = None) -> Iterator[Pair]:
    """An endless stream of pairs over `domains`, the same for the same seed."""
    if len(domains) < 2:
        raise UserError("the generator borrows features between domains; give it at least two")
    rng, tally = Random(seed), tally or Tally()
    composers = {id(d): Statements(d, rng) for d in domains}
    hand_written = [d for d in domains if d.free]
    while True:
        is_free = bool(hand_written) and rng.random() < FREE
        domain = rng.choice(hand_written if is_free else list(domains))
        others = [d for d in domains if d is not domain]
        draft, kind = _free(domain, rng) if is_free else _composed(domain, composers, others, rng)
        if kind == "removed" and not (draft := _without_one(draft, rng)).schema:
            continue
        pair = _checked(augmented(draft, domain, others, rng), kind, tally)
        if pair is not None:
            tally.given["free" if is_free else kind] += 1
            yield pair


def _free(domain: Domain, rng: Random) -> tuple[Draft, str]:
    text, rules = rng.choice(domain.free)
    draft = Draft(domain.schema, text, rules)
    if rng.random() < 0.6:
        draft = renumbered(draft, rng)
    removed = rng.random() < REMOVED and bool(rules)
    return Draft(
        draft.schema, finished(draft.sentence, rules, rng, plain=True), draft.rules
    ), "removed" if removed else "free"


def _composed(domain: Domain, composers: dict[int, Statements], others: list[Domain], rng: Random) -> tuple[Draft, str]:
    roll, composer = rng.random(), composers[id(domain)]
    if roll < SMALL_TALK:
        return Draft(domain.schema, finished(composer.unsayable(), (), rng), ()), "small talk"
    if roll < SMALL_TALK + FOREIGN:
        other = rng.choice(others)
        text, rules = composers[id(other)].one()
        if words_of(" ".join(rules)) & {q.name for q in (*domain.features, *domain.actions)}:
            return Draft(domain.schema, finished(composer.unsayable(), (), rng), ()), "small talk"
        return Draft(domain.schema, finished(text, rules, rng), ()), "foreign"
    removed = roll < SMALL_TALK + FOREIGN + REMOVED
    two = not removed and roll > 1 - TWO
    for _ in range(4):
        text, rules = composer.two() if two else composer.one()
        if len(text) <= (LONG_TWO if two else LONG):
            break
    return Draft(domain.schema, finished(text, rules, rng), rules), "removed" if removed else "two" if two else "one"


def _without_one(draft: Draft, rng: Random) -> Draft:
    """The same sentence over a schema that lacks a feature it needs; an empty schema where there is no such."""
    features = draft.schema["features"]
    named = [[e for e in features if e["name"] in words_of(rule)] for rule in draft.rules]
    needed = [e for e in (named[0] if named else []) if all(e in some for some in named)]
    if not needed or len(features) < 2:
        return Draft({}, "", ())
    gone = rng.choice(needed)
    return Draft(draft.schema | {"features": [e for e in features if e is not gone]}, draft.sentence, ())


def _checked(draft: Draft, kind: str, tally: Tally) -> Pair | None:
    """The pair with its rules in canonical text, or None (and a count) where a rule is not sound."""
    if len(draft.sentence) > 400:
        tally.dropped["long"] += 1
        return None
    try:
        schema = schema_of(draft.schema)
        rules = tuple(to_text(parse(rule, schema)) for rule in draft.rules)
    except UserError as error:
        reason = re.sub(r"'[^']*'|\"[^\"]*\"|\d+", "_", str(error).split("\n")[0])[:80]
        tally.dropped[f"{kind}: {reason}"] += 1
        return None
    entries = draft.schema["features"] + draft.schema["actions"]
    for rule in rules:
        known = bounds_of([e for e in entries if e["name"] in words_of(rule)]) if kind != "free" else bounds_of(entries)
        if not is_said(rule, draft.sentence, known):
            tally.dropped[f"{kind}: a number from nowhere"] += 1
            return None
    return Pair(draft.schema, draft.sentence, rules)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print samples, or with `--quiet` only the shares and the speed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--domains", type=Path, default=Path(__file__).parent / "domains")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--quiet", action="store_true", help="only shares, drops and speed")
    options = parser.parse_args(arguments)
    tally, kinds = Tally(), Counter[str]()
    domains = load(options.domains)
    began = time.perf_counter()
    for _, pair in zip(range(options.n), pairs(domains, options.seed, tally), strict=False):
        kinds.update(rule.split(" ")[0] for rule in pair.rules or ("none",))
        if options.json:
            sys.stdout.write(json.dumps(asdict(pair)) + "\n")
        elif not options.quiet:
            sys.stdout.write(
                f"[{pair.schema['name']}] {pair.sentence}\n" + "".join(f"    {r}\n" for r in pair.rules or ("-",))
            )
    seconds = time.perf_counter() - began
    sys.stderr.write(f"{options.n / seconds:.0f} pairs a second; given {dict(tally.given)}; kinds {dict(kinds)}\n")
    for reason, count in tally.dropped.most_common(15):
        sys.stderr.write(f"  dropped {count}: {reason}\n")


if __name__ == "__main__":
    main()
