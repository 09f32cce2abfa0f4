"""Collecting experience: N copies of the environment lived side by side, at random or as planned.

    a_t = random, or planned for all N rows at once, through the shield
    s_{t+1}, r_t = T(s_t, a_t)           `gymnasium.vector`: features out, rows of actions in (`environment.Perceived`)
    memory <- (s_t, a_t, r_t, s_{t+1})   a transition a row, each in its own episode, all durable before the next step

A row whose episode is over begins the next one with a seed of its own (the agent's, and a count), and what is random
in it is drawn from that seed and the time: an episode at random is the same whatever else is lived beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from torch import Tensor

from ..memory import Step
from ..memory.long_term import Episode
from ..world import processes, tree
from ..world.fingerprint import fingerprint
from ..world.interrupts import deferred
from ..world.model import Outcome, State, begin
from ..world.seeding import mixed
from . import learn as learning
from .act import within
from .environment import Perceived, several
from .planning.exploring import matters
from .planning.objective import Carry
from .reason import explore
from .seeking import look
from .setbacks import Setbacks
from .setbacks.setback import Lived

if TYPE_CHECKING:
    from .agent import Agent


@dataclass
class Life:
    """One row: the episode it is in (an id in memory once something happened), its seed and time, the rest of its plan
    `[H, A]`, and how many searches in a row reached nothing."""

    seed: int = 0
    t: int = 0
    layout: str = ""
    episode: int | None = None
    plan: list[Tensor] = field(default_factory=list)
    failed: int = 0
    setbacks: Setbacks = field(default_factory=partial(Setbacks, doubting=False))
    rng: torch.Generator = field(default_factory=torch.Generator)


class Collector:
    """Lives in copies of an agent's environment; `collect` goes on where the last call stopped.

    `resume` goes on with episodes that a killed process left open: they are lived again from their seeds with the
    actions in memory, and closed where the world does not repeat itself.
    """

    def __init__(self, agent: Agent, envs: int | Sequence[gymnasium.Env] = 1, random: bool = True,
                 resume: bool = False) -> None:
        self.agent, self.schema, self.random = agent, agent.schema, random
        self._made = several(agent.env, envs)
        self.vector = SyncVectorEnv([partial(Perceived, env, agent.schema) for env in self._made],
                                    autoreset_mode=AutoresetMode.DISABLED)
        known = agent.mind.memory.episodes()
        self.begun = len(known)
        self.left = [e for e in known if not e.ended and e.seed is not None] if resume else []
        self.lives = [Life() for _ in self._made]
        self.lived = 0
        self.features: dict[str, Tensor] = {}
        self.belief: State | None = None
        self.carry: Carry = ()
        self.planner_carry: object = None

    def __enter__(self) -> Collector:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.close(truncated=kind is not None)

    def collect(self, steps: int, progress: Callable[[int], None] | None = None) -> None:
        """Live at least `steps` more transitions, in whole rounds of N; `progress` is told after each round how many
        there are now (`lived`). Raises what `Perceived` raises; what was lived is in memory.

        Of several processes the first one lives, and the others wait for what it brings."""
        until = self.lived + steps
        if processes.state().is_main_process:
            self._think_anew()
            with deferred() as check:
                while self.lived < until:
                    self._round()
                    self.lived += len(self.lives)
                    if progress:
                        progress(self.lived)
                    check()
        else:
            self.lived += -(-steps // len(self.lives)) * len(self.lives)
        processes.wait()

    def close(self, truncated: bool = False) -> None:
        """Close the episodes, and the environments that are not the agent's own."""
        for life in self.lives:
            self._end(life, truncated)
        for env in self._made:
            if env is not self.agent.env:
                env.close()

    # --- one round ------------------------------------------------------------------------------------------------

    def _round(self) -> None:
        mind, now = self.agent.mind, self.features
        intended = self._random() if self._at_random else self._planned()
        action, decisions = mind.shield.guard_rows(
            within(self.schema, intended), now, mind.imagining, self.belief, [life.rng for life in self.lives]
        )
        mind.decisions += decisions
        predicted = None
        if self.belief is not None:
            with torch.no_grad():
                _, predicted = mind.imagining.step(self.belief, action)
        seen, reward, terminated, truncated, _ = self.vector.step(action.double().numpy())
        after = self.schema.batch(seen)
        for life in self.lives:
            life.t += 1
        over = terminated | truncated
        sight, nats = self.schema.sight, None
        expected = sight.withheld(now, after) if sight else after
        if predicted is not None:
            nats = -torch.stack([d.log_prob(expected[k]) for k, d in predicted.features.items()]).sum(0)
        self._store(now, action, after, reward, terminated, truncated, nats)
        paid, ended = torch.as_tensor(reward, dtype=torch.float32), torch.as_tensor(terminated)
        self._feel(now, action, expected, paid, ended, predicted, nats)
        if sight:
            for row, life in zip(torch.arange(len(self.lives)).split(1), self.lives, strict=True):
                if life.plan and matters(sight, tree.take(now, row), tree.take(after, row)):
                    life.plan, life.failed = [], 0
        self.features = after
        if self.belief is not None:
            self.carry = learning.advance(self.objective, self.carry, now, action, after, paid, ended)
            self.belief = mind.imagining.observe(self.belief, action, after)
        self._begin(over | np.array([life.t >= self._limit for life in self.lives]))

    @property
    def _at_random(self) -> bool:
        """A curious agent cannot plan for what it does not know before there is a trained model to ask."""
        return self.random or (self.agent.config.exploration == "curious" and not self.agent.trained_on)

    def _random(self) -> Tensor:
        for life in self.lives:
            life.rng.manual_seed(mixed(life.seed, life.t))
        return torch.cat([explore(self.schema, life.rng) for life in self.lives])

    def _planned(self) -> Tensor:
        """The next action of every row, `[N, A]`: plans to commit to are followed as far as the world does, and made
        together where they are due; shooting planners plan all rows anew."""
        agent, mind, lives = self.agent, self.agent.mind, self.lives
        planner, budget = agent.planner, agent.config.budget
        if not planner.commits:
            if self.planner_carry is None:
                self.planner_carry = planner.initial(len(lives))
            plan = planner.plan(mind.imagining, self.belief, self.objective.resumed(self.carry), self.planner_carry,
                                mind.rng, budget)
            self.planner_carry = plan.carry
            return plan.action
        due = [i for i, life in enumerate(lives) if not life.plan]
        for failed in sorted({lives[i].failed for i in due}):
            # What reached nothing is expensive and its plan only the best guess: the next one gets a smaller budget.
            rows = [i for i in due if lives[i].failed == failed]
            index = torch.tensor(rows)
            most = budget.transitions and max(min(1_000, budget.transitions), budget.transitions >> (2 * failed))
            plan = planner.plan(mind.imagining, tree.take(self.belief, index),
                                self.objective.resumed(tree.take(self.carry, index)), planner.initial(len(rows)),
                                mind.rng, replace(budget, transitions=most))
            for k, i in enumerate(rows):
                lives[i].plan = list(plan.sequence[: _length(plan.imagined, k), k])
                lives[i].failed = 0 if bool(plan.reached[k]) else failed + 1
                if self.schema.sight and not bool(plan.reached[k]):
                    self._look(i)
        return torch.stack([life.plan.pop(0) for life in lives])

    def _look(self, i: int) -> None:
        """Let row i, whose goal is not in sight, look around instead, where there is more to see."""
        row = torch.tensor([i])
        objective = self.objective.resumed(tree.take(self.carry, row))
        found = look(self.agent.mind, tree.take(self.belief, row), tree.take(self.features, row), objective,
                     self.agent.config.budget)
        if bool(found.reached[0]):
            self.lives[i].plan = list(found.sequence[:, 0])

    def _store(self, now: dict[str, Tensor], action: Tensor, after: dict[str, Tensor], reward: np.ndarray,
               terminated: np.ndarray, truncated: np.ndarray, nats: Tensor | None) -> None:
        memory, surprises = self.agent.mind.memory, [None] * len(self.lives) if nats is None else nats.tolist()
        before, following, taken = ({k: v.numpy() for k, v in x.items()} for x in (now, after, {"action": action}))
        with memory.database.transaction():
            for i, life in enumerate(self.lives):
                if life.episode is None:
                    life.episode = memory.begin(group=life.layout, seed=life.seed)
                memory.append(life.episode, learning.in_hindsight(self.schema, Step(
                    {k: v[i] for k, v in before.items()}, taken["action"][i], float(reward[i]), bool(terminated[i]),
                    bool(truncated[i]), {k: v[i] for k, v in following.items()})), surprises[i])

    def _feel(self, now: dict[str, Tensor], action: Tensor, after: dict[str, Tensor], reward: Tensor,
              terminated: Tensor, predicted: Outcome | None, nats: Tensor | None) -> None:
        """Compare what came with what was expected; plans that it contradicts are dropped, and not made again."""
        mind, states = self.agent.mind, fingerprint(after).tolist()
        if predicted is None or nats is None:
            for state in states:
                mind.affect.visit(state)
            return
        as_seen, failed = learning.verdict(mind, predicted, self.belief, (self.objective, self.carry),
                                           learning.lived(now, action, after, reward, terminated), after)
        came_true = as_seen & ~failed
        if predicted.conflict is not None:
            mind.conflicts += int(predicted.conflict.sum())
        for i, (state, surprise) in enumerate(zip(states, nats.tolist(), strict=True)):
            is_true = bool(came_true[i])
            mind.affect.feel(surprise, is_true, state)
            if self.agent.trained_on and surprise > self.agent.config.surprising:
                step = Step(_row(now, i), action[i].numpy(), 0.0, False, False, _row(after, i))
                learning.note_surprise(mind, self.schema, surprise, step)
            if not is_true:
                mind.departures += 1
                self.lives[i].plan = []
                if not as_seen[i] and not self._at_random and self.agent.trained_on:
                    self._set_back(i, now, action, after)
        if bool(failed.any()):
            mind.failures.add({k: v[failed] for k, v in now.items()}, action[failed])

    def _set_back(self, i: int, now: dict[str, Tensor], action: Tensor, after: dict[str, Tensor]) -> None:
        """Explain what went otherwise than planned in row i."""
        mind, life, row = self.agent.mind, self.lives[i], torch.tensor([i])
        belief, taken = tree.take(self.belief, row), action[row]
        with torch.no_grad():
            _, predicted = mind.imagining.step(belief, taken)
        lived = Lived(life.t - 1, belief, predicted, tree.take(now, row), taken, tree.take(after, row))
        life.setbacks.witness(mind, lived, False)

    def _end(self, life: Life, truncated: bool = False) -> None:
        """Close an episode in memory; what went wrong in it repeatedly is noted."""
        if life.episode is not None:
            self.agent.mind.memory.end(life.episode, truncated)
            life.setbacks.note(self.agent.mind, life.episode)
            life.episode = None

    # --- beginning ------------------------------------------------------------------------------------------------

    def _think_anew(self) -> None:
        """The model, the rules or the goals may be others than at the last call: begin beliefs and plans anew."""
        mind = self.agent.mind
        mind.failures.clear()
        if not self.features:
            self._begin(np.ones(len(self.lives), bool))
        self.objective = self.agent.objective(exploring=not self.random)
        self.planner_carry = None
        for life in self.lives:
            life.plan = []
        if self._at_random and not self.agent.trained_on and not mind.limits:
            self.belief = None  # nothing is expected yet, and nothing planned
            return
        self.belief = begin(mind.imagining, self.features)
        fresh = self.objective.start(self.features)
        is_same = [c.shape for c in self.carry] == [c.shape for c in fresh]
        self.carry = self.carry if is_same else fresh

    def _begin(self, rows: np.ndarray) -> None:
        """New episodes on the rows `[N]` that are True."""
        if not rows.any():
            return
        mind, revived = self.agent.mind, dict[int, Episode]()
        for i in np.flatnonzero(rows).tolist():
            self._end(self.lives[i])
            if self.left:
                revived[i] = self.left.pop(0)
                self.lives[i] = Life(int(revived[i].seed or 0))
            else:
                self.lives[i] = Life(self.agent.layout_seed(self.begun))
                self.begun += 1
        seen, _ = self.vector.reset(seed=[life.seed for life in self.lives], options={"reset_mask": rows})
        fresh, new = self.schema.batch(seen), torch.as_tensor(rows)
        for i in np.flatnonzero(rows).tolist():
            self.lives[i].layout = learning.layout_of(_row(fresh, i), self.schema)
        self.features = tree.choose(new, fresh, self.features) if self.features else fresh
        again = np.zeros_like(rows)
        for i, episode in revived.items():
            again[i] = not self._relive(i, episode)
        if self.belief is not None:
            self.belief = tree.choose(new, begin(mind.imagining, self.features), self.belief)
            self.carry = tree.choose(new, self.objective.start(self.features), self.carry)
            self.planner_carry = None  # a warm start from another episode is none
        self._begin(again)

    def _relive(self, i: int, episode: Episode) -> bool:
        """Whether row i, just reset, got through all that is in memory of an open episode and can go on from there; the
        episode is closed otherwise."""
        life, memory, lived = self.lives[i], self.agent.mind.memory, self.agent.mind.memory.transitions([episode.id])
        seen, is_over = _row(self.features, i), False
        same = True
        for k, action in enumerate(lived.action):
            before, (seen, _, terminated, truncated, _) = seen, self.vector.envs[i].step(action)
            is_over, life.t = terminated or truncated, k + 1
            step = learning.in_hindsight(self.schema, Step(before, action, 0.0, is_over, False, seen))
            same = all(np.array_equal(step.features[f], lived.features[f][k])
                       and np.array_equal(seen[f], lived.next_features[f][k]) for f in seen)
            if is_over or not same:
                break
        same = same and life.t == len(lived)
        if is_over or not same or life.t >= self._limit:
            memory.end(episode.id, truncated=not same)
            return False
        life.episode = episode.id
        for name, value in self.schema.batch([seen]).items():
            self.features[name][i] = value[0]
        return True

    @property
    def _limit(self) -> int:
        config = self.agent.config
        return config.layout_steps if self.schema.grid else config.episode_steps


def _row(features: dict[str, Tensor], i: int) -> dict[str, np.ndarray]:
    return {k: v[i].numpy() for k, v in features.items()}


def _length(imagined: dict[str, Tensor], row: int) -> int:
    """How many steps of a plan `imagined [H + 1, B, ...]` do something: what comes after is padding."""
    n = len(next(iter(imagined.values()))) - 1
    while n > 1 and all(torch.equal(v[n, row], v[n - 1, row]) for v in imagined.values()):
        n -= 1
    return max(n, 1)
