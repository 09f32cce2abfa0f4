"""Layouts: what fits goes through unchanged, what does not fit is refused by name."""

from __future__ import annotations

import numpy as np
import pytest

from gedanken.errors import UserError
from gedanken.memory import Column, Layout

LAYOUT = Layout(
    (Column("grid", "int8", (2, 2)), Column("open", "bool"), Column("heat", "float64", (3,))),
    Column("action", "float32", (2,)),
)


def features(**changed: object) -> dict[str, object]:
    return {"grid": np.array([[1, -2], [3, 127]]), "open": True, "heat": [0.1, np.nan, np.inf]} | changed


def test_records_laid_end_to_end_come_back_as_columns() -> None:
    records = b"".join(LAYOUT.pack(features(open=i % 2 == 0), np.array([i, 0.5])) for i in range(5))
    table = np.frombuffer(records, LAYOUT.step_type)
    columns, action = LAYOUT.columns(table), LAYOUT.actions(table)
    assert columns["grid"].shape == (5, 2, 2)
    assert columns["grid"].dtype == np.int8
    assert columns["open"].tolist() == [True, False, True, False, True]
    np.testing.assert_array_equal(columns["heat"][4], [0.1, np.nan, np.inf])
    assert action[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert all(c.flags.writeable and c.flags.c_contiguous for c in [*columns.values(), action])


def test_many_at_once_are_packed_as_one_by_one() -> None:
    heats = [np.array([i, np.nan, 0.0], "float32" if i else "float64") for i in range(4)]
    lived = [features(open=i % 2 == 0, heat=heat) for i, heat in enumerate(heats)]
    actions = [np.array([i, 0.5]) for i in range(4)]
    one_by_one = b"".join(LAYOUT.pack(f, a) for f, a in zip(lived, actions, strict=True))
    assert LAYOUT.stack(lived, actions).tobytes() == one_by_one
    assert len(LAYOUT.stack([], [])) == 0
    with pytest.raises(UserError, match=r"'grid'.*wider type"):
        LAYOUT.stack([features(), features(grid=np.full((2, 2), 300))])
    with pytest.raises(UserError, match="missing"):
        LAYOUT.stack([features(), {}])


def test_a_value_that_does_not_fit_is_refused_by_name() -> None:
    with pytest.raises(UserError, match=r"'grid'.*wider type"):
        LAYOUT.pack(features(grid=np.full((2, 2), 300)), np.zeros(2))
    with pytest.raises(UserError, match=r"'open'.*bool"):
        LAYOUT.pack(features(open=2), np.zeros(2))
    with pytest.raises(UserError, match="'grid'"):
        LAYOUT.pack(features(grid=np.full((2, 2), np.nan)), np.zeros(2))
    with pytest.raises(UserError, match=r"'heat' has shape \(4,\)"):
        LAYOUT.pack(features(heat=np.zeros(4)), np.zeros(2))
    with pytest.raises(UserError, match=r"missing \['grid'\], unknown \['gird'\]"):
        LAYOUT.pack({"gird": 0, "open": 0, "heat": 0}, np.zeros(2))


def test_a_layout_is_the_same_after_json_and_in_any_order() -> None:
    assert Layout.from_json(LAYOUT.to_json()) == LAYOUT
    assert LAYOUT.same(Layout(LAYOUT.features[::-1], LAYOUT.action))
    with pytest.raises(UserError, match="not a memory layout"):
        Layout.from_json('{"features": 3}')


def test_only_sizes_may_differ_between_compatible_layouts() -> None:
    def grid(dtype: str, *shape: int) -> Layout:
        return Layout((Column("grid", dtype, shape),), Column("action", "int64"))

    assert grid("int8", 5, 5).compatible(grid("int8", 8, 8))
    assert not grid("int8", 5, 5).compatible(grid("int8", 5))
    assert not grid("int8", 5, 5).compatible(grid("int16", 5, 5))


def test_a_layout_that_cannot_be_stored_is_refused() -> None:
    with pytest.raises(UserError, match="neither boolean"):
        Column("name", "object")
    with pytest.raises(UserError, match="not a numpy type"):
        Column("name", "flaot32")
    with pytest.raises(UserError, match="more than once"):
        Layout((Column("a", "int8"), Column("a", "int8")), Column("action", "int64"))
