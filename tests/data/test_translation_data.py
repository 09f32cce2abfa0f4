"""The sentences that judge the translator: every rule written beside them parses and checks against its schema.

`translation` is held out (nothing is ever trained or chosen on it); `benchmarks/data/translation_dev` is for choosing
settings. A sentence has its `rules`, the readings that are equally right (`also`), and its `tags`; one that the
language cannot say has no rules, and says `why`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gedanken.world.rules.parse import parse
from gedanken.world.schema import Feature, Schema

HERE = Path(__file__).parent
HELD_OUT = sorted((HERE / "translation").glob("*.json"))
DEV = sorted((HERE.parents[1] / "benchmarks" / "data" / "translation_dev").glob("*.json"))


def read(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data


def feature(described: dict[str, Any]) -> Feature:
    """The feature a file describes; `values` maps each value to what it means, which a feature does not keep."""
    lists = {k: tuple(described[k]) for k in ("shape", "values") if k in described}
    return Feature(**{**described, **lists})


def schema(described: dict[str, Any]) -> Schema:
    features, actions = (tuple(map(feature, described[part])) for part in ("features", "actions"))
    return Schema(described["name"], features, actions, perceive=lambda o, e: {}, act=lambda a: a)


@pytest.mark.parametrize("path", HELD_OUT + DEV, ids=lambda p: p.stem)
def test_every_reading_parses_and_checks(path: Path) -> None:
    data = read(path)
    world = schema(data["schema"])
    assert world.name == path.stem
    for sentence in data["sentences"]:
        for reading in [sentence["rules"], *sentence.get("also", [])]:
            for line in reading:
                parse(line, world)


@pytest.mark.parametrize("path", HELD_OUT + DEV, ids=lambda p: p.stem)
def test_a_sentence_has_a_rule_or_a_reason_why_not(path: Path) -> None:
    for sentence in read(path)["sentences"]:
        assert bool(sentence["rules"]) != bool(sentence.get("why")), sentence["text"]
        assert all(sentence.get("also", [])), sentence["text"]
        assert sentence["tags"], sentence["text"]


def test_200_sentences_over_12_schemas_and_60_over_4_others() -> None:
    held_out, dev = ([s["text"] for path in paths for s in read(path)["sentences"]] for paths in (HELD_OUT, DEV))
    assert (len(HELD_OUT), len(held_out)) == (12, 200)
    assert (len(DEV), len(dev)) == (4, 60)
    assert len({*held_out, *dev}) == 260
    assert not {p.stem for p in HELD_OUT} & {p.stem for p in DEV}
