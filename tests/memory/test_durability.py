"""Several processes: a killed writer loses nothing it acknowledged, a reader sees what a writer commits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from gedanken.memory import LongTerm, Replay

from .conftest import LAYOUT, life

WRITER = """
import sys
import numpy as np
from gedanken.memory import Layout, LongTerm, Step
memory = LongTerm(sys.argv[1], Layout.from_json(sys.argv[2]))
def state(t): return {"grid": np.full((2, 3), 7, np.int16), "speed": np.float32(t)}
episode = memory.begin(source=sys.argv[3])
for t in range(int(sys.argv[4])):
    step = Step(state(t), t % 4, float(t), False, False, state(t + 1))
    memory.append(episode, step) if t % 3 else memory.append_many(episode, [step])
    sys.stdout.write(f"{t}\\n")
    sys.stdout.flush()
"""


def write(path: Path, source: str, steps: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), LAYOUT.to_json(), source, str(steps)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_kill_9_loses_no_acknowledged_transition(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    for attempt in range(1, 3):
        with write(path, f"run {attempt}", 10**9) as writer:
            assert writer.stdout is not None
            acknowledged = [int(writer.stdout.readline()) for _ in range(150 * attempt)]
            writer.kill()
            acknowledged += [int(line) for line in writer.stdout if line.endswith("\n")]
        with LongTerm(path, LAYOUT) as memory:
            found = memory.transitions(episodes=[attempt])
            assert len(found) >= len(acknowledged)
            assert found.t.tolist() == list(range(len(found)))
            assert found.next_features["speed"].tolist() == [t + 1 for t in range(len(found))]
            assert not memory.episodes()[-1].ended


def test_two_processes_write_and_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    with LongTerm(path, LAYOUT) as memory, write(path, "other", 200) as writer:
        replay = Replay(memory)
        mine = memory.begin(source="mine")
        seen = [0]
        for step in life(mine, 100, terminated=False):
            memory.append(mine, step)
            seen.append(len(memory))
            assert len(replay) >= seen[-1]
        assert writer.wait(timeout=30) == 0
        assert seen == sorted(seen)
        assert len(memory) == len(replay) == 300
        assert {e.source: e.length for e in memory.episodes()} == {"mine": 100, "other": 200}


def test_importing_memory_is_light() -> None:
    heavy = (
        "import sys, gedanken.memory; sys.exit(any(m in sys.modules for m in ('torch', 'langchain_core', 'pydantic')))"
    )
    assert subprocess.run([sys.executable, "-c", heavy], check=False).returncode == 0
