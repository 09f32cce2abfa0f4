"""Playing episodes: on layouts never seen, one after the other, and what they came to."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import GedankenError
from .environment import blamed
from .learn import known_layouts
from .results import EpisodeResult, RunResult

if TYPE_CHECKING:
    import gymnasium

    from .agent import Agent

TRIES = 20
"""How many seeds are tried for each episode that is wanted."""


def run(
    agent: Agent,
    episodes: int,
    seed: int | None,
    seeds: Sequence[int] | None,
    unseen: bool,
    max_steps: int | None,
    train: bool,
    watch: Callable[[EpisodeResult], None] | None,
    frame: Callable[[Agent], None] | None,
    instruction: str | Callable[[gymnasium.Env, Any], str] | None = None,
) -> RunResult:
    """See `Agent.run`. Raises `GedankenError` where every layout that was tried is in memory."""
    first = agent.seed + 1_000_000 if seed is None else seed
    known = known_layouts(agent.mind.memory) if unseen and seeds is None else set()
    results: list[EpisodeResult] = []
    for number in seeds if seeds is not None else range(first, first + TRIES * episodes):
        if len(results) >= episodes:
            break
        with blamed(f"at reset(seed={number})"):
            observation, _ = agent.env.reset(seed=int(number))
            agent.reset(observation)
        if agent.layout in known:
            continue
        if instruction is not None:
            agent.instruct(instruction if isinstance(instruction, str) else instruction(agent.env, observation))
        try:
            results.append(_watched(agent, play(agent, int(number), observation, max_steps), frame))
        finally:
            agent.end_episode()
        if train:
            agent.keep_learning()
        if watch:
            watch(results[-1])
    if not results:
        raise GedankenError(f"all of the {TRIES * episodes} layouts tried are in memory; run with unseen=False")
    return RunResult(tuple(results))


def _watched(
    agent: Agent, moments: Generator[bool, None, EpisodeResult], frame: Callable[[Agent], None] | None
) -> EpisodeResult:
    while True:
        try:
            next(moments)
        except StopIteration as end:
            result: EpisodeResult = end.value
            return result
        if frame:
            frame(agent)


def play(
    agent: Agent, seed: int, observation: object, max_steps: int | None
) -> Generator[bool, None, EpisodeResult]:
    """Play the episode that `agent.reset(observation)` began. Yields whenever the agent has looked and decided: whether
    it goes on, that is, whether what it decided is about to be done. Returns what the episode came to."""
    began, layout, mind = time.perf_counter(), agent.layout, agent.mind
    reward, total, terminated, truncated, steps = 0.0, 0.0, False, False, 0
    limit = agent.config.episode_steps if max_steps is None else max_steps
    while True:
        native = agent.step(observation, reward, terminated, truncated)
        goes_on = not (native is None or agent.has_reached_goals() or steps >= limit)
        yield goes_on
        if not goes_on:
            break
        observation, reward, terminated, truncated = agent.interact(native)
        total, steps = total + reward, steps + 1
    return EpisodeResult(
        seed,
        layout,
        total,
        steps,
        _is_solved(agent, total, terminated),
        mind.imagined_steps,
        mind.departures,
        mind.broken,
        len(mind.decisions),
        time.perf_counter() - began,
        mind.conflicts,
    )


def _is_solved(agent: Agent, total: float, terminated: bool) -> bool:
    """Every goal reached; without goals the environment's own threshold; without one, an end that paid."""
    if agent.goals():
        return agent.has_reached_goals()
    threshold = getattr(agent.env.spec, "reward_threshold", None)
    if threshold is not None and agent.schema.grid is None:
        return total >= threshold
    return terminated and total > 0
