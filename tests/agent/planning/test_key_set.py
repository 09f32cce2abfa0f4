"""The set of met states against a dictionary."""

from __future__ import annotations

import numpy as np

from gedanken.agent.planning.key_set import KeySet


def test_it_says_of_every_batch_what_a_dictionary_would() -> None:
    rng = np.random.default_rng(0)
    keys, known = KeySet(room=8), dict[int, int]()
    for _ in range(60):
        some, number = rng.integers(-40, 200, 37) * 1024, rng.integers(0, 5, 37)  # many collisions, many repeats
        expected = np.zeros(37, bool)
        for key in set(some.tolist()):
            rows = np.flatnonzero(some == key)
            best = rows[number[rows].argmin()]
            if number[best] < known.get(key, 99):
                expected[best], known[key] = True, int(number[best])
        assert np.array_equal(keys.add(some, number), expected)
    assert len(keys) == len(known)


def test_the_key_that_marks_an_empty_place_is_a_key_too() -> None:
    keys, none = KeySet(), np.zeros(1, np.int64)
    assert keys.add(none, none).tolist() == [True]
    assert keys.add(none, none).tolist() == [False]


def test_no_keys_are_no_trouble() -> None:
    keys = KeySet()
    assert keys.add(np.zeros(0, np.int64), np.zeros(0, np.int64)).shape == (0,)
    assert len(keys) == 0
