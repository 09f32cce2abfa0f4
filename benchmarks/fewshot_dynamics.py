"""Few examples of a world never trained in: how often the goal is reached after 0, 5, 10 and 20 of them.

    python benchmarks/fewshot_dynamics.py [--quick] [--seed N] [--json PATH]

The examples are random transitions, or shown as a person would (`small_worlds.py`). The same agent acts with the rules
read from them and without, on as many transitions: "none" (rules alone), "miner" (rules alone, by the miner), "trained"
(the world model that "auto" takes, trained on these transitions, rules or no). The kiln is held out.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Literal

import numpy as np
from common import Figures, options
from small_worlds import Corridor, Kiln, Small, Tank, Workshop

from gedanken import Agent
from gedanken.agent.config import AgentConfig
from gedanken.agent.fewshot import FewShotDynamics
from gedanken.agent.planning.plan import Budget
from gedanken.memory.experience.record import Step, Transitions
from gedanken.world.training import TrainingConfig

Way = Literal["none", "rules", "miner", "trained", "trained + rules"]
Choice = Literal["random", "shown"]
STEPS = 8
CONFIG = AgentConfig(budget=Budget(transitions=2_000), layout_steps=5, episode_steps=STEPS,
                     training=TrainingConfig(steps=150, min_steps=150, check_every=50))


def shown(world: Small, count: int, seed: int) -> Iterator[Step]:
    """The first `count` demonstrations of a world, each from a beginning of its own."""
    schema = world.schema
    for k, (fixed, action) in enumerate(world.shown[:count]):
        world.reset(seed=1_000 * seed + k)
        before = world.state | fixed
        code = schema.actions[0].values.index(action) if isinstance(action, str) else action
        features = (schema.perceive(s, world) for s in (before, world.change(dict(before), code)))
        now, after = ({n: np.asarray(v) for n, v in f.items()} for f in features)
        yield Step(now, np.array([code], np.float32), 0.0, False, False, after)


def live(agent: Agent, world: Small, choice: Choice, count: int, seed: int) -> Transitions:
    """Put `count` transitions into memory and return them."""
    if choice == "random":
        agent.learn(steps=count, train=False)
    else:
        for step in shown(world, count, seed):
            episode = agent.mind.memory.begin("demonstration", seed)
            agent.mind.memory.append(episode, step)
            agent.mind.memory.end(episode)
    return agent.mind.memory.transitions().take(slice(0, count))


def reached(kind: type[Small], choice: Choice, count: int, way: Way, seed: int, episodes: int) -> float:
    """The share of episodes that reach the goal, after so many examples."""
    model = "auto" if way.startswith("trained") else "none"
    agent = Agent(kind(), llm=None, model=model, config=CONFIG, seed=seed)
    try:
        seen = live(agent, kind(), choice, count, seed) if count else None
        if way.startswith("trained"):
            agent.train()
        if way == "miner":
            agent.propose()
        elif way.endswith("rules") and seen is not None:
            FewShotDynamics.of(seen, agent.schema).teach(agent)
        agent.tell(kind.goal)
        return agent.run(episodes=episodes, max_steps=STEPS, seed=1_000 + 100 * seed, unseen=False).solved / episodes
    finally:
        agent.close()


def main() -> None:
    """Print a row for each world, choice, number of examples and way."""
    warnings.filterwarnings("ignore")
    chosen = options(__doc__ or "", worlds=(str, "workshop,corridor,tank,kiln", "which worlds"),
                     ways=(str, "rules,miner,trained,trained + rules", "which ways"))
    figures, episodes = Figures(), 3 if chosen.quick else 5
    ways: list[Way] = ["rules", "miner"] if chosen.quick else chosen.ways.split(",")
    for kind in (w for w in (Workshop, Corridor, Tank, Kiln) if w.schema.name in chosen.worlds):
        arms: list[tuple[Choice, int, Way]] = [("random", 0, "none")]
        arms += [(choice, count, way) for choice in ("random", "shown") for way in ways
                 for count in ((5, 20) if way.startswith("trained") else (5, 10, 20))]
        for choice, count, way in arms:
            seeds = 2 if chosen.quick else 3 if way.startswith("trained") else 5
            shares = [reached(kind, choice, count, way, chosen.seed + k, episodes) for k in range(seeds)]
            figures.add(f"{kind.schema.name}: {count} {choice}, {way}", shares, "share")
    figures.write(chosen.json)


if __name__ == "__main__":
    main()
