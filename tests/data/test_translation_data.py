"""The held-out sentences of the translator: every rule written beside them parses and checks against its schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gedanken.world.rules.parse import parse
from gedanken.world.schema import Feature, Schema

FILES = sorted((Path(__file__).parent / "translation").glob("*.json"))


def feature(described: dict[str, Any]) -> Feature:
    """The feature a file describes; `values` maps each value to what it means, which the schema does not keep."""
    lists = {k: tuple(described[k]) for k in ("shape", "values") if k in described}
    return Feature(**{**described, **lists})


def schema(described: dict[str, Any]) -> Schema:
    features, actions = (tuple(map(feature, described[part])) for part in ("features", "actions"))
    return Schema(described["name"], features, actions, perceive=lambda o, e: {}, act=lambda a: a)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_reading_parses_and_checks(path: Path) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    world = schema(data["schema"])
    assert world.name == path.stem
    for sentence in data["sentences"]:
        for reading in [sentence["rules"], *sentence.get("also", [])]:
            for line in reading:
                parse(line, world)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_sentence_has_a_rule_or_a_reason_why_not(path: Path) -> None:
    for sentence in json.loads(path.read_text(encoding="utf-8"))["sentences"]:
        assert bool(sentence["rules"]) != bool(sentence.get("why")), sentence["text"]
        assert all(sentence.get("also", [])), sentence["text"]
        assert sentence["tags"], sentence["text"]


def test_200_sentences_over_12_schemas() -> None:
    texts = [s["text"] for path in FILES for s in json.loads(path.read_text(encoding="utf-8"))["sentences"]]
    assert len(FILES) == 12
    assert len(texts) == len(set(texts)) == 200
