"""Fingerprints: equal rows, and only equal rows, have equal hashes."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gedanken.world.fingerprint import fingerprint

torch.set_num_threads(1)
quick = settings(max_examples=50, deadline=None, derandomize=True)


def rows(seed: int, n: int = 8) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(seed)
    return {
        "cells": torch.randint(5, (n, 3, 4), generator=g).to(torch.int16),
        "count": torch.randint(-1000, 1000, (n,), generator=g).to(torch.int32),
        "lit": torch.rand(n, generator=g) < 0.5,
        "heat": torch.randn(n, generator=g) * 100,
    }


@quick
@given(st.integers(0, 1000))
def test_equal_rows_have_equal_hashes_wherever_they_stand(seed: int) -> None:
    batch = rows(seed)
    order = torch.randperm(8, generator=torch.Generator().manual_seed(seed))
    keys = fingerprint(batch)
    assert keys.shape == (8,)
    assert keys.dtype == torch.int64
    assert torch.equal(fingerprint({k: v[order] for k, v in batch.items()}), keys[order])
    assert torch.equal(torch.cat([fingerprint({k: v[i:i + 1] for k, v in batch.items()}) for i in range(8)]), keys)


@quick
@given(st.integers(0, 1000), st.integers(0, 7), st.integers(0, 2), st.integers(0, 3))
def test_any_single_change_changes_the_hash_of_that_row_only(seed: int, i: int, x: int, y: int) -> None:
    batch = rows(seed)
    keys = fingerprint(batch)
    for name in batch:
        other = {k: v.clone() for k, v in batch.items()}
        place = (i, x, y) if name == "cells" else (i,)
        other[name][place] = not other[name][place] if name == "lit" else other[name][place] + 1
        assert (fingerprint(other) != keys).nonzero().flatten().tolist() == [i]


def test_all_states_of_a_small_world_differ() -> None:
    cells = torch.cartesian_prod(*[torch.arange(4)] * 8).to(torch.int16)
    assert len(fingerprint({"cells": cells}).unique()) == 4**8


def test_swapping_two_values_changes_the_hash() -> None:
    a = torch.tensor([[1, 2], [2, 1]], dtype=torch.int32)
    x, y = fingerprint({"x": a[:, 0], "y": a[:, 1]}).tolist()
    assert x != y


def test_extra_columns_count() -> None:
    batch = rows(0, 1)
    keys = {fingerprint(batch, torch.tensor([k])).item() for k in range(5)} | {fingerprint(batch).item()}
    assert len(keys) == 6


def test_real_numbers_are_compared_to_four_decimals_however_large() -> None:
    def key(value: float) -> int:
        return int(fingerprint({"heat": torch.tensor([value])}))

    assert key(0.50001) == key(0.50002)
    assert key(0.0) == key(-0.0)
    assert len({key(v) for v in (0.5, 0.5001, 3e5, 4e5, -3e5, 1e9, float("inf"))}) == 7


def test_an_expanded_row_is_hashed_as_its_copy() -> None:
    value = torch.tensor(7, dtype=torch.int16)
    assert torch.equal(fingerprint({"x": value.expand(1)}), fingerprint({"x": value.expand(1).clone()}))
    assert torch.equal(fingerprint({"x": value.expand(3)}), fingerprint({"x": value.repeat(3)}))
