"""The journal of a run: what a report tells of, kept beside the agent and bounded in size.

    journal.jsonl    an event a line: the world, what was told, how training went, what every episode came to
    episodes/        the last episodes, a safetensors file each: moments as arrays, what has no shape in the header

Losing it costs a report and nothing else, so a disk that refuses it is logged, never raised. Nothing in it can run
code. It is in RAM until `move_to` gives it a folder; a folder's journal goes on where it ended.
"""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import GedankenError
from ..files import write_bytes, write_text
from ..world import processes
from ..world.rules.words import to_words
from ..world.schema_file import schema_data
from .recording import Frame, Recording, milestones

if TYPE_CHECKING:
    from ..world.knowledge import Told
    from ..world.training import Progress
    from .agent import Agent
    from .results import EpisodeResult

log = logging.getLogger(__name__)
EVENTS, EPISODES = "journal.jsonl", "episodes"
MOST_BYTES = 8_000_000
"""Of events; of moments half as much. What is oldest goes first."""
SOLVED, FAILED = 4, 8
"""So many of the last solved episodes, and of the others, are kept moment by moment."""


@dataclass(frozen=True)
class Film:
    """An episode moment by moment: `event` is what its line in the journal says, `frames` begin `dropped` steps in."""

    event: dict[str, Any]
    frames: tuple[Frame, ...]
    dropped: int = 0


class Journal:
    """What is worth telling of a run."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.number = 0    # of the next episode
        self._events: deque[str] = deque(maxlen=20_000)    # while there is no folder
        self._films: deque[tuple[str, bytes]] = deque(maxlen=SOLVED + FAILED)
        self._held_out = math.nan

    def move_to(self, folder: Path) -> None:
        """Keep the journal in this folder from here on, beginning with what is in RAM, where it has none yet."""
        if self.folder is not None or not processes.state().is_main_process:
            return
        self.folder = folder
        self.number += sum(event.get("event") == "episode" for event in read_events(folder)[0])
        self._write("".join(self._events))
        for name, content in self._films:
            self._put(name, content)
        self._events.clear()
        self._films.clear()

    def add(self, event: str, **what: Any) -> None:
        """Note an event, at the present time."""
        line = json.dumps(_plain({"event": event, "at": round(time.time(), 3), **what}), allow_nan=False) + "\n"
        if self.folder is None:
            self._events.append(line)
        else:
            self._write(line)

    # --- what is noted ------------------------------------------------------------------------------------------------

    def told(self, agent: Agent, told: Sequence[Told], source: str) -> None:
        """What became of every sentence that was told, the refused ones included."""
        self.world(agent)
        schema = agent.mind.knowledge.schema
        for one in told:
            rules = [{"id": e.id, "text": e.text, "words": to_words(e.rule, schema)} for e in one.entries]
            self.add("told", sentence=one.sentence, source=source, fate=one.fate, reason=one.reason, rules=rules,
                     readings=[list(reading) for reading in one.readings], transitions=len(agent.mind.memory))

    def world(self, agent: Agent) -> None:
        """The world it is in, the model and the planner."""
        from .planning.build import planner_name

        env = agent.env.spec.id if agent.env.spec else None
        self.add("world", env=env, seed=agent.seed, schema=schema_data(agent.schema),
                 model=type(agent.mind.learned).__name__, planner=planner_name(agent.planner))

    def training(self, progress: Progress) -> None:
        """How training goes, whenever the held-out loss was measured anew."""
        if progress.held_out != self._held_out and math.isfinite(progress.held_out):
            self._held_out = progress.held_out
            self.add("training", step=progress.step, total=progress.total, losses=progress.losses,
                     held_out=progress.held_out)

    def episode(self, agent: Agent, recording: Recording, result: EpisodeResult | None) -> None:
        """What an episode came to (None: it was broken off), and its moments."""
        mind, number = agent.mind, self.number
        self.number += 1
        came_to = asdict(result) if result else {"solved": False, "steps": mind.recent.t}
        shielded = [{"intended": d.intended, "executed": d.executed, "rule": d.rule} for d in mind.decisions[-50:]]
        setbacks = [asdict(s) for s in agent.setbacks[-50:]]
        event = {"number": number, "cut": result is None, **came_to, "milestones": milestones(agent),
                 "shielded_actions": shielded, "setbacks": setbacks, "transitions": len(mind.memory)}
        self.world(agent) if not number else None
        self.add("episode", **event)
        name = f"{number:06d}-{'solved' if event['solved'] else 'failed'}.safetensors"
        if recording.frames:
            content = _packed(event, recording, {f.name for f in agent.schema.features if not f.is_image})
            if self.folder is None:
                self._films.append((name, content))
            else:
                self._put(name, content)

    # --- the disk -----------------------------------------------------------------------------------------------------

    def _write(self, text: str) -> None:
        if not text or self.folder is None:
            return
        path = self.folder / EVENTS
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with open(path, "a+b") as file:
                if file.tell() and not _ends_a_line(path):
                    file.write(b"\n")    # after a line that a kill left unfinished
                file.write(text.encode())
                size = file.tell()
            if size > MOST_BYTES:
                write_text(path, "".join(_newest(path.read_text(errors="replace").splitlines(keepends=True))))
        except (OSError, GedankenError) as error:
            log.warning("the journal in %s is not kept: %s", self.folder, error)

    def _put(self, name: str, content: bytes) -> None:
        assert self.folder is not None
        folder = self.folder / EPISODES
        try:
            write_bytes(folder / name, content)
            for kind, most in (("solved", SOLVED), ("failed", FAILED)):
                kept, room = 0, MOST_BYTES // 4
                for path in sorted(folder.glob(f"*-{kind}.safetensors"), reverse=True):
                    kept, room = kept + 1, room - path.stat().st_size
                    if kept > most or (kept > 1 and room < 0):
                        path.unlink()
        except (OSError, GedankenError) as error:
            log.warning("the episodes in %s are not kept: %s", folder, error)


def read_events(folder: Path) -> tuple[list[dict[str, Any]], int]:
    """The events of a run, oldest first, and how many lines are damaged."""
    try:
        lines = (folder / EVENTS).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return [], 0
    found = [event for line in lines if line.strip() and (event := _event(line)) is not None]
    return found, sum(bool(line.strip()) for line in lines) - len(found)


def read_films(folder: Path) -> Iterator[tuple[Path, Film | None]]:
    """The episodes that a run kept moment by moment, newest first; None for a damaged one."""
    for path in sorted((folder / EPISODES).glob("*.safetensors"), reverse=True):
        yield path, _unpacked(path)


def _event(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


def _newest(lines: list[str]) -> list[str]:
    """The newer half, and of the older one the world and what was told."""
    half = len(lines) // 2
    return [line for line in lines[:half] if '"event": "told"' in line or '"event": "world"' in line] + lines[half:]


def _ends_a_line(path: Path) -> bool:
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _plain(data: Any) -> Any:
    """Data as strict JSON has it: NaN and infinities are null."""
    if isinstance(data, dict):
        return {str(k): _plain(v) for k, v in data.items()}
    if isinstance(data, list | tuple):
        return [_plain(v) for v in data]
    if isinstance(data, np.generic):
        data = data.item()
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    return data if data is None or isinstance(data, bool | int | str) else str(data)


# --- moments as bytes -------------------------------------------------------------------------------------------------


def _packed(event: dict[str, Any], recording: Recording, names: set[str]) -> bytes:
    """Moments as a safetensors file: `observed.NAME [T, ...]`, `imagined.NAME [T, ...]` (what was observed, where
    nothing was imagined), `ahead.NAME [sum of lengths]` of scalars one after the other; texts in the header."""
    from safetensors.numpy import save

    frames = list(recording.frames)
    arrays: dict[str, np.ndarray] = {}
    for name in (n for n in frames[0].observed if n in names):
        observed = np.stack([f.observed[name] for f in frames])
        arrays[f"observed.{name}"] = observed
        arrays[f"imagined.{name}"] = np.stack([(f.imagined or f.observed)[name] for f in frames]).astype(observed.dtype)
        if observed.ndim == 1 and (futures := [f.ahead[name] for f in frames if f.ahead]):
            arrays[f"ahead.{name}"] = np.concatenate(futures).astype(observed.dtype)
    arrays["is_imagined"] = np.array([f.imagined is not None for f in frames])
    arrays["ahead"] = np.array([len(next(iter(f.ahead.values()))) if f.ahead else 0 for f in frames], np.int32)
    arrays["reward"] = np.array([f.reward for f in frames], np.float32)
    arrays["changed"] = np.array([f.changed for f in frames])
    arrays["surprise"] = np.array([f.surprise for f in frames], np.float32)
    texts = {"event": event, "dropped": recording.dropped, "actions": [f.action for f in frames],
             "fired": [f.fired for f in frames], "shielded": [f.shielded for f in frames]}
    return save({k: np.ascontiguousarray(v) for k, v in arrays.items()}, {"film": json.dumps(_plain(texts))})


def _unpacked(path: Path) -> Film | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            texts = json.loads((file.metadata() or {})["film"])
            arrays = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118 - a safetensors file is no mapping
        names = [k.removeprefix("observed.") for k in arrays if k.startswith("observed.")]
        ends = np.cumsum(arrays["ahead"])
        frames = tuple(
            Frame(
                {k: arrays[f"observed.{k}"][t] for k in names},
                {k: arrays[f"imagined.{k}"][t] for k in names} if arrays["is_imagined"][t] else None,
                str(texts["actions"][t]),
                tuple(map(str, texts["fired"][t])),
                {k.removeprefix("ahead."): arrays[k][end - n : end] for k in arrays if k.startswith("ahead.")}
                if n else None,
                float(arrays["reward"][t]),
                float(arrays["surprise"][t]),
                str(texts["shielded"][t]),
                bool(arrays["changed"][t]),
            )
            for t, (n, end) in enumerate(zip(arrays["ahead"].tolist(), ends.tolist(), strict=True))
        )
        return Film(dict(texts["event"]), frames, int(texts["dropped"]))
    except (SafetensorError, KeyError, IndexError, ValueError, TypeError, OSError):
        return None
