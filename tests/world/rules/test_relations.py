"""Relations between cells, against a plain reading cell by cell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gedanken.world.rules import syntax as s
from gedanken.world.rules.evaluate import Rows, evaluate, mask, robustness, truth
from gedanken.world.rules.parse import RuleError, parse
from gedanken.world.rules.text import to_text
from gedanken.world.rules.words import to_words
from gedanken.world.schema import Feature, Grid, Schema

W, H, N = 5, 4, 4
KINDS, LOOKS = ("empty", "ball", "key"), ("right", "down", "left", "up")
STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))
BOARD = Schema(
    "board",
    (Feature("object", "category", (W, H), values=KINDS), Feature("hot", "boolean", (W, H)),
     Feature("x", "integer", low=0, high=W - 1), Feature("y", "integer", low=0, high=H - 1),
     Feature("looks", "category", values=LOOKS)),
    (Feature("action", "category", values=("wait", "go")),), lambda observation, env: {}, lambda row: int(row[0]),
    grid=Grid(("object", "hot"), "x", "y", "looks", STEPS),
)
CELLS = [(x, y) for x in range(W) for y in range(H)]


Cells = set[tuple[int, int]]


def where(e: Any, now: Any, after: Any) -> Cells:
    """The cells of one row where a condition holds: the definition, as docs/rules.md has it."""
    def of(c: Any) -> Cells:
        return where(c, now, after)

    match e:
        case s.Compare(operands=(s.Name(primed=primed), s.Symbol(name=value))):
            cells = (after if primed else now)["object"]
            return {(x, y) for x, y in CELLS if KINDS[cells[x][y]] == value}
        case s.Name(primed=primed):
            return {(x, y) for x, y in CELLS if (after if primed else now)["hot"][x][y]}
        case s.Not(operand=c):
            return set(CELLS) - of(c)
        case s.Logical(operator="and", operands=cs):
            return set.intersection(*map(of, cs))
        case s.Logical(operands=cs):
            return set.union(*map(of, cs))
        case s.Quantified(quantifier=q, condition=c):
            return set(CELLS) if (any if q == "any" else all)(cell in of(c) for cell in CELLS) else set()
        case s.Side(side=side, primed=primed):
            return {cell for cell in CELLS if _lies(side, cell, after if primed else now)}
        case s.Relation(relation=relation, condition=c, steps=n):
            others = of(c)
            return {(x, y) for x, y in CELLS if any(_stands(relation, x - a, y - b, n) for a, b in others)}
    raise AssertionError(e)


def _lies(side: str, cell: tuple[int, int], state: Any) -> bool:
    vx, vy = cell[0] - state["x"], cell[1] - state["y"]
    dx, dy = STEPS[state["looks"]]
    ahead, right = vx * dx + vy * dy, vx * -dy + vy * dx    # BabyAI's ObjDesc: d1, and d2 = (-d1[1], d1[0])
    return {"agent": (vx, vy) == (0, 0), "ahead": ahead > 0, "behind": ahead < 0, "on_right": right > 0,
            "on_left": right < 0}[side]


def _stands(relation: str, dx: int, dy: int, n: int | None) -> bool:
    far = abs(dx) + abs(dy)
    match relation:
        case "near":
            return far <= (n or 1)
        case "next_to":
            return far == 1
    along, across = (dx, dy) if relation in ("left_of", "right_of") else (dy, dx)
    along = -along if relation in ("left_of", "above") else along
    return along > 0 and (n is None or (across == 0 and along <= n))


def conditions(primed: bool = True) -> st.SearchStrategy[Any]:
    prime = st.booleans() if primed else st.just(False)
    leaves = st.one_of(
        st.builds(lambda p, v: s.Compare(operands=(s.Name(name="object", primed=p), s.Symbol(name=v)),
                                         operators=("==",)), prime, st.sampled_from(KINDS)),
        st.builds(s.Name, name=st.just("hot"), primed=prime),
        st.builds(s.Side, side=st.sampled_from(s.SIDES), primed=prime),
    )
    return st.recursive(leaves, lambda of: st.one_of(
        st.builds(s.Not, operand=of),
        st.builds(s.Logical, operator=st.sampled_from(["and", "or"]), operands=st.tuples(of, of)),
        st.builds(s.Relation, relation=st.just("near"), condition=of, steps=st.integers(1, 3),
                  over_cells=st.just(True)),
        st.builds(s.Relation, relation=st.just("next_to"), condition=of, over_cells=st.just(True)),
        st.builds(s.Relation, relation=st.sampled_from(s.RELATIONS[2:]), condition=of,
                  steps=st.none() | st.integers(1, 6), over_cells=st.just(True)),
        st.builds(lambda q, c: s.Logical(operator="and", operands=(s.Quantified(quantifier=q, condition=c),
                                                                   s.Name(name="hot"))),
                  st.sampled_from(["any", "all"]), of),
    ), max_leaves=3)


def some_rows(seed: int) -> tuple[list[Any], list[Any], Rows]:
    rng = torch.Generator().manual_seed(seed)

    def state() -> dict[str, torch.Tensor]:
        found = {f.name: torch.randint(0, f.cardinality or 2, (N, *f.shape), generator=rng).to(f.dtype)
                 for f in BOARD.features}
        few = torch.rand(N, W, H, generator=rng) < 0.2
        return found | {"object": torch.where(few, found["object"], 0).to(found["object"].dtype)}

    now, after = state(), state()
    split = [[{k: v[i].tolist() for k, v in side.items()} for i in range(N)] for side in (now, after)]
    return split[0], split[1], Rows(BOARD, now, torch.zeros(N, 1), after)


@settings(max_examples=150, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(conditions(), st.integers(0, 2**16))
def test_every_relation_is_what_its_definition_says(condition: Any, seed: int) -> None:
    now, after, rows = some_rows(seed)
    cells = s.Logical(operator="and", operands=(condition, s.Not(operand=s.Name(name="hot"))))
    want = [{c for c in where(condition, a, b) if not a["hot"][c[0]][c[1]]} for a, b in zip(now, after, strict=True)]
    assert evaluate(s.Call(function="count", arguments=(cells,)), rows).tolist() == [len(w) for w in want]
    assert mask(cells, BOARD)(rows).tolist() == [[[(x, y) in w for y in range(H)] for x in range(W)] for w in want]
    found = truth(s.Quantified(quantifier="any", condition=cells), rows)
    assert found.tolist() == [bool(w) for w in want]
    distance = robustness(s.Quantified(quantifier="any", condition=cells), rows)
    assert not (found & (distance < 0)).any()
    assert not (~found & (distance > 0)).any()


@settings(max_examples=80, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(conditions())
def test_printing_is_the_inverse_of_parsing(condition: Any) -> None:
    rule = s.Rule(statement=s.End(guard=s.Quantified(quantifier="any", condition=s.Logical(operator="and", operands=(
        condition, s.Name(name="hot"))))))
    text = to_text(rule)
    assert parse(text, BOARD) == rule
    assert to_text(parse(text, BOARD)) == text
    assert s.Rule.model_validate_json(rule.model_dump_json()) == rule


def one(cells: dict[tuple[int, int], str], at: tuple[int, int] = (2, 2), looks: str = "up") -> Rows:
    board = torch.zeros(1, W, H, dtype=torch.int16)
    for cell, kind in cells.items():
        board[(0, *cell)] = KINDS.index(kind)
    state = {"object": board, "hot": torch.zeros(1, W, H, dtype=torch.bool), "x": torch.tensor([at[0]]),
             "y": torch.tensor([at[1]]), "looks": torch.tensor([LOOKS.index(looks)], dtype=torch.int16)}
    return Rows(BOARD, state, None, state)


def says(text: str, rows: Rows) -> bool:
    return bool(truth(parse(f"avoid {text}", BOARD).statement.condition, rows))  # type: ignore[union-attr]


@pytest.mark.parametrize(("text", "is_so"), [
    ("any(object == ball and next_to(object == key))", True),
    ("exists a cell where (object == ball and next_to(object == ball))", False),
    ("any(object == ball and left_of(object == key))", True),
    ("any(object == key and left_of(object == ball))", False),
    ("any(object == ball and left_of(object == key, 1)) and any(object == empty and right_of(object == key, 1))", True),
    ("any(object == key and above(agent))", True),
    ("any(object == key and below(agent))", False),
    ("any(object == ball and on_left)", True),
    ("any(object == ball and on_right) or any(object == key and on_left)", False),
    ("all(object == empty or ahead)", True),
    ("any(object == ball and next_to(object == key and ahead))", True),
    ("position of (agent) == (x, y) and distance(position of (agent), position of (object == key)) == 1", True),
    ("next_to(object == key) and not next_to(object == ball) and not left_of(object == key)", True),
    ("right_of(object == ball) and below(object == key, 1) and not below(object == ball, 3)", True),
])
def test_a_ball_left_of_a_key_that_is_ahead(text: str, is_so: bool) -> None:
    assert says(text, one({(1, 1): "ball", (2, 1): "key"})) == is_so


def test_sides_turn_with_the_agent() -> None:
    sides = {"right": "ahead", "down": "on_left", "left": "behind", "up": "on_right"}
    for looks, side in sides.items():
        rows = one({(4, 2): "key"}, looks=looks)
        assert {x for x in s.SIDES if says(f"any({x} and object == key)", rows)} == {side}


def test_a_board_of_rows_and_columns() -> None:
    """The same as `[row, column]`: left and right are along the second axis, and left of looking right is up."""
    assert BOARD.grid is not None
    turned = tuple((dy, dx) for dx, dy in STEPS)
    upright = replace(BOARD, grid=replace(BOARD.grid, steps=turned, down=0))
    board = torch.zeros(1, W, H, dtype=torch.int16)
    board[0, 1, 2], board[0, 3, 1] = 1, 2    # a ball at row 1, column 2; a key at row 3, column 1
    state = {"object": board, "hot": torch.zeros(1, W, H, dtype=torch.bool), "x": torch.tensor([2]),
             "y": torch.tensor([1]), "looks": torch.tensor([0], dtype=torch.int16)}
    for text in ("any(object == ball and above(object == key))", "any(object == key and left_of(object == ball))",
                 "any(object == ball and on_left and ahead)", "any(object == key and on_right)",
                 "left_of(object == ball)", "above(object == key, 1)"):
        condition = parse(f"avoid {text}", upright).statement.condition  # type: ignore[union-attr]
        assert bool(truth(condition, Rows(upright, state))), text


@pytest.mark.parametrize(("text", "message"), [
    ("avoid ahead", "7: 'ahead' names cells; write any(ahead and ...)"),
    ("avoid agent == key", "7: 'agent' names cells"),
    ("avoid any(ahead' and object == key)", "11: the next state's ahead' in `avoid`"),
    ("avoid any(object == key and next_to(object == bal))", "47: unknown value 'bal'; did you mean 'ball'?"),
    ("avoid any(next_to(x > 1))", "11: next_to(...) names no array"),
    ("avoid any(left_of(object == key, 0) and hot)", "34: left_of(...) within 0 steps; give a whole number from 1"),
    ("avoid any(next_to(object == key, 2) and hot)", "32: unexpected ','"),
    ("avoid any(left_off(object == key))", "11: unknown function 'left_off'; did you mean 'left_of'?"),
    ("expect any(object' == key and next_to(object' == ball))", "'next_to(object' == ball)' in an effect"),
    ("expect any(object' == key and ahead')", "'ahead'' in an effect is not supported"),
])
def test_mistakes_about_relations(text: str, message: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse(text, BOARD)
    assert message in "\n".join(f"{e.column}: {e.message}" for e in caught.value.errors)


def test_what_a_world_does_not_tell_cannot_be_asked(plant_schema: Schema) -> None:
    assert BOARD.grid is not None
    walker = replace(BOARD, grid=replace(BOARD.grid, heading=None))
    assert parse("avoid any(object == key and left_of(agent))", walker)
    for text, schema, message in (
        ("avoid any(object == key and on_left)", walker, "does not say where the agent looks"),
        ("avoid any(object == key and agent)", replace(BOARD, grid=None), "does not say where the agent stands"),
        ("avoid next_to(object == key)", replace(BOARD, grid=None), "does not say where the agent stands"),
        ("avoid any(above(levels > 1))", plant_schema, "over cells in one row"),
    ):
        with pytest.raises(RuleError, match=message):
            parse(text, schema)
    assert parse("avoid any(left_of(levels > 1) and levels < 0)", plant_schema)


def test_a_feature_of_that_name_means_itself() -> None:
    own = replace(BOARD, features=(*BOARD.features, Feature("ahead", "boolean", (W, H)), Feature("above", "boolean")))
    rule = parse("avoid any(ahead and object == key) and above", own)
    assert not any(isinstance(n, s.Side | s.Relation) for n in s.walk(rule))
    assert parse(to_text(rule), own) == rule


@pytest.mark.parametrize(("text", "words"), [
    ("avoid any(object == ball and next_to(object == key))",
     "there is a cell with (its object is ball and it is next to a cell with (its object is key))"),
    ("avoid any(object == ball and on_left)", "a cell with (its object is ball and it is to your left)"),
    ("avoid left_of(object == key, 2)",
     "you are at most 2 steps left of a cell with (its object is key) in the same row"),
])
def test_in_words(text: str, words: str) -> None:
    assert words in to_words(parse(text, BOARD), BOARD)
