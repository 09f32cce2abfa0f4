"""The arms of `ablations.py`: agents that lack a part, know more or less, or plan by other means."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import minigrid  # noqa: F401 - registers the environments
from filelock import FileLock

import gedanken
from gedanken.agent.planning.build import PLANNERS
from gedanken.agent.planning.plan import Budget
from gedanken.agent.planning.search import Search
from gedanken.agent.remembered import Failures, Remembered
from gedanken.memory import Step, Transitions
from gedanken.world.around import Around
from gedanken.world.knowledge import KnowledgeBase
from gedanken.world.refine import Refined

WORLDS = {
    "doorkey-6x6": ("MiniGrid-DoorKey-6x6-v0", "doorkey", 5),
    "doorkey-8x8": ("MiniGrid-DoorKey-8x8-v0", "doorkey", 5),
    "unlock-pickup": ("MiniGrid-UnlockPickup-v0", "unlock_pickup", 6),
    "lava-gap": ("MiniGrid-LavaGapS6-v0", "lava_gap", 3),
}
"""name -> (environment, manual, how many of its sentences the hybrid is told)."""
HYBRID = 1_000
LONG = 200
CURVE = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
BUDGET = Budget(transitions=40_000, seconds=10.0)
OFTEN = Budget(transitions=2_000, seconds=1.0)
"""Of planners that plan anew at every step: many times what the search imagines for each."""


@dataclass(frozen=True)
class Job:
    """`episodes` of one arm; `amount` is what its name says it has of (interactions, sentences)."""

    world: str
    arm: str
    amount: int
    seed: int
    episodes: int
    folder: str


Made = tuple[gedanken.Agent, dict[str, Any]]


def arms() -> dict[str, Callable[[Job, Path], Made]]:
    plain: dict[str, Callable[[Job, Path], Made]] = {
        "hybrid": hybrid, "no assimilation": no_assimilation, "no subgoals": no_subgoals,
        "no milestones": no_milestones, "no memory": no_memory,
        "exact simulator": exact_simulator, "rules": rules, "english": english, "proposed": proposed,
        "learned": learned, "shown": shown,
    }
    others = [name for name in ("random", "mcts", "waypoints") if name in PLANNERS]
    return plain | {f"planner {name}": partial(other_planner, planner=name) for name in others}


def other_planner(job: Job, aside: Path, planner: str) -> Made:
    return hybrid(job, aside, planner, budget=BUDGET if planner == "waypoints" else OFTEN)


def hybrid(job: Job, aside: Path, planner: Any = "auto", **more: Any) -> Made:
    """Learned untold, then told the manual."""
    agent = loaded(grown(job, HYBRID, layout_steps=25), job, aside, planner=planner, **more)
    facts = {"interactions": HYBRID, "sentences": told(job), "rarest": rarest(agent, job)}
    agent.tell(manual(job, told(job)), source="manual")
    return agent, facts


def no_assimilation(job: Job, aside: Path) -> Made:
    agent, facts = hybrid(job, aside)
    mind = agent.mind
    inner = agent.recalling.beside(mind.learned, agent.experience, agent.trainer.steps_done if agent.trainer else 0)
    mind.imagining = Remembered(Refined(inner, mind.knowledge.compiled(), assimilate="never"), mind.failures)
    return agent, facts


def no_subgoals(job: Job, aside: Path) -> Made:
    return hybrid(job, aside, planner=Blind())


def no_milestones(job: Job, aside: Path) -> Made:
    return hybrid(job, aside, planner=Blind(Silent))


def no_memory(job: Job, aside: Path) -> Made:
    agent, facts = hybrid(job, aside, neighbours=None)
    agent.mind.failures = Forgetful()
    agent.refresh()
    return agent, facts


def exact_simulator(job: Job, aside: Path) -> Made:
    agent = gedanken.Agent(env(job), llm=None, model="simulator", seed=job.seed, config=config())
    return agent, {"interactions": 0, "sentences": 0}


def rules(job: Job, aside: Path) -> Made:
    agent = gedanken.Agent(env(job), llm=None, model="none", seed=job.seed, config=config())
    if job.amount:
        agent.tell(manual(job, job.amount), source="manual")
    return agent, {"interactions": 0, "sentences": job.amount}


def english(job: Job, aside: Path) -> Made:
    """Learned as the hybrid, then told the sentences without their rule lines: the grammar and the embedded reader
    write them, and nobody is there to be asked what was meant."""
    agent = loaded(grown(job, HYBRID, layout_steps=25), job, aside, llm="local")
    sentences = [part.splitlines()[0] for part in manual(job, told(job)).split("\n\n")]
    understood = agent.tell("\n".join(sentences), source="manual")
    return agent, {"interactions": HYBRID, "sentences": sum(bool(t.entries) for t in understood),
                   "refused": [t.sentence for t in understood if not t.entries]}


def proposed(job: Job, aside: Path) -> Made:
    """Learned as the hybrid, told nothing: the embedded language model and the miner propose, data check."""
    agent = loaded(grown(job, HYBRID, layout_steps=25), job, aside, llm="local")
    return agent, {"interactions": HYBRID, "sentences": 0, "accepted": [e.text for e in agent.propose()]}


def learned(job: Job, aside: Path) -> Made:
    agent = loaded(grown(job, job.amount, LONG), job, aside)
    return agent, {"interactions": job.amount, "sentences": 0, "rarest": rarest(agent, job)}


def shown(job: Job, aside: Path) -> Made:
    agent = loaded(grown(job, job.amount, LONG, is_shown=True), job, aside)
    return agent, {"interactions": job.amount, "sentences": 0, "rarest": rarest(agent, job)}


class Silent(Around):
    """A model that does not say which rules have fired."""

    def step(self, state: Any, action: Any, rng: Any = None) -> Any:
        after, out = self.inner.step(state, action, rng)
        return after, replace(out, fired=None)


class Blind(Search):
    """Best-first search that is given no subgoals, of a model as `seen`."""

    def __init__(self, seen: Callable[[Any], Any] = lambda model: model) -> None:
        super().__init__()
        self.seen = seen

    def plan(self, model: Any, state: Any, objective: Any, *rest: Any) -> Any:
        return super().plan(self.seen(model), state, replace(objective, subgoals=None), *rest)


class Forgetful(Failures):
    """Remembers no step that failed."""

    def add(self, features: Any, action: Any) -> None:
        pass


# --- agents -----------------------------------------------------------------------------------------------------------

def env(job: Job) -> gym.Env:
    return gym.make(WORLDS[job.world][0])


def config(**more: Any) -> gedanken.AgentConfig:
    return gedanken.AgentConfig(**{"budget": BUDGET, **more})


def told(job: Job) -> int:
    return WORLDS[job.world][2]


def manual(job: Job, sentences: int | None = None) -> str:
    """The first sentences of the world's manual, each with its rule lines."""
    text = (Path(__file__).parent / "manuals" / f"{WORLDS[job.world][1]}.txt").read_text()
    paragraphs = [p for p in text.strip().split("\n\n") if not p.startswith("#")]
    return "\n\n".join(paragraphs[:sentences])


def rarest(agent: gedanken.Agent, job: Job) -> int:
    """How often the manual's rule of how the world behaves that applied least did so in memory."""
    aside = KnowledgeBase(agent.schema)
    aside.tell(manual(job, told(job)))
    aside.check(agent.mind.memory.transitions())
    return min(round(e.evidence.support) for e in aside.entries if e.rule.statement.kind == "expect")


def loaded(folder: Path, job: Job, aside: Path, llm: str | None = None, planner: Any = "auto", **more: Any
           ) -> gedanken.Agent:
    """The agent kept in a folder, as a copy: what is lived here is not of the agent that every arm begins as."""
    copy = shutil.copytree(folder, aside / "agent", dirs_exist_ok=True)
    return gedanken.Agent.load(copy, env(job), llm=llm, planner=planner, config=config(**more))


def grown(job: Job, interactions: int, layout_steps: int, is_shown: bool = False) -> Path:
    """The folder of an agent after so many interactions, which live on from the agent of the next shorter curve."""
    name = f"{job.world}-{job.seed}-{layout_steps}{'-shown' * is_shown}"
    folder = Path(job.folder) / f"{name}-{interactions}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if folder.exists():
            return folder
        began, shorter = time.perf_counter(), [n for n in CURVE if n < interactions]
        with tempfile.TemporaryDirectory() as aside:
            if shorter:
                base = grown(job, shorter[-1], layout_steps, is_shown)
                agent = loaded(base, job, Path(aside), layout_steps=layout_steps)
            else:
                agent = gedanken.Agent(env(job), llm=None, seed=job.seed, config=config(layout_steps=layout_steps))
            more = interactions - len(agent.mind.memory)
            if is_shown:
                play_as_hybrid(agent, job, more // 2)
                more -= more // 2
            agent.learn(more)
            agent.save(folder)
            agent.close()
        print(f"    {folder.name}: {time.perf_counter() - began:.0f} s", flush=True)
    return folder


def play_as_hybrid(agent: gedanken.Agent, job: Job, interactions: int) -> None:
    """Let the agent remember what the hybrid of the same seed does in so many interactions."""
    with tempfile.TemporaryDirectory() as aside:
        teacher, _ = hybrid(job, Path(aside), layout_steps=LONG)
        last = max(e.id for e in teacher.mind.memory.episodes())
        teacher.learn(interactions, random=False, train=False)
        for episode in teacher.mind.memory.episodes():
            if episode.id > last:
                lived, memory = teacher.mind.memory.transitions([episode.id]), agent.mind.memory
                own = memory.begin(group=episode.group, seed=episode.seed)
                memory.append_many(own, [_step(lived, k) for k in range(len(lived))])
                memory.end(own)
        teacher.close()


def _step(lived: Transitions, k: int) -> Step:
    now, after = ({name: v[k] for name, v in x.items()} for x in (lived.features, lived.next_features))
    return Step(now, lived.action[k], float(lived.reward[k]), bool(lived.terminated[k]), False, after)
