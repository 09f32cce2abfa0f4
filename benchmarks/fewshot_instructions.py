"""Goals by demonstration: how often they are read as they were meant, and reached in layouts never seen.

    python benchmarks/fewshot_instructions.py [--quick] [--seed N] [--json PATH]

An expert plans on the simulator with the true goal, after up to five random steps; the seed changes layouts, random
steps and the pupil's random experience. "first" and "among three" are readings with the very text of the true goal;
"reached" is whether the *true* goal holds after the pupil pursued its first reading.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from common import Figures, options
from gymnasium import spaces
from small_worlds import Corridor, Small, State, Workshop, small

from gedanken import Agent, Feature, Schema
from gedanken.agent.config import AgentConfig
from gedanken.agent.fewshot import goals_of
from gedanken.agent.planning.plan import Budget
from gedanken.errors import UserError
from gedanken.memory.experience.record import Transitions
from gedanken.world.rules.codes import Rows
from gedanken.world.rules.evaluate import truth
from gedanken.world.rules.parse import parse
from gedanken.world.rules.syntax import Achieve
from gedanken.world.rules.text import to_text

COUNTS = (1, 2, 3, 5)
RANDOM_STEPS = 5


class Errand(Small):
    """Four places, each a step from any other."""

    places = ("home", "well", "wood", "field")
    schema = small("errand", (Feature("place", "category", values=places), Feature("sunny", "boolean")),
                   Feature("action", "category", values=("go_home", "go_well", "go_wood", "go_field")))
    action_space = spaces.Discrete(4)

    def begin(self) -> State:
        return {"place": str(self.np_random.choice(["wood", "field"])), "sunny": bool(self.np_random.integers(2))}

    def change(self, s: State, action: Any) -> State:
        return {"place": self.places[int(action)], "sunny": bool(self.np_random.random() < 0.7) == s["sunny"]}


@dataclass(frozen=True)
class Task:
    name: str
    make: Callable[[], gymnasium.Env]
    goal: str
    steps: int = 40


def grid(id: str) -> Callable[[], gymnasium.Env]:
    return lambda: gymnasium.make(id)


TASKS = (
    Task("pick up the key", grid("MiniGrid-DoorKey-5x5-v0"), "achieve carrying_object == key"),
    Task("open the door", grid("MiniGrid-DoorKey-5x5-v0"), "achieve front_state == open"),
    Task("reach the goal", grid("MiniGrid-DoorKey-5x5-v0"), "achieve object[agent_x, agent_y] == goal"),
    Task("fetch a ball", grid("MiniGrid-Fetch-5x5-N2-v0"), "achieve carrying_object == ball"),
    Task("fetch what is blue", grid("MiniGrid-Fetch-5x5-N2-v0"), "achieve carrying_color == blue"),
    Task("workshop: open the door", Workshop, "achieve door == open", 12),
    Task("corridor: ring the bell", Corridor, "achieve bell", 12),
    Task("errand: home", Errand, "achieve place == home", 8),
    Task("errand: the well, then home", Errand, "achieve place == well then place == home", 8),
)


def agent_of(task: Task, seed: int) -> Agent:
    config = AgentConfig(budget=Budget(transitions=1_000, seconds=2.0), layout_steps=25, episode_steps=25)
    return Agent(task.make(), llm=None, model="simulator", config=config, seed=seed)


def attained(goal: Achieve, schema: Schema, episode: Transitions) -> int | None:
    """After how many steps of the episode the goal is reached, 0 if at its start; None if never."""
    states = {n: np.concatenate([c, episode.next_features[n][-1:]]) for n, c in episode.features.items()}
    rows, passed = Rows(schema, schema.batch(states)), 0
    for milestone in goal.milestones:
        holds = truth(milestone, rows).numpy()[passed:]
        if not holds.any():
            return None
        passed += int(holds.argmax())
    return passed


def demonstration(expert: Agent, task: Task, seed: int) -> Transitions | None:
    """Random steps, then the expert's, up to the goal; None where it is not reached, chance was faster, or the end
    was seen before."""
    env, schema, rng = expert.env, expert.schema, np.random.default_rng(seed)
    observation, _ = env.reset(seed=seed)
    states, actions = [schema.observe(observation, env)], []
    reward, ended, hurried = 0.0, False, int(rng.integers(RANDOM_STEPS + 1))
    while len(actions) < task.steps and not ended:
        if len(actions) == hurried:
            expert.reset(observation)
        if len(actions) < hurried:
            native = int(rng.integers(schema.actions[0].cardinality or 1))
        else:
            native = expert.act(observation, reward)
        observation, reward, terminated, truncated, _ = env.step(native)
        actions.append([native])
        states.append(schema.observe(observation, env))
        ended = terminated or truncated
        episode = transitions(states, actions)
        reached = attained(goal_of(task, schema), schema, episode)
        if reached is not None:
            end = Achieve(milestones=goal_of(task, schema).milestones[-1:])
            return episode if attained(end, schema, episode) == len(actions) > hurried else None
    return None


def transitions(states: list[dict[str, np.ndarray]], actions: list[list[int]]) -> Transitions:
    columns = {name: np.stack([s[name] for s in states]) for name in states[0]}
    n, none = len(actions), np.zeros(len(actions), bool)
    return Transitions({k: v[:-1] for k, v in columns.items()}, np.array(actions, np.int64), np.zeros(n, np.float32),
                       none, none, {k: v[1:] for k, v in columns.items()}, np.zeros(n, np.int64), np.arange(n))


def goal_of(task: Task, schema: Schema) -> Achieve:
    statement = parse(task.goal, schema).statement
    assert isinstance(statement, Achieve)
    return statement


def reached(pupil: Agent, task: Task, goal: str, seeds: list[int]) -> float:
    """The share of unseen layouts in which the true goal holds after the pupil pursued `goal`."""
    told = pupil.tell(goal, source="demonstration")
    count = 0
    for seed in seeds:
        before = {e.id for e in pupil.mind.memory.episodes()}
        pupil.run(episodes=1, seeds=[seed], unseen=False, max_steps=task.steps)
        new = [e.id for e in pupil.mind.memory.episodes() if e.id not in before]
        if new:
            lived = pupil.mind.memory.transitions(episodes=new)
            count += attained(goal_of(task, pupil.schema), pupil.schema, lived) is not None
    for entry in told[0].entries:
        pupil.mind.knowledge.retire(entry.id)
    return count / len(seeds)


def within_reach(expert: Agent, task: Task, first: int, count: int) -> list[int]:
    """The first seeds of layouts in which the expert reaches the goal."""
    found: list[int] = []
    for seed in range(first, first + 10 * count):
        if len(found) < count and expert.run(episodes=1, seeds=[seed], unseen=False, max_steps=task.steps).solved:
            found.append(seed)
    return found


def measured(task: Task, seed: int, counts: tuple[int, ...], unseen: int) -> dict[int, tuple[float, float, float]]:
    """By the number of demonstrations: first, among three, reached."""
    expert, pupil = agent_of(task, seed), agent_of(task, seed)
    out, shares = {}, dict[str, float]()
    try:
        expert.tell(task.goal)
        wanted = to_text(parse(task.goal, pupil.schema))
        shown: list[Transitions] = []
        for k in range(10 * max(counts)):
            if len(shown) < max(counts) and (episode := demonstration(expert, task, 1_000 * (seed + 1) + k)):
                shown.append(episode)
        pupil.learn(steps=300, train=False)
        seen = pupil.mind.memory.transitions()
        layouts = within_reach(expert, task, 500_000 + 1_000 * seed, count=unseen)
        for count in counts:
            try:
                found = [r.text for r in goals_of(shown[:count], pupil.schema, memory=seen).readings]
            except UserError as error:
                print(f"    {task.name}, {count}: {error}", flush=True)
                out[count] = 0.0, 0.0, 0.0
                continue
            if found[0] not in shares:
                shares[found[0]] = reached(pupil, task, found[0], layouts)
            out[count] = float(found[0] == wanted), float(wanted in found[:3]), shares[found[0]]
            print(f"    {task.name}, {count}: {'; '.join(found[:3])}", flush=True)
    finally:
        expert.close()
        pupil.close()
    return out


def main() -> None:
    """Print a row for each kind of world and number of demonstrations, then one for each task."""
    warnings.filterwarnings("ignore")
    import minigrid  # noqa: F401 - registers its environments

    chosen, figures = options(__doc__ or ""), Figures()
    torch.set_num_threads(1)
    counts, layouts, seeds = ((1, 3), 1, 1) if chosen.quick else (COUNTS, 2, 3)
    tasks = TASKS[::4] if chosen.quick else TASKS
    rows = {t.name: [measured(t, chosen.seed + k, counts, layouts) for k in range(seeds)] for t in tasks}
    for count in counts:
        for part, name in enumerate(("first", "among three", "reached")):
            by_seed = [float(np.mean([rows[t.name][k][count][part] for t in tasks])) for k in range(seeds)]
            figures.add(f"{name}, {count} demonstrations", by_seed, "share")
    for task in tasks:
        for part, name in enumerate(("first", "reached")):
            last = [row[counts[-1]][part if part == 0 else 2] for row in rows[task.name]]
            figures.add(f"{task.name}: {name}, {counts[-1]} demonstrations", last, "share")
    figures.write(chosen.json)


if __name__ == "__main__":
    main()
