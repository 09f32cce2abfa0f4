"""Rules and mechanisms stand together where they write the same features."""

from __future__ import annotations

import pytest

from gedanken.world.causes import Dependence, causes, writes
from gedanken.world.models.mechanisms import Mechanism
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Schema


@pytest.mark.parametrize(("line", "features"), [
    ("expect carrying' == key and lamp' == true if front == key", {"carrying", "lamp"}),
    ("expect same(oil) if action == wait", {"oil"}),
    ("always 0 <= heat' <= 100", {"heat"}),
    ("reward +1 if front == key", {"reward"}),
    ("end if heat' > limit", {"end"}),
    ("forbid burn if front == key", set()),
])
def test_what_a_rule_writes(line: str, features: set[str], cellar: Schema) -> None:
    assert writes(parse(line, cellar), cellar) == features


def test_one_that_keeps_everything_writes_everything(cellar: Schema) -> None:
    assert writes(parse("expect same if action == wait", cellar), cellar) == set(cellar.base)


def test_actions_with_the_same_causes_are_told_in_one_line(cellar: Schema) -> None:
    graph = [Mechanism(a, "carrying", ("front",), ("carrying",)) for a in ("pickup", "burn")]
    graph += [Mechanism("wait", "carrying", (), ("carrying",)), Mechanism("wait", "oil", (), ("oil",))]
    carrying, oil = causes(graph, cellar)
    assert carrying.learned == (Dependence("carrying", ("front",), ("pickup", "burn")),)
    assert str(carrying.learned[0]) == "carrying <- front  if pickup or burn"
    assert (oil.features, oil.learned, oil.told) == (("oil",), (), ())
