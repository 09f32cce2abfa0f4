"""Replay: sequences are real experience, held-out layouts stay unseen, a restart goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gedanken.errors import GedankenError, UserError
from gedanken.memory import LongTerm, Replay, Sequences, Step

from .conftest import LAYOUT, life, state

Live = Callable[..., int]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def check(found: Sequences, lengths: dict[int, int]) -> None:
    """Every state, action and reward is what `life` wrote, and no sequence leaves its episode."""
    assert (found.features["grid"] == found.episode[:, None, None, None]).all()
    length = found.mask.shape[1]
    time = found.t[:, None] + np.arange(length + 1)
    end = np.array([lengths[e] for e in found.episode.tolist()])[:, None]
    assert (found.mask == (time[:, :-1] < end)).all()
    assert (found.features["speed"] == np.minimum(time, end)).all()
    assert (found.reward == np.where(found.mask, time[:, :-1], 0)).all()
    assert (found.action == np.minimum(time[:, :-1], end - 1) % 4).all()
    assert (found.terminated == (time[:, :-1] == end - 1)).all()


@pytest.mark.parametrize("strategy", ["uniform", "recent"])
def test_sequences_never_cross_an_episode_and_pad_with_the_last_state(
    memory: LongTerm, live: Live, strategy: str
) -> None:
    lengths = {live(memory, length, group=f"g{length}"): length for length in (1, 3, 9, 20)}
    replay = Replay(memory, holdout=0.3)
    for length in (1, 5, 12):
        for held_out in (False, True):
            found = replay.sample(200, length, rng(), held_out, strategy)  # type: ignore[arg-type]
            assert found.features["grid"].shape == (200, length + 1, 2, 3)
            check(found, lengths)


def test_interleaved_episodes_arrive_while_sampling(memory: LongTerm) -> None:
    episodes = [memory.begin() for _ in range(3)]
    replay = Replay(memory, holdout=0.0)
    for steps in zip(*(life(e, 15) for e in episodes), strict=True):
        for episode, step in zip(episodes, steps, strict=True):
            memory.append(episode, step)
        found = replay.sample(32, 4, rng())
        assert (found.features["grid"] == found.episode[:, None, None, None]).all()
        assert (np.diff(found.features["speed"], axis=1)[found.mask] == 1).all()
    check(replay.sample(300, 6, rng()), dict.fromkeys(episodes, 15))


@pytest.mark.parametrize("seed", range(3))
def test_what_is_drawn_does_not_depend_on_when_it_was_taken_in(memory: LongTerm, seed: int) -> None:
    chance = rng(seed)
    following = Replay(memory, holdout=0.4)
    going = [(e, iter(life(e, int(chance.integers(1, 9))))) for e in [memory.begin() for _ in range(12)]]
    while going:
        at = int(chance.integers(0, min(len(going), int(chance.integers(1, 4)))))
        episode, steps = going[at]
        if (step := next(steps, None)) is None:
            memory.end(going.pop(at)[0])
        else:
            memory.append(episode, step)
        if chance.random() < 0.5:
            len(following)
    fresh = Replay(memory, holdout=0.4)
    for held_out in (False, True):
        for strategy in ("uniform", "recent"):
            one = following.sample(50, 4, rng(1), held_out, strategy)  # type: ignore[arg-type]
            two = fresh.sample(50, 4, rng(1), held_out, strategy)  # type: ignore[arg-type]
            assert np.array_equal(one.features["speed"], two.features["speed"])
            assert np.array_equal(one.features["grid"], two.features["grid"])
            assert np.array_equal(one.mask, two.mask)
    assert np.array_equal(following.transitions().t, fresh.transitions().t)


def test_long_enough_episodes_give_full_sequences_that_reach_every_transition(memory: LongTerm, live: Live) -> None:
    live(memory, 30)
    found = Replay(memory, holdout=0.0).sample(2000, 10, rng())
    assert found.mask.all()
    counts = np.bincount((found.t[:, None] + np.arange(10)).ravel(), minlength=30)
    assert counts.min() > 0.5 * counts.mean()


def test_a_jump_within_an_episode_starts_a_new_run(memory: LongTerm) -> None:
    episode = memory.begin()
    memory.append_many(episode, life(episode, 5, terminated=False))
    memory.append(episode, Step(state(episode, 50), 0, 0.0, False, False, state(episode, 51)))  # moved by hand
    found = Replay(memory, holdout=0.0).sample(300, 4, rng())
    assert (np.diff(found.features["speed"], axis=1)[found.mask] == 1).all()
    assert {0, 50} <= set(found.features["speed"][:, 0].tolist())


def test_recent_sampling_prefers_what_was_written_last(memory: LongTerm, live: Live) -> None:
    ids = [live(memory, 10) for _ in range(50)]
    replay = Replay(memory, holdout=0.0)

    def share(strategy: str) -> float:
        found = replay.sample(4000, 3, rng(), strategy=strategy)  # type: ignore[arg-type]
        return float((found.episode > ids[44]).mean())

    assert share("uniform") == pytest.approx(0.1, abs=0.02)
    assert share("recent") == pytest.approx(0.1 ** (1 / 3), abs=0.03)


def test_held_out_groups_are_whole_unseen_and_never_change_sides(memory: LongTerm, live: Live) -> None:
    replay = Replay(memory, holdout=0.2, seed=3)
    group_of: dict[int, str] = {}
    trained: set[str] = set()
    held: set[str] = set()
    for i in range(120):
        group_of[live(memory, 3, group=f"level {i % 40}")] = f"level {i % 40}"
        trained |= {group_of[e] for e in replay.transitions(held_out=False).episode.tolist()}
        held |= {group_of[e] for e in replay.transitions(held_out=True).episode.tolist()}
        assert held if len(group_of) > 1 else not held
        assert not trained & held
    assert len(replay.transitions(False)) + len(replay.transitions(True)) == len(memory) == len(replay)
    assert 4 <= len(held) <= 14
    again = Replay(memory, holdout=0.2, seed=3)
    assert np.array_equal(again.transitions(True).episode, replay.transitions(True).episode)
    other = Replay(memory, holdout=0.2, seed=4)
    assert not np.array_equal(other.transitions(True).episode, replay.transitions(True).episode)


def test_two_episodes_without_a_group_still_give_held_out_data(memory: LongTerm, live: Live) -> None:
    replay = Replay(memory)
    with pytest.raises(GedankenError, match="no transitions of this world yet"):
        replay.sample(1, 1, rng())
    first, second = live(memory, 2), live(memory, 2)
    assert set(replay.transitions(False).episode.tolist()) == {first}
    assert set(replay.transitions(True).episode.tolist()) == {second}
    with pytest.raises(GedankenError, match="holdout is 0"):
        Replay(memory, holdout=0.0).sample(1, 1, rng(), held_out=True)


def test_wrong_arguments_are_refused(memory: LongTerm) -> None:
    with pytest.raises(UserError, match="holdout is 1"):
        Replay(memory, holdout=1.0)
    with pytest.raises(UserError, match="at least 1"):
        Replay(memory).sample(0, 5, rng())
    with pytest.raises(UserError, match="'uniform', 'recent' or 'surprising'"):
        Replay(memory).sample(1, 5, rng(), strategy="newest")  # type: ignore[arg-type]


def test_a_restart_draws_the_same_sequences_as_no_restart(memory: LongTerm, tmp_path: Path, live: Live) -> None:
    def draw(replay: Replay) -> list[np.ndarray]:
        found = replay.sample(64, 5, rng(7), strategy="recent")
        held = replay.sample(64, 5, rng(8), held_out=True)
        return [found.features["speed"], found.reward, held.features["speed"], held.mask]

    replay = Replay(memory, holdout=0.3)
    for length in (4, 6, 8, 3, 9):
        live(memory, length)
    checkpoint = json.loads(json.dumps(replay.state_dict()))
    memory.snapshot(tmp_path / "checkpoint.sqlite")
    for length in (5, 7, 2):  # lived after the checkpoint; then the process dies, and lives them again
        live(memory, length)
    wanted = draw(replay)
    with LongTerm(tmp_path / "checkpoint.sqlite", LAYOUT) as copy:
        for case in (memory, copy):
            restarted = Replay(case)
            restarted.load_state_dict(checkpoint)
            assert len(restarted) == 30
            for length in (5, 7, 2):
                live(case, length)
            assert all(np.array_equal(a, b) for a, b in zip(draw(restarted), wanted, strict=True))
            later = Replay(case)
            later.load_state_dict(restarted.state_dict())
            assert all(np.array_equal(a, b) for a, b in zip(draw(later), wanted, strict=True))


def test_demonstrations_written_after_a_checkpoint_are_kept(memory: LongTerm, live: Live) -> None:
    replay = Replay(memory)
    live(memory, 4)
    checkpoint = replay.state_dict()
    live(memory, 3)
    live(memory, 5, source="user")
    replay.load_state_dict(checkpoint)
    assert len(replay) == 9
    replay.load_state_dict(checkpoint, exact=False)
    assert len(replay) == 12


@pytest.mark.parametrize("cache_bytes", [0, 1 << 20])
def test_a_checkpoint_in_the_middle_of_a_chunk_cuts_it(memory: LongTerm, cache_bytes: int) -> None:
    first, second = memory.begin(), memory.begin()
    lives = {e: iter(life(e, 200, terminated=False)) for e in (first, second)}

    def live_on(steps: int) -> None:
        for _ in range(steps):
            for episode, steps_left in lives.items():
                memory.append(episode, next(steps_left))

    live_on(10)
    checkpoint = Replay(memory, holdout=0.0).state_dict()
    live_on(30)  # what the agent will live again
    replay = Replay(memory, cache_bytes=cache_bytes)
    replay.load_state_dict(checkpoint)
    assert len(replay) == 20
    live_on(60)
    assert memory.database.rows("SELECT count(*) FROM chunks") == [(2,)]
    for _ in range(2):  # the first chunk of each, the rest staged; then folded
        kept = replay.transitions()
        assert kept.t.tolist() == [*range(10), *range(40, 100)] * 2
        assert (kept.features["speed"] == kept.t).all()
        found = replay.sample(500, 15, rng())
        assert (np.diff(found.features["speed"], axis=1)[found.mask] == 1).all()
        assert not np.isin(found.features["speed"][:, 0], np.arange(10, 40)).any()
        for episode in (first, second):
            memory.end(episode)
    assert len(replay.surprise()) == 140


def test_a_checkpoint_of_another_file_is_refused(memory: LongTerm, live: Live) -> None:
    live(memory, 4)
    checkpoint = Replay(memory).state_dict()
    with LongTerm(None, LAYOUT) as empty, pytest.raises(UserError, match="ends at transition 0"):
        Replay(empty).load_state_dict(checkpoint)
    with pytest.raises(UserError, match="not a replay checkpoint"):
        Replay(memory).load_state_dict({"version": 1})
