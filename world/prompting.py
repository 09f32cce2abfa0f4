"""Proposing with a prompted model: surprises, the rules that stand and what memory says go in; its mistakes go back to
it, twice.

What it is shown is a working context within a budget (`memory/context.py`). What it answers is tried at once: a line
that does not parse comes back with the error, one that memory contradicts with a transition against it. All that was
observed or remembered is quoted as data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..memory.context import Context, Line
from ..memory.short_term import ShortTerm
from ..prompts import Gateway, propose, repair
from ..prompts.counting import counter
from ..prompts.gateway.asking import as_text
from .checking.judgement import judge
from .checking.tally import measure
from .checking.verdicts import as_rows, spans_of, verdicts
from .rules.constrain import decoding_grammar
from .rules.evaluate import Rows
from .rules.parse import RuleError, parse
from .rules.syntax import Rule
from .rules.text import word
from .schema import Feature, Schema
from .surprises import Surprise

if TYPE_CHECKING:
    from ..memory.experience.record import Transitions

ROUNDS = 2
"""How often a model may mend what it proposed."""
_GROUPS = 4    # surprises shown in words
_STEPS = 4    # transitions shown one by one
_KNOWN = ("goal", "lesson", "past", "state", "event")    # shown as what is known besides
_WORLD = ("expect", "always", "reward", "end")


def prompted(schema: Schema, gateway: Gateway, rules: Sequence[str], found: Sequence[Surprise],
             transitions: Transitions, surprise: np.ndarray | None = None, recent: ShortTerm | None = None,
             remembered: Sequence[Line] = ()) -> list[Rule]:
    """Rules that the model proposes for what was `found` surprising, the mended ones included.

    `rules` stand, the most important first; `remembered` is what memory adds. What is shown of all that is up to
    `recent`, the working context. Raises `ModelUnavailable`, and `UserError` where nothing fits its budget.
    """
    rows, world = as_rows(schema, transitions), schema.describe()
    recent = recent or ShortTerm(count=counter(gateway.model))
    lines = [*(Line(one.text, "surprise") for one in found[:_GROUPS]),
             *(Line(text, "transition") for text in _steps(rows, transitions, found, surprise)),
             *(Line(text, "rule") for text in rules), *remembered]
    grammar = decoding_grammar(schema, statements=_WORLD) if "grammar" in gateway.options else None
    context = recent.context(lines, lambda c: as_text(gateway.render("propose", schema=world, **_variables(c))))
    answers = propose(world, gateway=gateway, grammar=grammar, **_variables(context))
    kept: list[Rule] = []
    tried: set[str] = set()
    for left in reversed(range(ROUNDS + 1)):
        proposed = [a.text for a in answers if a.text not in tried]
        tried.update(proposed)
        faults: list[str] = []
        for line in proposed:
            rule, fault = _tried(line, schema, rows, transitions)
            if rule is not None:
                kept.append(rule)
            if fault:
                faults.append(f"{line} - {fault}")
        if not faults or not left:
            break
        wrong = [Line(fault, "fault") for fault in faults]
        context = recent.context([*lines, *wrong], lambda c: as_text(
            gateway.render("repair", schema=world, **_variables(c), faults=c.of("fault"))))
        answers = repair(world, faults=context.of("fault"), gateway=gateway, grammar=grammar, **_variables(context))
    return kept


def _variables(context: Context) -> dict[str, Any]:
    """A working context as what the prompts are made of."""
    known = [f"{kind}: {text}" for kind in _KNOWN for text in context.of(kind)]
    return {"rules": context.of("rule"), "surprises": context.of("surprise") + context.of("transition"),
            "known": known or ["nothing"], "examples": context.pairs("example")[::-1]}    # the best example last


def _tried(line: str, schema: Schema, rows: Rows, transitions: Transitions) -> tuple[Rule | None, str]:
    """The rule that a line is, unless memory contradicts it; and what is wrong with it, "" for nothing."""
    try:
        rule = parse(line, schema)
    except RuleError as error:
        return None, error.message
    if judge(rule, measure([rule], schema, transitions)[0]) != "contradicted":
        return rule, ""
    found = verdicts([rule], rows, transitions, spans_of(schema, transitions))
    against = (found.applies[0] & ~found.holds[0]).nonzero()[:, 0]
    return None, "it does not hold" + (f": {step(rows, transitions, int(against[0]))}" if len(against) else "")


def _steps(rows: Rows, transitions: Transitions, found: Sequence[Surprise], surprise: np.ndarray | None) -> list[str]:
    """Single transitions: of each group the most surprising, and one like it from another time."""
    chosen: dict[int, None] = {}
    for one in found[: _STEPS // 2]:
        first = int(one.rows[0] if surprise is None else one.rows[np.nan_to_num(surprise)[one.rows].argmax()])
        similar = int(one.rows[np.abs(one.rows - first).argmax()])
        chosen.update(dict.fromkeys((first, similar)))
    if not chosen:
        order = np.arange(rows.size) if surprise is None else np.argsort(-np.nan_to_num(surprise), kind="stable")
        chosen = dict.fromkeys(order[:_STEPS].tolist())
    return list(dict.fromkeys(step(rows, transitions, i) for i in chosen))


def step(rows: Rows, transitions: Transitions, i: int) -> str:
    """One transition in the words of the language: the action, the state, and what changed."""
    schema = rows.schema
    acting = {a.name for a in schema.actions}
    scalars = [f for f in schema.named.values() if not f.shape and f.name not in acting]
    done = [_equals(a, rows.column(k)[i].item() + a.offset) for k, a in enumerate(schema.actions)]
    now = {f: rows.read(f.name, False)[i].item() for f in scalars}
    next = {f: rows.read(f.name, True)[i].item() for f in scalars}
    changes = [_equals(f, next[f], "'") for f in scalars if next[f] != now[f]] or ["nothing changed"]
    if reward := float(transitions.reward[i]):
        changes.append(f"reward {reward:+.3g}")
    if transitions.terminated[i]:
        changes.append("end")
    return ", ".join([*done, *(_equals(f, now[f]) for f in scalars)]) + " -> " + ", ".join(changes)


def _equals(feature: Feature, value: float, prime: str = "") -> str:
    name = word(feature.name) + prime
    if feature.kind == "category":
        return f"{name} == {word(feature.values[int(value)])}"
    return (name if value else f"not {name}") if feature.kind == "boolean" else f"{name} == {value:.4g}"
