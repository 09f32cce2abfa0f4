"""A schema as a JSON file: read whole, every mistake named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gedanken.errors import UserError
from gedanken.world.rules.parse import parse
from gedanken.world.schema_file import read_schema, schema_from

LIFT: dict[str, Any] = {
    "name": "lift",
    "about": "a lift in an office tower",
    "features": [
        {"name": "door", "kind": "category", "values": {"open": "people may enter", "shut": ""}},
        {"name": "load", "low": 0, "high": 900, "unit": "kg", "description": "weight in the cabin"},
        {"name": "lamp", "kind": "boolean", "shape": [3]},
    ],
    "actions": [{"name": "action", "kind": "category", "values": ["up", "down"]}],
}


def test_a_file_becomes_a_schema_that_types_rules(tmp_path: Path) -> None:
    file = tmp_path / "lift.json"
    file.write_text(json.dumps(LIFT))
    schema = read_schema(file)
    assert schema.base["door"].values == ("open", "shut")
    assert schema.base["door"].glosses == ("people may enter", "")
    assert schema.base["lamp"].shape == (3,)
    assert parse("forbid up if door == open and load > 500", schema)


@pytest.mark.parametrize(("change", "expected"), [
    ({"features": []}, "features"),
    ({"features": [{"kind": "real"}]}, r"features\.0\.name"),
    ({"features": [{"name": "x", "kind": "string"}]}, r"features\.0\.kind"),
    ({"features": [{"name": "x", "colour": "red"}]}, r"features\.0\.colour"),
    ({"features": [{"name": "x", "kind": "category"}]}, "lists no values"),
    ({"features": [{"name": "x y"}]}, "is not a name"),
])
def test_what_is_wrong_is_said(change: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        schema_from({**LIFT, **change}, "lift.json")


def test_a_file_that_is_not_there_or_not_json_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no file"):
        read_schema(tmp_path / "none.json")
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    with pytest.raises(UserError, match="not a JSON file"):
        read_schema(broken)
