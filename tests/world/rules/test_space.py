"""Places and neighbourhoods, against loops over the cells."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from gedanken.world.rules.evaluate import Rows, evaluate, robustness, truth
from gedanken.world.rules.parse import RuleError, parse
from gedanken.world.schema import Schema

N = 60


@pytest.fixture
def rows(grid_schema: Schema) -> Rows:
    generator = torch.Generator().manual_seed(0)

    def some() -> dict[str, torch.Tensor]:
        found = {f.name: torch.randint(0, f.cardinality or 2, (N, *f.shape), generator=generator).to(f.dtype)
                 for f in grid_schema.features}
        rare = torch.rand(N, 7, 7, generator=generator) < 0.03
        return found | {"object": torch.where(rare, 7, found["object"] % 5).to(torch.int16)}    # box: few, or none

    return Rows(grid_schema, some(), torch.zeros(N, 1), some())


def holds(text: str, rows: Rows) -> list[bool]:
    condition = parse(f"end if {text}", rows.schema).statement.guard  # type: ignore[union-attr]
    found = truth(condition, rows)
    assert found.shape == (N,)
    distance = robustness(condition, rows)
    assert not (found & (distance < 0)).any()
    assert not (~found & (distance > 0)).any()
    return found.tolist()


def boxes(features: Any, i: int) -> list[tuple[int, int]]:
    return [(x, y) for x in range(7) for y in range(7) if features["object"][i, x, y] == 7]


def agent(features: Any, i: int) -> tuple[int, int]:
    return int(features["agent_x"][i]), int(features["agent_y"][i])


def steps(a: tuple[int, int], b: tuple[int, int]) -> int:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def test_position_is_the_first_cell_in_row_major_order(rows: Rows) -> None:
    first = [(boxes(rows.now, i) or [None])[0] for i in range(N)]
    assert None in first
    for x in range(7):
        for y in range(7):
            assert holds(f"position of (object == box) == ({x}, {y})", rows) == [f == (x, y) for f in first]
    differs = holds("position of (object == box) != (agent_x, agent_y)", rows)
    assert differs == [f is not None and f != agent(rows.now, i) for i, f in enumerate(first)]
    after = [(boxes(rows.next, i) or [None])[0] for i in range(N)]
    moved = holds("position of (object' == box) != position of (object == box)", rows)
    assert moved == [a is not None and b is not None and a != b for a, b in zip(first, after, strict=True)]
    inside = holds("position of (object == box) in {(0, 0), (1, 2), (agent_x, agent_y)}", rows)
    assert inside == [f in ((0, 0), (1, 2), agent(rows.now, i)) for i, f in enumerate(first)]


def test_distance_counts_steps_and_is_unknown_where_nothing_is(rows: Rows) -> None:
    text = "distance((agent_x, agent_y), position of (object == box))"
    far = [steps(agent(rows.now, i), b[0]) if (b := boxes(rows.now, i)) else None for i in range(N)]
    assert holds(f"{text} <= 3", rows) == [f is not None and f <= 3 for f in far]
    assert holds(f"{text} >= 0", rows) == [f is not None for f in far]
    assert holds(f"{text} != 2", rows) == [f is not None and f != 2 for f in far]


def test_a_place_indexes_an_array(rows: Rows) -> None:
    found = holds("color[position of (object == box)] == red", rows)
    want = [bool(b) and int(rows.now["color"][(i, *b[0])]) == 1 for i in range(N) for b in [boxes(rows.now, i)]]
    assert found == want
    assert holds("object[(agent_x, agent_y)] == object[agent_x, agent_y]", rows) == [True] * N


@pytest.mark.parametrize("reach", [1, 2, 3])
def test_near_outside_cells_is_where_the_agent_stands(rows: Rows, reach: int) -> None:
    text = "near({})" if reach == 1 else f"near({{}}, {reach})"
    now = [any(steps(agent(rows.now, i), b) <= reach for b in boxes(rows.now, i)) for i in range(N)]
    assert holds(text.format("object == box"), rows) == now
    after = [any(steps(agent(rows.next, i), b) <= reach for b in boxes(rows.next, i)) for i in range(N)]
    assert holds(text.format("object' == box"), rows) == after


def test_near_over_cells_is_a_mask(rows: Rows) -> None:
    statement = parse("avoid count(near(object == box) and color == red) > 0", rows.schema).statement
    red = rows.now["color"] == 1
    want = [sum(bool(red[i, x, y]) and any(steps((x, y), b) <= 1 for b in boxes(rows.now, i))
                for x in range(7) for y in range(7)) for i in range(N)]
    assert evaluate(statement.condition.operands[0], rows).tolist() == want  # type: ignore[union-attr]
    twice = holds("any(near(near(object == box)) and object == wall)", rows)
    assert twice == holds("any(near(object == box, 2) and object == wall)", rows)
    assert holds("near(lit or object == box)", rows) == [
        a or b for a, b in zip(holds("near(object == box)", rows), rows.now["lit"].tolist(), strict=True)]


@pytest.mark.parametrize(("text", "says"), [
    ("avoid position of (object == box) < (1, 2)", "7: '<' on 'position of (object == box)', which has no order"),
    ("avoid position of (object == box) == 3", "38: '3' is a number, 'position of (object == box)' is a place"),
    ("avoid position of (object == box) == (1, 2, 3)", "38: 'position of (object == box)' has 2 coordinates"),
    ("avoid position of (object == box)", "7: 'position of (object == box)' is a place, not a condition"),
    ("avoid position of (lit) == (1, 2)", "7: position of (...) names no array"),
    ("avoid position of (object == bx) == (1, 2)", "30: unknown value 'bx'; did you mean 'box'?"),
    ("avoid distance(agent_x, (1, 2)) > 3", "16: 'agent_x' is a number, where a place is wanted"),
    ("avoid distance((1, 2), (1, 2, 3)) > 3", "7: distance(...) of places with 2 and 3 coordinates"),
    ("avoid (agent_x, lit) == (1, 2)", "17: 'lit' is true or false, where a number is wanted"),
    ("avoid object[(1, 2, 3)] == key", "7: 'object' has 2 axes, not 3"),
    ("avoid near(lit)", "7: near(...) names no array"),
    ("avoid near(object == box, 2.5)", "27: near(...) within 2.5 steps; give a whole number from 1 to 100"),
    ("avoid near(agent_x) > 3", "12: 'agent_x' is a number, not a condition"),
    ("avoid neer(object == box)", "7: unknown function 'neer'; did you mean 'near'?"),
    ("expect near(object' == box)", "8: 'near(object' == box)' in an effect is not supported"),
])
def test_mistakes_about_places(text: str, says: str, grid_schema: Schema) -> None:
    with pytest.raises(RuleError) as caught:
        parse(text, grid_schema)
    assert says in "\n".join(f"{e.column}: {e.message}" for e in caught.value.errors)


def test_near_needs_to_know_where_the_agent_stands(grid_schema: Schema, plant_schema: Schema) -> None:
    lost = replace(grid_schema, grid=None)
    with pytest.raises(RuleError, match="does not say where the agent stands"):
        parse("avoid near(object == box)", lost)
    assert parse("avoid any(near(object == box) and color == red)", lost)
    assert parse("avoid any(near(levels > 1) and levels < 0)", plant_schema)
