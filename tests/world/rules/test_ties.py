"""Effects that tie several next features together: a model refined by the rule, as written, obeys it."""

from __future__ import annotations

import pytest
import torch

from gedanken.world.model import begin
from gedanken.world.models.persistence import Persistence
from gedanken.world.refine import Refined
from gedanken.world.rules import syntax as s
from gedanken.world.rules.codes import Rows
from gedanken.world.rules.compile import Compiled
from gedanken.world.rules.evaluate import robustness, truth
from gedanken.world.rules.parse import parse
from gedanken.world.rules.text import to_text
from gedanken.world.schema import Feature, Features, Schema

torch.set_num_threads(1)
N = 32
FORWARD = 2


def drawn(features: tuple[Feature, ...], seed: int = 0) -> Features:
    rng = torch.Generator().manual_seed(seed)

    def column(f: Feature) -> torch.Tensor:
        if f.kind == "real":
            low, high = max(f.low, -3.0), min(f.high, 3.0)
            return low + torch.rand(N, *f.shape, generator=rng) * (high - low)
        low = int(max(f.low, 0)) if f.kind == "integer" else 0
        return torch.randint(low, low + (f.cardinality or 5), (N, *f.shape), generator=rng).to(f.dtype)

    return {f.name: column(f) for f in features}


def stepped(schema: Schema, texts: list[str], rng: torch.Generator | None) -> tuple[Rows, Compiled, int]:
    """One step forward of the world that stays as it is, refined by rules: the rows, and how often a rule lost."""
    now = drawn(schema.features)
    rules = Compiled(schema, [parse(text, schema) for text in texts])
    model = Refined(Persistence(schema), rules)
    action = schema.all_actions()[:1].expand(N, -1) * 0 if schema.discrete_actions else torch.zeros(N, 3)
    if schema.discrete_actions:
        action = action + FORWARD
    state, out = model.step(begin(model, now), action, rng)
    after = model.decode(state)
    return Rows(schema, now, action, after), rules, sum(rules.conflicts(out).values())


def claims(rules: Compiled) -> list[s.Expression]:
    said = [rule.statement for rule in rules.rules]
    return [c.effect if isinstance(c, s.Expect) else c.condition for c in said if isinstance(c, s.Expect | s.Always)]


GRID = [
    "expect agent_x' + agent_y' == 5",
    "expect agent_x' == agent_y'",
    "expect agent_x' - agent_x == agent_y - agent_y' if action == forward",
    "expect direction' == up or carrying_object' == key",
    "expect not (lit' and agent_x' > 2)",
    "expect lit' implies battery' < 0.25",
    "expect not lit' implies battery' > 0.75",
    "expect battery' == 0.1 or battery' == agent_x' / 6",
    "expect abs(agent_x' - agent_x) + abs(agent_y' - agent_y) == 1 if action == forward",
    "expect changed(agent_x) or changed(agent_y)",
    "expect lit' == changed(direction)",
    "always 0 < agent_x' <= agent_y' < 6",
    "always not agent_x' == 3",
    "expect any(object' == key)",
    "expect not any(object' == lava)",
    "expect all(object' in {wall, floor})",
    "expect all(object' == wall implies color' == grey)",
    "expect count(object' == key) == count(object == key) + 1",
    "expect count(object' == wall or object' == door) <= 3",
    "expect count(object' == key) == agent_x'",
    "expect object'[1, 1] == object'[2, 2]",
    "expect object'[1, 1] == key or object'[agent_x, agent_y] == ball",
    "expect object'[agent_x', agent_y'] == goal",
    "expect object[agent_x', agent_y'] != object[agent_x, agent_y]",
    "expect front_object' == key or lit'",
]


@pytest.mark.parametrize("text", GRID)
@pytest.mark.parametrize("is_drawn", [False, True])
def test_a_refined_model_obeys_a_tie(text: str, is_drawn: bool, grid_schema: Schema) -> None:
    rng = torch.Generator().manual_seed(0) if is_drawn else None
    rows, rules, lost = stepped(grid_schema, [text], rng)
    assert (robustness(claims(rules)[0], rows) >= -1e-4).all()    # float32 rounds
    assert lost == 0


@pytest.mark.parametrize("text", [
    "expect temperature' + weight' == 12.3",
    "expect velocity' == position' - position",
    "expect temperature' > weight' + 1",
    "expect not temperature' < speed'",
    "expect \"count\"' == 2 * weight' or open'",
    "expect door' == shut implies velocity' == 0",
])
@pytest.mark.parametrize("is_drawn", [False, True])
def test_numbers_are_solved_for(text: str, is_drawn: bool, plant_schema: Schema) -> None:
    rng = torch.Generator().manual_seed(0) if is_drawn else None
    rows, rules, lost = stepped(plant_schema, [text], rng)
    assert (robustness(claims(rules)[0], rows) >= -1e-4).all()    # float32 rounds
    assert lost == 0


def test_ties_hold_together_and_beside_other_rules(grid_schema: Schema) -> None:
    texts = ["expect agent_x' + agent_y' == 5", "expect agent_x' == agent_y' + 1", "expect lit' != lit",
             "always lit' or battery' == 0"]
    rows, rules, lost = stepped(grid_schema, texts, None)
    assert all(truth(claim, rows).all() for claim in claims(rules))
    assert lost == 0
    assert (rows.next["agent_x"] == 3).all()


def test_an_array_is_changed_no_more_than_it_must_be(grid_schema: Schema) -> None:
    rows, _, _ = stepped(grid_schema, ["expect count(object' == key) == count(object == key) - 1"], None)
    assert rows.next is not None
    has_keys = (rows.now["object"] == 5).flatten(1).any(1)
    changed = (rows.next["object"] != rows.now["object"]).flatten(1).sum(1)
    assert (changed == has_keys).all()


def test_a_cell_is_named_by_its_place(grid_schema: Schema) -> None:
    rows, _, lost = stepped(grid_schema, ["expect object'[position of (object == key)] == empty",
                                          "expect color'[(agent_x, agent_y)] == red"], None)
    key = (rows.now["object"] == 5).flatten(1)
    first = key & (key.cumsum(1) == 1)
    expected = rows.now["object"].flatten(1).masked_fill(first, 1)
    assert rows.next is not None
    assert torch.equal(rows.next["object"].flatten(1), expected)
    here = rows.next["color"].flatten(1).gather(1, (rows.now["agent_x"] * 7 + rows.now["agent_y"]).long()[:, None])
    assert (here == 1).all()
    assert lost == 0


@pytest.mark.parametrize("text", [*GRID, "expect object'[position of (object == key)] == empty"])
def test_a_tie_is_printed_as_it_is_read(text: str, grid_schema: Schema) -> None:
    assert to_text(parse(text, grid_schema)) == text


def test_what_was_is_left_as_it_is(plant_schema: Schema) -> None:
    before = drawn(plant_schema.features)
    rows, _, _ = stepped(plant_schema, ["expect velocity' == position' - position"], None)
    assert all(torch.equal(rows.now[k], v) for k, v in before.items())
