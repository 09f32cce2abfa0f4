"""The journal of a run: what is kept of it, across saves, within its bounds, and after damage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from gedanken import Agent
from gedanken.agent import journal
from gedanken.agent.journal import EPISODES, EVENTS, Journal, read_events, read_films
from gedanken.agent.planning.random_shooting import RandomShooting, RandomShootingConfig


@pytest.fixture
def agent() -> Iterator[Agent]:
    planner = RandomShooting(RandomShootingConfig(horizon=3, samples=8))
    agent = Agent(gymnasium.make("CartPole-v1"), llm=None, model="none", planner=planner)
    yield agent
    agent.close()


def kinds(folder: Path) -> list[str]:
    return [event["event"] for event in read_events(folder)[0]]


def test_what_was_told_and_played_is_there_after_a_save_and_a_load(agent: Agent, tmp_path: Path) -> None:
    agent.tell("end if abs(pole_angle') > 0.2")
    result = agent.run(2, max_steps=5)
    agent.save(tmp_path)
    assert kinds(tmp_path) == ["world", "told", "world", "episode", "episode"]
    again = Agent.load(tmp_path, agent.env, llm=None)
    again.run(1, max_steps=3)
    again.save(tmp_path)
    again.close()
    played = [e for e in read_events(tmp_path)[0] if e["event"] == "episode"]
    assert [e["number"] for e in played] == [0, 1, 2]
    assert [e["total_reward"] for e in played[:2]] == [e.total_reward for e in result.episodes]
    assert [film.event["number"] for _, film in read_films(tmp_path) if film] == [2, 1, 0]


def test_moments_come_back_as_they_were(agent: Agent, tmp_path: Path) -> None:
    seen: list[dict[str, np.ndarray]] = []

    def look(agent: Agent) -> None:
        assert agent.mind.features is not None
        seen.append({k: v[0].numpy() for k, v in agent.mind.features.items()})

    agent.run(1, seeds=[3], max_steps=6, frame=look)
    agent.save(tmp_path)
    [(_, film)] = read_films(tmp_path)
    assert film is not None
    assert len(film.frames) == len(seen) == 7
    for frame, features in zip(film.frames, seen, strict=True):
        assert all(np.array_equal(frame.observed[k], v) for k, v in features.items())
    assert film.frames[0].imagined is None
    assert film.frames[1].imagined is not None
    assert film.frames[0].action == ""
    assert film.frames[1].action in ("left", "right")
    assert film.frames[0].ahead is not None
    assert len(film.frames[0].ahead["pole_angle"]) == 4


def test_an_episode_broken_off_is_noted(agent: Agent, tmp_path: Path) -> None:
    def stop(agent: Agent) -> None:
        if agent.mind.recent.t == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        agent.run(1, max_steps=6, frame=stop)
    agent.save(tmp_path)
    [played] = [e for e in read_events(tmp_path)[0] if e["event"] == "episode"]
    assert played["cut"]
    assert played["steps"] == 2


def test_it_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MOST_BYTES", 4_000)
    book = Journal()
    book.move_to(tmp_path)
    book.add("told", sentence="kept")
    for i in range(200):
        book.add("training", total=i)
    assert (tmp_path / EVENTS).stat().st_size <= 4_000
    events = read_events(tmp_path)[0]
    assert events[0]["sentence"] == "kept"
    assert events[-1]["total"] == 199


def test_only_the_last_episodes_are_kept_moment_by_moment(
    agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "FAILED", 2)
    agent.journal.move_to(tmp_path)
    agent.run(4, max_steps=2)
    assert [path.name[:6] for path, _ in read_films(tmp_path)] == ["000003", "000002"]
    assert len(kinds(tmp_path)) == 5


def test_a_line_left_unfinished_costs_that_line(tmp_path: Path) -> None:
    (tmp_path / EVENTS).write_text('{"event": "told", "sentence": "a"}\n{"event": "trai')
    book = Journal()
    book.move_to(tmp_path)
    book.add("told", sentence="b", share=float("nan"))
    events, damaged = read_events(tmp_path)
    assert [(e["sentence"], e.get("share")) for e in events] == [("a", None), ("b", None)]
    assert damaged == 1
    (tmp_path / EPISODES).mkdir()
    (tmp_path / EPISODES / "000000-failed.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0notjson!")
    assert [film for _, film in read_films(tmp_path)] == [None]


def test_a_folder_that_cannot_be_written_costs_only_the_journal(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    agent.journal.move_to(tmp_path / "file")
    agent.run(1, max_steps=2)
