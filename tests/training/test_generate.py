"""Training pairs for the translator: deterministic, sound, grounded in their sentences, wide in kind."""

from collections import Counter
from itertools import islice
from random import Random

import pytest

from gedanken.errors import UserError
from gedanken.training.translator.augment import Draft, renumbered
from gedanken.training.translator.domain import Domain, Phrase, Quantity, bounds_of, inverse, primed, schema_of
from gedanken.training.translator.english import gerund, in_words, negated, passive, third, with_modal
from gedanken.training.translator.generate import Pair, Tally, pairs
from gedanken.training.translator.grounding import is_said
from gedanken.world.rules.parse import parse
from gedanken.world.rules.text import to_text


def _category(name: str, *values: str, **more: object) -> dict[str, object]:
    return {"name": name, "kind": "category", "values": dict.fromkeys(values, ""), "description": f"the {name}"} | more


LIFT = Domain(
    "lift",
    (
        Quantity(_category("door", "open", "closed"), ("the door", "the lift door"),
                 (Phrase("the door is open", "door == open", "the door"),),
                 (Phrase("the door shuts", "door' == closed"),)),
        Quantity({"name": "load", "kind": "real", "low": 0, "high": 900, "unit": "kg"}, ("the load",)),
        Quantity({"name": "alarm", "kind": "boolean"}, ("the alarm",)),
    ),
    (Quantity(_category("action", "up", "down"), verbs={"up": ("ride up",), "down": ("ride down", "descend")}),),
    (("Never ride up with more than 750 kg on board.", ("forbid up if load > 750",)), ("I like lifts.", ())),
)
GRID = Domain(
    "grid",
    (
        Quantity(_category("tile", "ice", "grass", "box", shape=[5, 5]), ("the tiles",)),
        Quantity({"name": "x", "kind": "integer", "low": 0, "high": 4}, ("your column",)),
        Quantity({"name": "y", "kind": "integer", "low": 0, "high": 4}, ("your row",)),
    ),
    (Quantity(_category("move", "left", "right"), verbs={"left": ("go left",), "right": ("step to the right",)}),
     Quantity({"name": "force", "kind": "real", "low": -2, "high": 2}, ("the force",))),
    (),
)


@pytest.fixture(scope="module")
def stream() -> list[Pair]:
    return list(islice(pairs([LIFT, GRID], seed=3), 600))


def test_same_seed_same_pairs(stream: list[Pair]) -> None:
    assert list(islice(pairs([LIFT, GRID], seed=3), 50)) == stream[:50]
    assert list(islice(pairs([LIFT, GRID], seed=4), 50)) != stream[:50]


def test_every_rule_is_canonical_over_its_schema_and_its_numbers_are_said(stream: list[Pair]) -> None:
    for pair in stream:
        schema = schema_of(pair.schema)
        known = bounds_of(pair.schema["features"] + pair.schema["actions"])
        for rule in pair.rules:
            assert to_text(parse(rule, schema)) == rule
            assert is_said(rule, pair.sentence, known), pair


def test_stream_has_every_statement_and_sentences_without_rules(stream: list[Pair]) -> None:
    kinds = Counter(rule.split(" ")[0] for pair in stream for rule in pair.rules)
    assert set(kinds) == {"expect", "always", "reward", "end", "forbid", "avoid", "maintain", "prefer", "achieve"}
    assert 0.03 < sum(not p.rules for p in stream) / len(stream) < 0.35
    assert any(len(p.rules) > 1 for p in stream)


def test_schema_varies_and_phrases_stay_out_of_it(stream: list[Pair]) -> None:
    names = {f["name"] for p in stream for f in p.schema["features"]}
    assert len(names) > 20
    assert not any({"nouns", "phrases", "becomes", "cryptic"} & set(f) for p in stream for f in p.schema["features"])


def test_few_are_dropped() -> None:
    tally = Tally()
    list(islice(pairs([LIFT, GRID], 5, tally), 300))
    assert sum(tally.dropped.values()) < 30


def test_one_domain_alone_is_refused() -> None:
    with pytest.raises(UserError, match="at least two"):
        next(pairs([LIFT], 0))


@pytest.mark.parametrize(("rule", "sentence", "said"), [
    ("avoid x > 7", "never more than seven", True),
    ("avoid x > 7", "never too much", False),
    ("expect d' == open with probability 0.8", "four times out of five", True),
    ("expect d' == open with probability 0.8", "80% of the time", True),
    ("expect d' == open with probability 0.3", "80% of the time", False),
    ("expect d' == open with probability 0.25", "in a quarter of cases", True),
    ("expect x' == x + 1", "it goes up", True),
    ("maintain x < 250", "under two hundred and fifty", True),
    ("achieve x == 4 then y == 0 within 30 steps", "be at 4, then home, in at most thirty moves", True),
])
def test_numbers_are_grounded(rule: str, sentence: str, said: bool) -> None:
    assert is_said(rule, sentence, set()) is said


def test_numbers_change_in_sentence_and_rule_together() -> None:
    draft = Draft(LIFT.schema, *LIFT.free[0])
    seen = {(d.sentence, d.rules) for d in (renumbered(draft, Random(i)) for i in range(20))}
    assert len(seen) > 3
    for sentence, rules in seen:
        assert rules[0].rsplit(" ", 1)[1] in sentence


def test_inverse_and_primed() -> None:
    assert [inverse(r) for r in ("door == open", "x < 3", "lit", "not lit", "a == b and c > 1", "any(t == ice)")] == [
        "door != open", "x >= 3", "not lit", "lit", "not (a == b and c > 1)", "not any(t == ice)"]
    assert primed("abs(x) > y and door == open", {"x", "y", "door"}) == "abs(x') > y' and door' == open"


def test_verbs_and_clauses() -> None:
    assert [gerund(v) for v in ("drop it", "ride up", "don't move", "look and wait")] == [
        "dropping it", "riding up", "not moving", "looking and waiting"]
    assert [third(v) for v in ("carry on", "push", "go up")] == ["carries on", "pushes", "goes up"]
    assert passive("open the door") == "the door is opened"
    assert negated("the door is open") == "the door is not open"
    assert negated("more than two boxes are left") is None
    assert with_modal("you have the key", "must") == "you must have the key"
    assert in_words(250) == "two hundred and fifty"
