"""Training examples for the proposer: a schema, a surprise in words, and the rule lines behind it.

A world is a translator's domain under other names with one to four rules: mostly what its author wrote about it by
hand, so that what a rule says is plausible by name, else composed, some with a relation or an exception more. The
world is lived in; each surprise is answered by the rule that shaped its rows, as far as its text shows it, or by
nothing. Numbers are those of the text, which are only about the true ones.

    python -m training.proposer.generate --seed 0 --n 20
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Any

import numpy as np
import torch

from gedanken.errors import UserError
from gedanken.world.checking.verdicts import as_rows
from gedanken.world.rules import syntax as s
from gedanken.world.rules.evaluate import truth
from gedanken.world.rules.parse import parse
from gedanken.world.rules.syntax import Rule
from gedanken.world.rules.text import to_text
from gedanken.world.schema import Schema
from gedanken.world.surprises import Surprise, surprises

from ..translator.augment import Draft, augmented
from ..translator.domain import Domain, bounds_of, schema_of, words_of
from ..translator.grounding import is_said
from ..translator.statements import Statements
from .targets import grounded
from .worlds import Lived, lived

FREE, RELATION, EXCEPTION, NOTHING = 0.6, 0.15, 0.2, 0.12
"""Shares: hand-written rules; of the guarded, those with a relation more and with an exception; of the surprises that
no rule is behind, those that are kept."""
TRUE = 0.85    # the share of the rows on which what is left of a rule must be right
_WORLD = ("expect ", "reward ", "end ")


@dataclass(frozen=True)
class Example:
    """One surprise. `schema` is `{"name", "features", "actions"}`; no rules: there is nothing behind it."""

    schema: dict[str, Any]
    text: str
    rules: tuple[str, ...]


def worlds(domains: Sequence[Domain], seed: int, fresh: int = 0
           ) -> Iterator[tuple[dict[str, Any], Schema, list[Rule], Lived]]:
    """An endless stream of worlds over `domains`, the same for the same seed, with `fresh` transitions more."""
    rng, dice = Random(seed), torch.Generator().manual_seed(seed)
    composers = {id(d): Statements(d, rng) for d in domains}
    written = {id(d): [r for _, rules in d.free for r in rules if r.startswith(_WORLD)] for d in domains}
    while True:
        domain = rng.choice(list(domains))
        lines = _truths(domain, composers[id(domain)], written[id(domain)], rng)
        others = [d for d in domains if d is not domain]
        draft = augmented(Draft(domain.schema, "", tuple(lines)), domain, others, rng)
        try:
            schema = schema_of(draft.schema)
            rules = [parse(line, schema) for line in draft.rules]
            n = rng.choice((200, 300, 500, 500, 800))
            made = lived(schema, rules, n + fresh, dice, rng.choice((0.0, 0.0, 0.01, 0.03, 0.05)))
        except UserError:    # renamed, a rule may no longer be well typed
            continue
        if rules:
            yield draft.schema, schema, rules, made


def examples(domains: Sequence[Domain], seed: int, dropped: Counter[str] | None = None) -> Iterator[Example]:
    """Every surprise worth learning from in every world."""
    rng, dropped = Random(seed), dropped if dropped is not None else Counter()
    for data, schema, rules, made in worlds(domains, seed):
        for surprise in surprises(schema, made.transitions, most=12):
            rule = behind(surprise, rules, made)
            if rule is None and rng.random() > NOTHING:
                continue
            known = bounds_of(data["features"] + data["actions"])
            try:
                shown = () if rule is None else (_shown(rule, surprise, schema, made, made.shaped[rules.index(rule)]),)
            except (ValueError, UserError) as error:
                dropped[str(error).split("\n")[0][:60]] += 1
                continue
            if shown and not is_said(shown[0], surprise.text, known):
                dropped["a number from nowhere"] += 1
            else:
                yield Example(data, surprise.text, shown)


def _shown(rule: Rule, surprise: Surprise, schema: Schema, made: Lived, shaped: np.ndarray) -> str:
    """The rule in the surprise's terms, as a line. Raises `ValueError` where it is then no longer the same rows'."""
    line = to_text(grounded(rule, surprise, schema))
    guard = getattr(parse(line, schema).statement, "guard", None)
    fires = truth(guard, as_rows(schema, made.transitions)).numpy() if guard is not None else np.ones(len(shaped), bool)
    chance = getattr(rule.statement, "probability", None) or 1.0
    if (fires & shaped).sum() < TRUE * max(chance * fires.sum(), shaped.sum()):
        raise ValueError("the text does not show enough of the rule")
    return line


def behind(surprise: Surprise, rules: Sequence[Rule], made: Lived) -> Rule | None:
    """The rule that shaped the rows of a surprise and speaks of what happened in them."""
    best, most = None, 0.7
    for rule, shaped in zip(rules, made.shaped, strict=True):
        share = float(shaped[surprise.rows].mean())
        caught = float(np.isin(shaped.nonzero()[0], surprise.rows).mean()) if shaped.any() else 0.0
        if share > most and caught > 0.25 and set(surprise.subjects) & subjects(rule):
            best, most = rule, share
    return best


def subjects(rule: Rule) -> set[str]:
    """What a rule speaks of happening, in the words of `Surprise.subjects`."""
    match rule.statement:
        case s.Reward():
            return {"reward"}
        case s.End():
            return {"end"}
        case s.Expect(effect=effect):
            named = {x.name for x in s.walk(effect) if isinstance(x, s.Name) and x.primed}
            kept = {x.feature or "same" for x in s.walk(effect) if isinstance(x, s.Same)}
            return named | kept
    return set()


def _truths(domain: Domain, composer: Statements, own: Sequence[str], rng: Random) -> list[str]:
    """One to four rule lines on how the world behaves."""
    found: list[str] = []
    for _ in range(rng.randint(1, 4)):
        if own and rng.random() < FREE:
            found.append(rng.choice(own))
        else:
            maker = rng.choice((composer.expect, composer.expect, composer.expect, composer.reward, composer.end))
            found += [r for r in (maker() or ("", ()))[1] if r.startswith(_WORLD)]
    return [_embellished(line, domain, composer, rng) for line in dict.fromkeys(found)]


def _embellished(line: str, domain: Domain, composer: Statements, rng: Random) -> str:
    """The line, perhaps with one condition more that relates two features, or with an exception."""
    _, found, guard = line.partition(" if ")
    if not found or " or " in guard or " implies " in guard:
        return line
    roll, named = rng.random(), words_of(line)
    if roll < RELATION and (made := composer.conditions.relation()) and not words_of(made.rule) & named:
        return f"{line} and {made.rule}" if " or " not in made.rule else line
    if roll < RELATION + EXCEPTION:
        atoms = [composer.conditions.atom(named).rule for _ in range(rng.randint(1, 2))]
        spare = list(dict.fromkeys(a for a in atoms if not words_of(a) & {f.name for f in domain.features} & named))
        return f"{line} and not ({' and '.join(spare)})" if spare else line
    return line


def main(arguments: Sequence[str] | None = None) -> None:
    """Print samples, or with `--quiet` only the counts and the speed."""
    from ..translator.train import domains

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n", type=int, default=20)
    parser.add_argument("--quiet", action="store_true")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    dropped, kinds, began = Counter[str](), Counter[str](), time.perf_counter()
    for one in islice(examples(domains(), options.seed, dropped), options.n):
        kinds.update(rule.split(" ")[0] for rule in one.rules or ("nothing",))
        if not options.quiet:
            lines = "".join(f"    {rule}\n" for rule in one.rules or ("-",))
            sys.stdout.write(f"[{one.schema['name']}] {one.text}\n{lines}")
    pace = options.n / (time.perf_counter() - began)
    sys.stderr.write(f"{pace:.0f} a second; {dict(kinds)}; dropped {dropped.most_common(12)}\n")


if __name__ == "__main__":
    main()
