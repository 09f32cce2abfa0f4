"""How well the embedded translator reads sentences about worlds it has never seen, and what memory adds.

    python benchmarks/translation.py [--quick] [--seed 0] [--json PATH] [--data tests/data/translation]

For every sentence of the held-out set: is the first reading right (the same rows fire, the same effect), is one of the
best five, how long does it take; then the same with 200 transitions in memory of a world in which the sentence is
true; which share of those accepted without asking is right; and whether confidence means what it says.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
from common import Figures, options
from worlds import transitions_of

from gedanken.prompts import Gateway, chat_model
from gedanken.world.checking.equivalence import equivalent
from gedanken.world.rules import syntax as s
from gedanken.world.rules.parse import parse
from gedanken.world.rules.syntax import Rule
from gedanken.world.schema import Schema
from gedanken.world.schema_file import schema_from
from gedanken.world.translator import Candidate, Translator

ACCEPTED = 0.8    # the confidence from which `tell` asks nobody
HERE = Path(__file__).parent.parent


@dataclass(frozen=True)
class Case:
    """A sentence with everything it may rightly mean; no meaning: it cannot be said."""

    schema: Schema
    sentence: str
    meanings: tuple[tuple[Rule, ...], ...]
    tags: tuple[str, ...]


def cases(folder: Path) -> list[Case]:
    found = []
    for file in sorted(folder.glob("*.json")):
        data = json.loads(file.read_text())
        schema = schema_from(data["schema"], file.name)
        for one in data["sentences"]:
            readings = [one["rules"], *one.get("also", [])] if one["rules"] else []
            meanings = tuple(tuple(parse(line, schema) for line in lines) for lines in readings)
            found.append(Case(schema, one["text"], meanings, tuple(one.get("tags", ()))))
    return found


def is_right(rules: Sequence[Rule], case: Case) -> bool:
    """Whether the rules say what the sentence says: as a set, effects taken one by one."""
    if not case.meanings:
        return not rules
    return any(_same(rules, meaning, case.schema) for meaning in case.meanings)


def _same(one: Sequence[Rule], other: Sequence[Rule], schema: Schema) -> bool:
    a, b = _parts(one), _parts(other)
    return bool(a) and all(any(_alike(x, y, schema) for y in b) for x in a) and all(
        any(_alike(x, y, schema) for x in a) for y in b)


def _alike(a: Rule, b: Rule, schema: Schema) -> bool:
    p, q = (getattr(r.statement, "probability", None) for r in (a, b))
    if p is not None and q is not None and abs(p - q) < 0.011:
        b = Rule(statement=b.statement.model_copy(update={"probability": p}))
    return equivalent(a, b, schema)


def _parts(rules: Sequence[Rule]) -> list[Rule]:
    """Every certain effect as a rule of its own; `always` as an `expect` of every step."""
    out = []
    for rule in rules:
        t = rule.statement
        if isinstance(t, s.Always) and t.weight is None:
            t = s.Expect(effect=t.condition)
        if isinstance(t, s.Expect) and t.probability is None and isinstance(t.effect, s.Logical) \
                and t.effect.operator == "and":
            out += [Rule(statement=t.model_copy(update={"effect": e})) for e in t.effect.operands]
        else:
            out.append(Rule(statement=t))
    return out


def main() -> None:
    args = options(__doc__.splitlines()[0], data=(Path, HERE / "tests/data/translation", "folder of sentences"),
                   llm=(str, "local", "the chat model to ask"), show=(int, 0, "print the wrong ones"))
    torch.set_num_threads(1)
    figures = Figures()
    some = cases(args.data)
    if args.quick:
        some = some[::8]
    gateway = Gateway(chat_model(args.llm))
    translators: dict[int, Translator] = {}
    plain: list[list[Candidate]] = []
    weighed: list[list[Candidate]] = []
    seconds = []
    for i, case in enumerate(some):
        translator = translators.setdefault(id(case.schema), Translator(case.schema, gateway))
        translator.readings("warm up")
        began = time.perf_counter()
        plain.append(translator.readings(case.sentence))
        seconds.append(time.perf_counter() - began)
        memory = transitions_of(case.schema, case.meanings[0], 200, args.seed + i) if case.meanings else None
        weighed.append(translator.readings(case.sentence, (), memory) if memory is not None else plain[-1])
    print(f"{len(some)} sentences, {len({id(c.schema) for c in some})} worlds")
    for name, readings in (("without memory", plain), ("with 200 transitions", weighed)):
        _report(figures, name, some, readings, args.seed)
    figures.add("seconds a sentence", [float(np.median(seconds))], "s", "< 1")
    if args.show:
        for case, found in list(zip(some, plain, strict=True)):
            if not (found and is_right(found[0].rules, case)):
                print("\n", case.sentence, case.tags)
                print("   wanted:", [str(_text(m)) for m in case.meanings[:1]])
                for c in found[: args.show]:
                    print(f"   {c.reading.confidence:.2f} {c.reading.text!r}")
    figures.write(args.json)


def _text(rules: Sequence[Rule]) -> list[str]:
    from gedanken.world.rules.text import to_text

    return [to_text(r) for r in rules]


def _report(figures: Figures, name: str, some: Sequence[Case], readings: Sequence[list[Candidate]], seed: int) -> None:
    right = [[is_right(c.rules, case) for c in found[:5]] for case, found in zip(some, readings, strict=True)]
    first = np.array([bool(r and r[0]) for r in right])
    five = np.array([any(r) for r in right])
    sayable = np.array([bool(c.meanings) for c in some])
    spread = np.random.default_rng(seed)
    goals = {"without memory": (">= 0.75", ">= 0.90"), "with 200 transitions": (">= 0.90", "")}[name]
    _add(figures, f"first reading right, {name}", first, goals[0], spread)
    _add(figures, f"among the best five, {name}", five, goals[1], spread)
    _add(figures, f"first reading right, sayable only, {name}", first[sayable], "", spread)
    sure = np.array([bool(f) and bool(f[0].rules) and f[0].reading.confidence >= ACCEPTED for f in readings])
    if sure.any():
        _add(figures, f"right of those accepted without asking, {name}", first[sure], ">= 0.95", spread)
    _add(figures, f"accepted without asking, {name}", sure, "", spread)
    refused = np.array([not f or not f[0].rules for f in readings])
    if (~sayable).any():
        _add(figures, f"unsayable ones refused or asked, {name}", ~sure[~sayable], "", spread)
        _add(figures, f"sayable ones refused, {name}", refused[sayable], "", spread)
    confidence = np.array([f[0].reading.confidence if f else 0.0 for f in readings])
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        there = (confidence >= low) & (confidence < low + 0.2 + (low == 0.8))
        if there.any():
            _add(figures, f"right where confidence is {low:.1f} to {low + 0.2:.1f}, {name}", first[there], "", spread)
    if name == "without memory":
        tags = Counter(t for c in some for t in c.tags)
        for tag, n in tags.most_common():
            if n >= 5:
                _add(figures, f"  first reading right: {tag}", first[[tag in c.tags for c in some]], "", spread)


def _add(figures: Figures, name: str, values: np.ndarray, goal: str, rng: np.random.Generator) -> None:
    """A share with its bootstrap standard error as the spread."""
    again = [float(rng.choice(values, len(values)).mean()) for _ in range(200)]
    figures.add(name, [float(values.mean())], "share", goal)
    figures.rows[name] |= {"spread": round(float(np.std(again)), 4), "n": len(values)}


if __name__ == "__main__":
    main()
