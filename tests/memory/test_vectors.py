"""Vectors: exact search over what any process wrote, in named sets of one size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gedanken.errors import GedankenError, UserError
from gedanken.memory import LongTerm, Vectors

from .conftest import LAYOUT


def made(n: int, seed: int = 0, size: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, size)).astype(np.float32)


def test_the_nearest_are_found_exactly_and_in_order(memory: LongTerm) -> None:
    rows, query = made(500), made(1, 1)[0]
    vectors = Vectors(memory.database, "text:a")
    vectors.put(range(1000, 1500), rows)
    found, similarity = vectors.search(query, 10)
    cosine = rows @ query / np.linalg.norm(rows, axis=1) / np.linalg.norm(query)
    assert found.tolist() == (1000 + np.argsort(-cosine)[:10]).tolist()
    assert similarity == pytest.approx(np.sort(cosine)[::-1][:10], abs=1e-5)


@pytest.mark.parametrize("share", [0.01, 0.5])
def test_a_mask_is_kept_before_ranking(memory: LongTerm, share: float) -> None:
    vectors = Vectors(memory.database, "text:a")
    vectors.put(range(1000), made(1000))
    vectors.refresh()
    allowed = np.random.default_rng(2).random(1000) < share
    found, _ = vectors.search(made(1, 1)[0], 1000, allowed)
    assert sorted(found.tolist()) == np.flatnonzero(allowed).tolist()


def test_by_distance(memory: LongTerm) -> None:
    vectors = Vectors(memory.database, "state:a", metric="euclidean")
    vectors.put([7, 8, 9], np.array([[0, 0], [3, 4], [30, 40]], np.float32))
    found, near = vectors.search(np.array([0, 0]), 2)
    assert found.tolist() == [7, 8]
    assert near == pytest.approx([0, -5])


def test_what_others_write_replace_and_delete_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    with LongTerm(path, LAYOUT) as one, LongTerm(path, LAYOUT) as two:
        mine, theirs, other = Vectors(one.database, "a"), Vectors(two.database, "a"), Vectors(two.database, "b")
        query = np.array([1.0, 0.0])
        assert mine.search(query, 3)[0].tolist() == []
        theirs.put([1, 2], np.array([[0, 1], [1, 1]]))
        other.put([1], np.ones((1, 5)))  # another set has its own items and its own size
        assert mine.search(query, 3)[0].tolist() == [2, 1]
        theirs.put([1, 3], np.array([[1, 0], [-1, 0]]))
        assert mine.search(query, 3)[0].tolist() == [1, 2, 3]
        assert mine.rows(np.array([3, 99, 1])).tolist() == [2, -1, 0]
        theirs.remove([2])
        assert mine.search(query, 3)[0].tolist() == [1, 3]
        assert not mine.refresh()


def test_vectors_grow_and_come_back(tmp_path: Path) -> None:
    rows = made(3_000)
    with LongTerm(tmp_path / "m.sqlite", LAYOUT) as memory:
        vectors = Vectors(memory.database, "a", metric="euclidean")
        for start in range(0, 3_000, 250):
            vectors.put(range(start, start + 250), rows[start : start + 250])
            vectors.refresh()
        assert np.array_equal(vectors.matrix, rows)
    with LongTerm(tmp_path / "m.sqlite", LAYOUT) as memory:
        vectors = Vectors(memory.database, "a", metric="euclidean")
        vectors.refresh()
        assert np.array_equal(vectors.matrix, rows)
        assert np.array_equal(vectors.items, np.arange(3_000))


def test_what_does_not_fit_is_refused(memory: LongTerm) -> None:
    vectors = Vectors(memory.database, "a")
    vectors.put([1], np.ones((1, 3)))
    with pytest.raises(GedankenError, match="different names"):
        vectors.put([2], np.ones((1, 4)))
    with pytest.raises(GedankenError, match="different names"):
        vectors.search(np.ones(4), 1)
    for bad in (np.full((1, 3), np.nan), np.ones((2, 3)), np.ones(3)):
        with pytest.raises(UserError, match="finite numbers"):
            vectors.put([2], bad)
    assert len(vectors) == 1
