"""The parts of the BabyAI table that need no learned agent."""

from __future__ import annotations

import gymnasium as gym
import pytest

pytest.importorskip("minigrid")

from babyai import FAMILIES, MANUAL, Episode, FreePlay, by_bot, every_level, level_rows, make, reset

import gedanken


def test_every_family_is_there_once() -> None:
    def family(level: str) -> object:
        return gym.registry[next(i for i in gym.registry if i.startswith(f"BabyAI-{level}-v"))].entry_point

    assert len(every_level()) >= 96
    assert sorted(map(str, map(family, FAMILIES))) == sorted({str(family(level)) for level in every_level()})


def test_the_manual_has_at_most_fifteen_sentences_and_is_understood_whole() -> None:
    lines = [line for line in MANUAL.read_text().splitlines() if line.strip() and not line.startswith("#")]
    assert sum(not line.startswith(" ") for line in lines) <= 15
    assert all(line.endswith(".") for line in lines if not line.startswith(" "))
    agent = gedanken.Agent(make("MiniBossLevel"), llm=None)
    agent.tell(MANUAL.read_text(), source="manual")
    assert len(agent.rules) == sum(line.startswith(" ") for line in lines)


def test_the_bot_is_the_same_on_the_same_seed_and_is_broken_off_where_it_hangs() -> None:
    row = by_bot(Episode("bot", "GoToLocal", 9_000_000))
    assert row["solved"]
    assert row == by_bot(Episode("bot", "GoToLocal", 9_000_000))
    stuck = by_bot(Episode("bot", "UnlockToUnlock", 9_000_000))
    assert not stuck["solved"]
    assert "TimeoutError" in stuck["why"]


def test_free_play_pays_and_ends_nothing() -> None:
    env = FreePlay(make("GoToRedBallNoDists"))
    reset(env, 9_000_000)
    for _ in range(70):
        _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        assert (reward, terminated) == (0.0, False)
        if truncated:
            return
    pytest.fail("an episode was not cut off")


def test_a_level_is_a_line_with_steps_compared_where_both_solved() -> None:
    def row(player: str, seed: int, solved: bool, steps: int) -> dict[str, object]:
        return {"level": "GoTo", "player": player, "seed": seed, "solved": solved, "steps": steps, "seconds": 0.5}

    rows = [row("bot", 1, True, 10), row("bot", 2, True, 20), row("bot", 3, False, 5),
            row("full", 1, True, 8), row("full", 2, False, 99), row("full", 3, True, 3)]
    (line,) = level_rows(rows, ["full"])
    assert line["steps / bot, full"] == 0.8
    assert line["full"].value == pytest.approx(2 / 3)
    assert line["s a decision, full"] == pytest.approx(1.5 / 110)
