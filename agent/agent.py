"""The agent: what a user builds, tells, trains and runs.

`Agent.step` is the loop of Liu et al. (2025), four lines: perceive, learn, reason, act. Everything it knows is in its
`Mind`; the files beside this one are its faculties.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import UserError
from ..memory import Column, Layout, LongTerm, Replay, ShortTerm, Step
from ..prompts import Gateway
from ..prompts.counting import counter
from ..prompts.embeddings import embeddings_named
from ..prompts.gateway.record import FILE as CALLS
from ..world.knowledge import KnowledgeBase
from ..world.model import WorldModel, begin
from ..world.models.build import build
from ..world.models.persistence import Persistence
from ..world.rules.text import to_text
from ..world.schema import Schema
from ..world.teaching import Taught
from ..world.training import Progress, Source, Trainer, TrainingConfig
from ..world.unseen import Unseen
from . import learn as learning
from .act import act
from .adapting import Deployment, adapt
from .collecting import Collector
from .config import AgentConfig
from .environment import blamed
from .goals import Goal
from .instructions import Ask, Instruction
from .journal import Journal
from .learn import Experience
from .mind import Affect, Mind, Pursuit
from .perceive import check_reward, perceive
from .planning.build import planner_for
from .planning.learner import Apprentice, Learner
from .planning.plan import Planner
from .reason import reason
from .recalling import Recalling
from .remembered import Failures
from .replaying import Prioritised
from .results import EpisodeResult, RunResult
from .runnable import Instructed
from .setbacks import Obstacle, Setback, why_not
from .setbacks.setback import one_line
from .shield import Shield
from .skills import Skillbook
from .telling import Telling

if TYPE_CHECKING:
    import gymnasium
    from langchain_core.embeddings import Embeddings
    from langchain_core.language_models import BaseChatModel


REMEMBERED = 200
"""Episodes of which what unseen cells hold is learned."""


class Agent(Telling, Instructed):
    """An agent for one Gymnasium environment.

    `llm` is "local" (the embedded model, loaded when first asked), any LangChain chat model, "provider:model", or
    None. `model` is "auto", "slots", "recurrent", "ensemble", ... (see `world/models/build.py`), "simulator" (clones of
    the environment itself), "none" (rules alone), or a world model of your own; `planner` likewise "auto", "search",
    "cem", ... (see `agent/planning/build.py`) or your own. `memory` is a file for the experience (None: temporary).
    `embeddings` tell what notes mean: "local", a sentence-transformers model, any of LangChain's, or None, where
    they are recalled by words.
    """

    def __init__(
        self,
        env: gymnasium.Env,
        *,
        llm: str | BaseChatModel | None = "local",
        model: str | WorldModel = "auto",
        planner: str | Planner = "auto",
        schema: Schema | None = None,
        memory: str | Path | None = None,
        embeddings: str | Embeddings | None = None,
        config: AgentConfig | None = None,
        seed: int = 0,
    ) -> None:
        self.env, self.seed, self.llm = env, seed, llm
        self.embeddings = embeddings_named(embeddings)
        self.config = config or AgentConfig()
        torch.manual_seed(seed)
        own = None if isinstance(model, str) else model.schema
        learned = build(model, schema or own or Schema.from_env(env), env)
        self.schema = learned.schema  # a simulator's binds it to the environment
        self.planner = planner_for(planner, self.schema)
        columns = tuple(Column(f.name, f.numpy_dtype, f.shape) for f in self.schema.features)
        action = Column("action", "int64" if self.schema.discrete_actions else "float32", (len(self.schema.actions),))
        long_term = LongTerm(memory, Layout(columns, action))
        gateway = self._gateway(long_term, memory is not None)
        recent = ShortTerm(self.config.context_tokens, counter(gateway.model if gateway else None))
        knowledge = KnowledgeBase(self.schema, gateway, recent)
        rules, failures = knowledge.compiled(), Failures()
        self.mind = Mind(
            memory=long_term,
            replay=Replay(long_term, self.config.holdout, seed),
            recent=recent,
            learned=learned,
            knowledge=knowledge,
            recalled=learned,
            imagining=learned,
            shield=Shield(self.schema, rules, config=self.config.shield),
            limits=[],
            failures=failures,
            affect=Affect(),
            rng=torch.Generator().manual_seed(seed),
            skills=Skillbook(long_term.skills),
        )
        self.journal = Journal()
        self.experience = Experience(self.schema, self.mind.replay)
        recipe = self.config.training or (learned.recipe() if hasattr(learned, "recipe") else TrainingConfig())
        self.trainer = Trainer(learned, recipe, seed) if isinstance(learned, nn.Module) else None
        self.recalling = Recalling(learned, self.config.neighbours, self.config.adapting is not None)
        self.trained_on, self.shared = 0, None
        self.deployment: Deployment | None = None
        self._episode: int | None = None
        self._before: tuple[int, ...] = ()  # in memory: the episode under way, from before a restart
        self._pending: tuple[dict[str, np.ndarray], Tensor] | None = None
        self._turn, self._under_way = threading.RLock(), None
        self.refresh()

    # --- the loop -------------------------------------------------------------------------------------------------

    def reset(self, observation: Any) -> None:
        """Begin an episode at `observation`."""
        mind = self.mind
        self.end_episode()
        if self.config.adapting and self.deployment is None and self.trained_on:
            self.deployment = Deployment.begin(mind, self.experience, self.config.adapting)
        seen = perceive(self.schema, observation, self.env)
        mind.recent.reset()
        mind.recent.seen.look(seen, 0)
        mind.failures.clear()
        mind.setbacks.begin(mind)
        mind.skills.begin()
        mind.decisions, mind.imagined_steps, mind.departures, mind.broken, mind.conflicts = [], 0, 0, 0, 0
        mind.features = self.schema.batch([seen])
        mind.belief, mind.predicted = begin(mind.imagining, mind.features), None
        objective = self.objective()
        mind.pursuit = Pursuit(objective, objective.start(mind.features))
        self._pending = None
        self._seen = seen

    def act(self, observation: Any, reward: float = 0.0, terminated: bool = False, truncated: bool = False) -> Any:
        """Take in what the last action brought and return the next one, as the environment takes it.

        For whoever owns the loop: `reset` first, then `act` with every observation. Learning goes on from what passes
        through: the model is trained again at an episode's end when enough is new. Returns None once the episode is
        over.
        """
        if self.mind.pursuit is None:
            raise UserError("call agent.reset(observation) before agent.act(...)")
        action = self.step(observation, reward, terminated, truncated)
        if action is None:
            self.keep_learning()
        return action

    def step(self, observation: Any, reward: float, terminated: bool, truncated: bool) -> Any:
        """o = P(s, M); M' = L(M, a, o); a = R(M'); a' = E(a). None once the episode is over."""
        with blamed(f"at step {self.mind.recent.t + 1} of the episode" if self._pending else "where it begins"):
            last = (self._pending[0], self._pending[1][0].numpy()) if self._pending else None
            seen = perceive(self.schema, observation, self.env, last)
        self._learn(seen, check_reward(reward), terminated, truncated)
        if terminated or truncated:
            self.end_episode()
            return None
        intended = reason(self.mind, self.planner, self.config.budget)
        self.mind.setbacks.repaired(self.mind)
        action, native = act(self.mind, self.schema, intended)
        self._pending = (seen, action)
        return native

    def _learn(self, seen: dict[str, np.ndarray], reward: float, terminated: bool, truncated: bool) -> None:
        if self._pending is None:
            return
        before, action = self._pending
        if self._episode is None:
            self._episode = self.mind.memory.begin(group=self.layout)
        step = Step(before, action[0].numpy(), reward, terminated, truncated, seen)
        pursuit = self.mind.pursuit
        if pursuit and isinstance(self.planner, Apprentice):
            once = learning.lived(self.schema.batch([before]), action, self.schema.batch([seen]),
                                  torch.tensor([reward]), torch.tensor([terminated]))
            self.planner.observe(self.schema, once, pursuit.objective, pursuit.carry, self.mind.rng)
        surprising = self.config.surprising if self.trained_on else float("inf")  # at first everything is
        learning.learn(self.mind, self.schema, self._episode, step, surprising)
        self._pending = None

    @property
    def pending(self) -> Tensor | None:
        """The action `[1, A]` that was decided on and whose outcome has not come yet."""
        return None if self._pending is None else self._pending[1]

    @property
    def layout(self) -> str:
        """The name of the layout this episode began in."""
        return learning.layout_of(self._seen, self.schema)

    def end_episode(self) -> None:
        """Close the episode in memory; what is there of it stays."""
        if self._episode is not None:
            self.mind.memory.end(self._episode)
            self.mind.setbacks.note(self.mind, self._episode)
            self.mind.skills.judge()
            self.credit()
        self.mind.errand = ()
        self.confine(())
        self._episode, self._before, self._pending = None, (), None

    # --- learning and running -------------------------------------------------------------------------------------

    def learn(
        self,
        steps: int = 1_000,
        *,
        envs: int | Sequence[gymnasium.Env] = 1,
        random: bool = True,
        train: bool = True,
        progress: Callable[[int, int], None] | None = None,
        training: Callable[[Progress], None] | None = None,
        resume: bool = False,
        save_to: str | Path | None = None,
    ) -> dict[str, float]:
        """Collect `steps` transitions (at random, or as planned with `random=False`), store, train, check; returns the
        held-out accuracy.

        `envs` copies of the environment (or the given ones) are lived in side by side; `steps` is rounded up to whole
        rounds of them. Every transition is durable at once, so that an interrupt loses nothing; the shield guards
        random actions too. As planned, the model is trained again every `train_every` steps; a curious
        agent acts at random until there is one to ask. `resume` goes on with
        the training and the episodes that a killed process left open; `save_to` is a folder to save in while training
        and after it. Raises `UserError` where the environment cannot be copied or gives
        what cannot be used, `EnvironmentFailed` where it raises.
        """
        every = steps if random or not train else min(steps, self.config.train_every)
        report: dict[str, float] = {}

        def tell(done: int) -> None:
            if progress:
                progress(min(done, steps), steps)

        if resume and self.trainer is not None and self.trainer.running is not None:
            report = self.train(training, save_to=save_to)
        with Collector(self, envs, random, resume) as collector:
            while collector.lived < steps:
                collector.collect(min(every, steps - collector.lived), tell)
                if train:
                    report = self.train(training, save_to=save_to)
        return report

    def keep_learning(self) -> None:
        """At an episode's end while deployed: a few gradient steps on what is new, where the agent is `adapting`; else
        a whole training, once enough is new."""
        if self.config.adapting and self.trainer and self.deployment:
            if adapt(self.mind, self.experience, self.trainer, self.deployment, self.config.adapting):
                self.deployment = replace(self.deployment, has_changed=True)
            self.recalling.take_in(self.experience)
            self.check(effects=False)
        elif len(self.mind.memory) - self.trained_on >= self.config.train_every:
            self.train()
        elif self.recalling.take_in(self.experience, at_once=False):
            self.refresh()
        self.reflect_when_due()

    def train(
        self,
        progress: Callable[[Progress], None] | None = None,
        steps: int | None = None,
        save_to: str | Path | None = None,
    ) -> dict[str, float]:
        """Train the world model on all of memory, calibrate the limits, check the rules, and improve a planner that
        learns; the held-out accuracy of the model.

        A training that was broken off goes on where it was if memory is as it was. `save_to` is a folder to save in
        every `save_every` steps and at the end."""
        if self.trainer is not None:
            save = None if save_to is None else lambda: self.save(save_to)
            try:
                self.trainer.run(self.lessons(), steps, self._noted(progress), save)
            finally:
                self._trained()
        else:
            self._trained()
        self.improve(progress)
        if save_to is not None:
            self.save(save_to)
        accuracy = {} if self.trainer is None else learning.accuracy(self.mind, self.experience)
        self.journal.add("trained", transitions=self.trained_on, accuracy=accuracy)
        return accuracy

    def _noted(self, progress: Callable[[Progress], None] | None) -> Callable[[Progress], None]:
        def note(now: Progress) -> None:
            self.journal.training(now)
            if progress:
                progress(now)

        return note

    def lessons(self) -> Source:
        """What the model trains on: what was lived and, with `teaching`, what rules make of imagined steps."""
        lived: Source = self.experience
        if self.trainer and (self.trainer.config.recent or self.trainer.config.surprising):
            lived = Prioritised(self.mind, self.experience, self.trainer)
        if self.config.teaching is None:
            return lived
        return Taught(lived, self.mind.learned, self.mind.knowledge.compiled(), self.config.teaching)

    def _trained(self) -> None:
        self.trained_on = len(self.mind.memory)
        self.recalling.take_in(self.experience)
        if self.schema.sight is not None:
            memory = self.mind.memory
            last = memory.episodes()[-REMEMBERED:]
            self.mind.unseen = Unseen.of(self.schema, (memory.transitions([e.id]) for e in last))
        self.check(effects=False)
        self.deployment = None  # what is known now is old; a deployment begins with the next episode

    def improve(self, progress: Callable[[Progress], None] | None = None, steps: int | None = None) -> dict[str, float]:
        """Let a planner that learns do so: in imagination, as refined by the rules, under the agent's own objective,
        from states it has been in. Returns what that came to ({} for any other planner); `train` does it too."""
        if not isinstance(self.planner, Learner):
            return {}
        self.mind.failures.clear()  # the model has learned from them
        return self.planner.improve(self.mind.imagining, self.experience, self.objective(), self.mind.rng, steps,
                                    progress)

    def run(
        self,
        episodes: int = 20,
        *,
        seed: int | None = None,
        seeds: Sequence[int] | None = None,
        unseen: bool = True,
        max_steps: int | None = None,
        train: bool = False,
        watch: Callable[[EpisodeResult], None] | None = None,
        frame: Callable[[Agent], None] | None = None,
        explain: bool = False,
        instruction: str | Callable[[gymnasium.Env, Any], str] | None = None,
    ) -> RunResult:
        """Play episodes as planned and return what they came to.

        `unseen` skips layouts that are in memory (the seed is taken on, so that the count is kept). `train` trains
        the model between episodes when enough is new. `watch` is called after every episode, `frame` every step.
        `explain` asks at the end of an episode why its goals were not reached, which takes a few long searches.
        `instruction` is pursued in each episode: words, or `instruction(env, observation)` for each episode's own.
        """
        from .episodes import run

        return run(self, episodes, seed, seeds, unseen, max_steps, train, watch, frame, explain, instruction)

    def instruct(self, text: str, ask: Ask | None = None) -> Instruction:
        """Take an instruction in words for the episode under way: understood against what is believed now, pursued
        instead of the standing goals until the episode ends. `ask(question, readings)` picks a reading where there are
        several; without it they are listed in a `UserError`, as is a word that this world has not."""
        from .errand import instructed

        return instructed(self, text, ask)

    def has_reached_goals(self) -> bool:
        """Whether there are goals and every one is reached in this episode."""
        pursuit = self.mind.pursuit
        if pursuit is None:
            return False
        terms = zip(pursuit.objective.terms, pursuit.carry, strict=True)
        done = [bool(term.done(carry)[0]) for term, carry in terms if isinstance(term, Goal)]
        return bool(done) and all(done)

    @property
    def setbacks(self) -> list[Setback]:
        """The steps of this episode, oldest first, that did not do what was imagined: why, and what was done."""
        return list(self.mind.setbacks.all)

    @property
    def skills(self) -> list[str]:
        """The skills in memory in words, with how often they worked; those that are none of this world with why."""
        book = self.mind.skills
        said = [f"{skill} (worked {r.worked} of {r.tried} times)" for r, skill in book.all(self.mind.knowledge.schema)]
        return [*said, *(f"skill {id} is passed over: {one_line(why)}" for id, why in book.refused.items())]

    def why_not(self, budget: int = 20_000) -> Obstacle:
        """Why the goals of the episode under way are not reached, from where the agent is now, as far as imagination
        (at most `budget` imagined transitions a question) and the rules can tell."""
        return why_not(self, budget)

    def interact(self, native: Any) -> tuple[Any, float, bool, bool]:
        """One step of the environment: observation, reward, terminated, truncated."""
        with blamed(f"at step {self.mind.recent.t + 1} of the episode, on action {native!r}"):
            observation, reward, terminated, truncated, _ = self.env.step(native)
            return observation, check_reward(reward), bool(terminated), bool(truncated)

    def layout_seed(self, episode: int) -> int:
        """Training layouts: each episode's own seed, from the agent's seed and how many came before."""
        return (self.seed * 100_003 + episode) % 2**31

    def _gateway(self, memory: LongTerm, is_kept: bool) -> Gateway | None:
        """The door to the language model: answers are cached in memory, calls recorded beside its file if `is_kept`."""
        if self.llm is None:
            return None
        from ..memory.adapters.cache import MemoryCache
        from ..prompts import chat_model

        gateway = Gateway(chat_model(self.llm, self.config.calls.timeout_s), self.config.calls, MemoryCache(memory))
        if is_kept:
            gateway.record.move_to(memory.path.with_name(CALLS))
        return gateway

    # --- variants and checkpoints ---------------------------------------------------------------------------------

    def variant(self, *, rules: bool = True, model: bool = True) -> Agent:
        """The same agent without its rules, or without its learned model: the arms of a comparison. It shares the
        weights and the margins of its limits, has a memory of its own, and is not meant to be trained."""
        other = Agent(
            self.env,
            llm=None,
            model=self.mind.learned if model else Persistence(self.schema),
            planner=self.planner,
            schema=self.schema,
            config=self.config,
            seed=self.seed,
        )
        in_turn = sorted(self.mind.knowledge.active(), key=lambda e: e.turn)
        for _, told in groupby(in_turn if rules else [], key=lambda e: e.turn):
            other.mind.knowledge.tell("\n".join(to_text(rule) for e in told if (rule := e.acting) is not None))
        other.shared, other.mind.unseen = self._lived, self.mind.unseen
        other.refresh()
        return other

    def save(self, folder: str | Path) -> None:
        """Write everything to a folder, aside and renamed: what was saved before is whole at any moment. What a person
        changed in `rules.txt` meanwhile acts from here on."""
        from .checkpoint import save

        before = self.rules
        save(self, Path(folder))
        if self.rules != before:
            self.refresh()

    @staticmethod
    def load(folder: str | Path, env: gymnasium.Env, **options: Any) -> Agent:
        """The agent saved in `folder`, for `env`: the same world, possibly at another size."""
        from .checkpoint import load

        return load(Path(folder), env, **options)

    def close(self) -> None:
        """Close the memory's file."""
        self.end_episode()
        self.mind.memory.close()
