"""Several processes: a killed writer loses nothing it acknowledged, a reader sees what a writer commits."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np

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


WORKER = """
import sys
import numpy as np
from gedanken.memory import Layout, LongTerm, Step
memory = LongTerm(sys.argv[1], Layout.from_json(sys.argv[2]))
rng = np.random.default_rng(int(sys.argv[3]))
def state(e, t): return {"grid": np.full((2, 3), e, np.int16), "speed": np.float32(t)}
while True:
    episode, t = memory.begin(source=sys.argv[3]), 0
    for _ in range(int(rng.integers(1, 40))):
        n = int(rng.choice([1, 1, 1, 5, 100]))
        steps = [Step(state(episode, i), i % 4, float(i), False, False, state(episode, i + 1)) for i in range(t, t + n)]
        memory.append(episode, steps[0]) if n == 1 else memory.append_many(episode, steps)
        t += n
        sys.stdout.write(f"{episode} {t}\\n")
        sys.stdout.flush()
    memory.end(episode)
"""


def is_as_lived(memory: LongTerm) -> bool:
    found = memory.transitions()
    is_right = (found.features["speed"] == found.t) & (found.next_features["speed"] == found.t + 1)
    return bool((is_right & (found.features["grid"] == found.episode[:, None, None]).all(axis=(1, 2))).all())


def test_kill_9_at_any_moment_leaves_all_that_was_acknowledged(tmp_path: Path) -> None:
    path, acknowledged = tmp_path / "m.sqlite", dict[int, int]()
    chance = np.random.default_rng(0)
    LongTerm(path, LAYOUT).close()
    for attempt in range(5):
        command = [sys.executable, "-c", WORKER, str(path), LAYOUT.to_json()]
        writers = [
            subprocess.Popen([*command, str(2 * attempt + i)], stdout=subprocess.PIPE, text=True) for i in range(2)
        ]
        begun = [writer.stdout.readline() for writer in writers if writer.stdout]
        time.sleep(float(chance.random()) * 0.3)
        for writer in writers:
            writer.kill()
        for writer, first in zip(writers, begun, strict=True):
            assert writer.stdout is not None
            for line in (first, *writer.stdout):
                if line.endswith("\n"):
                    episode, t = map(int, line.split())
                    acknowledged[episode] = t
            writer.wait()
            writer.stdout.close()
        with LongTerm(path, LAYOUT) as memory:
            lengths = {e.id: e.length for e in memory.episodes()}
            assert all(lengths[episode] >= t for episode, t in acknowledged.items())
            assert sum(lengths.values()) == len(memory) == len(Replay(memory))
            assert is_as_lived(memory)
    assert len(acknowledged) >= 10


def test_a_learner_samples_while_another_process_acts(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    with LongTerm(path, LAYOUT) as memory:
        command = [sys.executable, "-c", WORKER, str(path), LAYOUT.to_json(), "0"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as writer:
            replays = [Replay(memory, holdout=0.0), Replay(memory, holdout=0.0, cache_bytes=0)]
            seen = [0]
            while seen[-1] < 3_000:
                seen.append(len(replays[0]))
                for replay in replays if seen[-1] else ():
                    found = replay.sample(16, 70, np.random.default_rng(seen[-1]), strategy="recent")
                    assert (np.diff(found.features["speed"], axis=1)[found.mask] == 1).all()
                    assert (found.features["grid"] == found.episode[:, None, None, None]).all()
            writer.kill()
        assert seen == sorted(seen)


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
