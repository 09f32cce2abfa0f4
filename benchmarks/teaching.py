"""Rules teach the model: what stays of them when they are dropped, what else changed, and what becomes of a wrong one.

    python benchmarks/teaching.py [--quick] [--seed 0] [--json PATH]

MiniGrid-DoorKey-6x6, 1,000 random interactions, two rules told: a key opens a locked door of its colour, and toggling
it with empty hands does nothing. Two models a seed, trained on the same data, one of them taught as well. Then the
rules are dropped. "Told behaviour" is the share of situations in which a told rule applies and the
bare model predicts what it says: states of layouts that no model saw, with what the rule asks for written into them.
"The rest" is exact one-step accuracy on transitions of such layouts to which no rule applies.

Then a false rule (`expect same if action == pickup`) is taught on 100 interactions; 900 more contradict it, and
training goes on. How much of it is left?
"""

from __future__ import annotations

import gymnasium as gym
import minigrid  # noqa: F401
import torch
from common import Figures, options
from torch import Tensor

import gedanken
from gedanken.agent.config import AgentConfig
from gedanken.memory import Transitions
from gedanken.world.checking.sampling import Sample, conditions
from gedanken.world.model import begin
from gedanken.world.rules.compile import Compiled
from gedanken.world.teaching import TeachingConfig
from gedanken.world.training import exact

ENV, TEST_SEED = "MiniGrid-DoorKey-6x6-v0", 80_000_000
OPENS = ("expect front_state' == open if action == toggle and front_state == locked and carrying_object == key "
         "and carrying_color == front_color")
STAYS = "expect same if action == toggle and front_state == locked and carrying_object == none"
FALSE = "expect same if action == pickup"


def agent_of(seed: int, *, teaching: bool) -> gedanken.Agent:
    config = AgentConfig(teaching=TeachingConfig() if teaching else None)
    return gedanken.Agent(gym.make(ENV), llm=None, seed=seed, config=config)


def unseen(seed: int, steps: int) -> Transitions:
    """Random interactions in layouts of their own."""
    other = gedanken.Agent(gym.make(ENV), llm=None, model="none", seed=TEST_SEED + seed)
    other.learn(steps, train=False)
    return other.mind.memory.transitions()


@torch.no_grad()
def told(agent: gedanken.Agent, rules: Compiled, t: Transitions, seed: int) -> float:
    """The share of situations in which a rule applies and the bare model predicts what it says."""
    rng = torch.Generator().manual_seed(seed)
    sample = Sample(agent.schema, rules.rules, len(t), rng)
    sample.now = agent.schema.batch(t.features)
    turn = torch.randint(len(rules.rules), (len(t),), generator=rng)
    for i, rule in enumerate(rules.rules):
        sample.steer(conditions(rule)[0], True, turn == i, keep=1.0)
    _, bare = agent.mind.learned.step(begin(agent.mind.learned, sample.now), sample.action)
    out = rules.correct(sample.now, sample.action, bare)
    assert out.fired is not None
    applies = out.fired.any(1)
    return float(exact(bare.mode, out.mode)[applies].float().mean())


@torch.no_grad()
def rest(agent: gedanken.Agent, rules: Compiled, t: Transitions, rows: Tensor | None = None) -> float:
    """Exact one-step accuracy of the bare model where no rule applies, or on `rows [N]`."""
    now, after = agent.schema.batch(t.features), agent.schema.batch(t.next_features)
    action = agent.experience.actions(t.action)
    _, bare = agent.mind.learned.step(begin(agent.mind.learned, now), action)
    fired = rules.correct(now, action, bare).fired
    assert fired is not None
    return float(exact(bare.mode, after)[~fired.any(1) if rows is None else rows].float().mean())


def main() -> None:
    args = options(__doc__ or "", seeds=(int, 3, "training seeds"))
    torch.set_num_threads(1)
    figures = Figures()
    steps, probes, training = (300, 300, 60) if args.quick else (1_000, 2_000, None)
    found: dict[str, list[float]] = {}
    for seed in range(args.seed, args.seed + (1 if args.quick else args.seeds)):
        t = unseen(seed, probes)
        for name, teaching in (("not taught", False), ("taught", True)):
            agent = agent_of(seed, teaching=teaching)
            agent.tell(f"{OPENS}\n{STAYS}")
            rules = agent.mind.knowledge.compiled()
            agent.learn(steps, train=False)
            agent.train(steps=training)
            found.setdefault(f"told behaviour, {name}", []).append(told(agent, rules, t, seed))
            found.setdefault(f"the rest, {name}", []).append(rest(agent, rules, t))
        wrong = agent_of(seed, teaching=True)
        wrong.tell(FALSE)
        false_rule = wrong.mind.knowledge.compiled()
        now, after = wrong.schema.batch(t.features), wrong.schema.batch(t.next_features)
        picked = torch.as_tensor(t.action[:, 0] == 3) & ~exact(now, after)  # something was picked up
        for name, more in (("taught on a tenth", steps // 10), ("after the rest contradicted it", steps)):
            wrong.learn(more - len(wrong.mind.memory), train=False)
            wrong.train(steps=training)
            found.setdefault(f"a false rule: pickups predicted, {name}", []).append(
                rest(wrong, false_rule, t, picked))
        found.setdefault("a false rule: still acts at the end, outside its exceptions", []).append(
            float(bool(wrong.mind.knowledge.compiled().rules)))
        print(f"    seed {seed}: " + ", ".join(f"{k} {v[-1]:.3f}" for k, v in found.items()), flush=True)
    for name, values in found.items():
        figures.add(name, values, "share")
    figures.write(args.json)


if __name__ == "__main__":
    main()
