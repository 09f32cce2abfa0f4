"""Shifted worlds: each wrapper changes what it says; what a person would say of it is true there, and false before."""

from __future__ import annotations

import numpy as np
import pytest
from shifts import SHIFTS, Shift
from shifts.play import play

from gedanken.world.checking import measure
from gedanken.world.rules import syntax as s
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Schema

EVERY = pytest.mark.parametrize("shift", SHIFTS.values(), ids=SHIFTS)


def test_there_are_as_many_as_the_table_promises() -> None:
    assert len(SHIFTS) >= 20
    assert len({type(s.env()) for s in SHIFTS.values()}) == len(SHIFTS)


@EVERY
def test_what_is_said_is_true_in_the_shifted_world(shift: Shift) -> None:
    many = len(shift.rules) > 6  # things to be met in one color each: more beginnings are needed than long episodes
    seen = play(shift.env(), 11_000 if many else 3_500, seed=0, episode_steps=3 if many else 12)
    schema = Schema.from_env(shift.env())
    rules = [parse(rule, schema) for rule in shift.rules]
    for text, rule, evidence in zip(shift.rules, rules, measure(rules, schema, seen, noise={}), strict=True):
        chance = getattr(rule.statement, "probability", None)
        assert evidence.support, text
        if chance is None:
            assert not evidence.violations, f"{text}: {evidence}"
        else:
            rate = evidence.hits / evidence.support
            assert abs(rate - chance) <= 4 * np.sqrt(chance * (1 - chance) / evidence.support), f"{text}: {evidence}"


@EVERY
def test_it_was_not_true_before(shift: Shift) -> None:
    seen, schema = play(shift.env(shifted=False), 800, seed=0), Schema.from_env(shift.env())
    rules = [parse(rule, schema) for rule in shift.rules]
    wrong = 0
    for rule, evidence in zip(rules, measure(rules, schema, seen, noise={}), strict=True):
        chance = getattr(rule.statement, "probability", None)
        wrong += evidence.violations if chance in (None, 0) or not evidence.hits else 0
        if isinstance(rule.statement, s.End) and chance == 0:
            wrong += evidence.hits
    assert wrong


@EVERY
def test_the_wrapper_changes_what_the_simulator_does(shift: Shift) -> None:
    seeds, rng = range(60), np.random.default_rng(0)
    schema, changed, before = Schema.from_env(shift.env()), shift.env(), shift.env(shifted=False)
    for seed in seeds:
        changed.reset(seed=seed), before.reset(seed=seed)
        for _ in range(40):
            action = int(rng.choice(7, p=np.array([1, 1, 4, 2, 1, 2, 1]) / 12))
            new, old = (env.step(action)[:3] for env in (changed, before))
            states = [schema.observe(out[0], env) for out, env in ((new, changed), (old, before))]
            if new[1:] != old[1:] or any((states[0][k] != states[1][k]).any() for k in states[0]):
                return
            if new[2]:
                break
    pytest.fail("nothing was other than before")
