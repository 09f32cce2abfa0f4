"""`gedanken act` drawn: what is beside the board, videos, and what is said where something is missing."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

Run = Callable[..., Any]
PLAY = ("--episodes", 1, "--steps", 3, "--budget", 60)


def test_the_terminal_shows_plan_rules_and_what_was_expected(run: Path) -> None:
    from gedanken.commands.live import view
    from gedanken.commands.scene import Watcher
    from gedanken.commands.worlds import config, load_agent

    agent, watcher, seen = load_agent(run, None, llm=None, config=config(60)), Watcher(), []
    agent.tell("achieve carrying_object == key then front_state == open")

    def frame(agent: Any) -> None:
        console = Console(width=120, record=True, file=io.StringIO())
        console.print(view(watcher.look(agent)))
        seen.append(console.export_text())

    agent.run(1, seeds=[5], max_steps=2, frame=frame)
    agent.close()
    assert len(seen) == 3
    assert "episode 1, step 0" in seen[0]
    assert "nothing yet" in seen[0]
    assert "as it came" in seen[1] or "->" in seen[1]
    for text in seen:
        assert "active rules" in text
        assert "· carrying_object == key" in text
        assert "Dl door, locked" in text


def test_the_path_is_marked_on_blank_cells(run: Path) -> None:
    import numpy as np

    from gedanken.commands.drawing import board_text
    from gedanken.world.schema import Feature, Grid, Schema

    cells = Feature("object", "category", (3, 2), values=("empty", "wall"))
    pose = (Feature("x", "integer", low=0, high=2), Feature("y", "integer", low=0, high=1))
    schema = Schema("tiny", (cells, *pose), (Feature("action", "category", values=("go",)),),
                    lambda o, e: o, lambda a: a, grid=Grid(("object",), "x", "y"))
    row = {"object": np.zeros((3, 2), np.int16), "x": np.array(0), "y": np.array(0)}
    assert board_text(schema, row, [(0, 0), (1, 0), (1, 1)]).plain == "@ • · \n· • · "


@pytest.mark.parametrize(("suffix", "magic"), [(".gif", b"GIF8"), (".mp4", b"ftyp")])
def test_a_video_is_written_whole(gedanken: Run, saved: Path, tmp_path: Path, suffix: str, magic: bytes) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("imageio_ffmpeg" if suffix == ".mp4" else "PIL")
    video = tmp_path / "films" / f"one{suffix}"
    result = gedanken("act", saved, *PLAY, "--video", video)
    assert result.exit_code == 0, result.output
    assert magic in video.read_bytes()[:12]
    assert [path.name for path in video.parent.iterdir()] == [video.name]
    if suffix == ".gif":
        from PIL import Image

        with Image.open(video) as film:
            assert film.n_frames == 4
            film.seek(1)
            assert len(film.convert("RGB").getcolors(100_000) or []) > 10


def test_ctrl_c_keeps_what_was_recorded(
    gedanken: Run, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("PIL")
    from gedanken.agent.agent import Agent

    step, done = Agent.interact, []

    def interrupted(agent: Agent, native: Any) -> Any:
        done.append(native)
        if len(done) == 3:
            raise KeyboardInterrupt
        return step(agent, native)

    monkeypatch.setattr(Agent, "interact", interrupted)
    video = tmp_path / "one.gif"
    assert gedanken("act", saved, *PLAY, "--video", video).exit_code == 1
    assert video.read_bytes().startswith(b"GIF8")


def test_what_cannot_be_drawn_is_told_before_anything_starts(
    gedanken: Run, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = gedanken("act", saved, "--video", tmp_path / "one.avi")
    assert wrong.exit_code == 2
    assert "ends in .gif or .mp4" in wrong.stderr
    from gedanken.commands import video

    monkeypatch.setattr(video, "find_spec", lambda name: None if name == "imageio_ffmpeg" else object())
    missing = gedanken("act", saved, "--video", tmp_path / "one.mp4")
    assert missing.exit_code == 2
    assert 'pip install "gedanken[video]"' in missing.stderr


def test_a_world_without_a_window_says_so(gedanken: Run, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from minigrid.envs import DoorKeyEnv

    monkeypatch.setattr(DoorKeyEnv, "metadata", {"render_modes": ["rgb_array"]})
    result = gedanken("act", saved, "--render", "window")
    assert result.exit_code == 2
    assert "opens no window (it renders rgb_array)" in result.stderr
