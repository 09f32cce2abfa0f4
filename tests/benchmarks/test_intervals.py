"""Intervals against values worked out elsewhere, and how often they hold; the table and the figures that show them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from common import Figures, table
from intervals import interval, paired, share


def test_a_share_has_wilsons_interval() -> None:
    # Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29
    for successes, n, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611),
                                    (1, 29, 0.0061, 0.1718)):
        found = share(successes, n)
        assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_truth_values_are_a_share_and_numbers_a_mean() -> None:
    assert interval([True, False, True]) == share(2, 3)
    found = interval([1.0, 2.0, 3.0, 4.0])  # 2.5 +- 3.182 * 1.291 / 2
    assert (found.value, found.low, found.high) == pytest.approx((2.5, 0.4457, 4.5543), abs=1e-4)


@pytest.mark.parametrize(("method", "least"), [("t", 0.92), ("bootstrap", 0.88)])
def test_a_mean_is_in_its_interval_about_as_often_as_said(method: str, least: float) -> None:
    rng = np.random.default_rng(0)
    found = [interval(rng.normal(1, 2, 20), method=method) for _ in range(60)]
    assert least <= np.mean([f.low <= 1 <= f.high for f in found]) <= 1


def test_too_few_values_have_no_interval() -> None:
    assert math.isnan(interval([1.0]).low)
    assert math.isnan(interval([]).value)
    assert str(interval([])) == "-"
    assert interval([2.0, 2.0, 2.0]).high == 2


def test_pairing_takes_out_what_seeds_share() -> None:
    seeds = np.random.default_rng(1).normal(0, 10, 30)
    theirs = dict(enumerate(seeds))
    ours = {k: v + 1 + 0.1 * (k % 2) for k, v in theirs.items()} | {99: 1_000.0}
    found = paired(ours, theirs)
    assert found.n == 30
    assert 1 < found.low < 1.05 < found.high < 1.1
    assert interval(list(ours.values())[:30]).low < interval(seeds).high  # unpaired, they overlap


def test_figures_write_the_interval_beside_the_spread(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = Figures()
    figures.add("solved", [True] * 9 + [False], "share")
    figures.add("steps", [4.0], "steps")
    figures.write(tmp_path / "figures.json")
    rows = json.loads((tmp_path / "figures.json").read_text())["figures"]
    assert rows["solved"]["value"] == 0.9
    assert rows["solved"]["interval"] == [0.5958, 0.9821]
    assert rows["steps"]["interval"] is None


def test_a_table_is_markdown() -> None:
    rows = [{"level": "GoToObj", "ours": share(9, 10), "s": 0.12345}, {"level": "a|b", "steps": None}]
    lines = table(rows).splitlines()
    assert [line.count("|") for line in lines] == [5, 5, 5, 6]
    assert set(lines[1]) == {"|", "-", " "}
    assert "0.9 (0.596 to 0.982)" in lines[2]
    assert "0.123" in lines[2]
