"""Deep Dyna: a Q-network that learns from what happened and from what is imagined from there.

Dyna (Sutton 1990) with a network, short rollouts of the (refined) world model that branch off real states, as in MBPO
(Janner et al. 2019, arXiv 1906.08253), so that model errors have no time to add up, and double Q-learning's targets
(van Hasselt et al. 2016, arXiv 1509.06461):

    y = g + d Q_slow(z', argmax_a Q(z', a))

Values are learned in the symlog of their size. Branches are imagined anew at every step, since the model of yesterday
is not to be learned from. B sequences of T transitions, M transitions, I inputs, K joint actions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import UserError
from ...world import tree
from ...world.model import Batch, State, WorldModel
from ...world.schema import Schema
from ...world.training import Progress, Source
from ...world.twohot import symexp, symlog
from .dream import Start, along, apart, dream, real
from .look import look
from .networks import follow, mlp, step
from .objective import Carry, Objective
from .plan import Budget, Plan
from .reader import Reader

MOST_ACTIONS = 1_024


@dataclass(frozen=True)
class DeepDynaConfig:
    """A gradient step learns from `sequences * length` real transitions and `ratio` times as many imagined ones, in
    branches of `branch` steps (0 of either: from what happened alone). The discount is the objective's own."""

    sequences: int = 8
    length: int = 8
    ratio: float = 4.0
    branch: int = 3
    steps: int = 500
    rate: float = 1e-3
    clip: float = 10.0
    width: int = 128
    layers: int = 2
    slow_rate: float = 0.02
    epsilon: float = 0.1  # share of random actions, in branches and in plans
    infeasible: float = 10.0
    lookahead: int = 1  # imagined steps of a plan: one shows whether the action may be taken


class QNetwork(nn.Module):
    """Inputs to the symlog of every joint action's value, and its slow copy."""

    def __init__(self, schema: Schema, config: DeepDynaConfig, latent: int, carried: int, rng: torch.Generator) -> None:
        super().__init__()
        self.reader, self.every = Reader(schema, latent, carried), schema.all_actions()
        sizes = (self.reader.width, config.width, config.layers, len(self.every))
        self.fast, self.slow = (mlp(*sizes, rng, 0.0) for _ in range(2))
        self.slow.requires_grad_(False).load_state_dict(self.fast.state_dict())

    def index(self, action: Tensor) -> Tensor:
        """Action rows `[..., A]` to their places in `Schema.all_actions`, `[...]`."""
        counts = self.every.amax(0) + 1
        strides = torch.cat([counts.flip(0).cumprod(0).flip(0)[1:], counts.new_ones(1)])
        return (action * strides).sum(-1)


@dataclass(frozen=True)
class Lesson:
    """M transitions as the network sees them; `onward` is the discount times the probability of going on."""

    inputs: Tensor  # [M, I]
    index: Tensor  # [M]
    gain: Tensor  # [M]
    onward: Tensor  # [M]
    after: Tensor  # [M, I]


@dataclass
class Learned:
    """All that training changes."""

    network: QNetwork
    optimiser: torch.optim.Optimizer
    steps_done: int = 0


class DeepDyna:
    """A `Planner` and a `Learner` for discrete actions. Before it has learned anything, it acts at random."""

    commits = False

    def __init__(self, config: DeepDynaConfig | None = None) -> None:
        self.config = config or DeepDynaConfig()
        self.learned: Learned | None = None

    def unfit(self, schema: Schema) -> str | None:
        if not schema.discrete_actions or any(a.cardinality is None for a in schema.actions):
            return f"deep Dyna lists its actions, and those of '{schema.name}' have no end; use planner='actor_critic'"
        if (count := math.prod(a.cardinality or 1 for a in schema.actions)) > MOST_ACTIONS:
            return f"'{schema.name}' has {count:,} joint actions, too many for deep Dyna; use planner='actor_critic'"
        return None

    def initial(self, n: int) -> None:
        """Nothing is carried: what it knows is in its weights."""

    def improve(self, model: WorldModel, replay: Source, objective: Objective, rng: torch.Generator,
                steps: int | None = None, progress: Callable[[Progress], None] | None = None) -> dict[str, float]:
        """`Learner.improve`. Where the goals of `objective` (or the model's latent) are of another shape than those it
        learned before, it begins anew."""
        c, figures = self.config, dict[str, float]()
        report = Progress(0, c.steps if steps is None else steps)
        for i in range(report.steps):
            batch = replay.batch(c.sequences, c.length, rng)
            if batch is None:
                break
            track = along(model, batch, objective, batch.action.shape[1] + 1, rng)
            if i == 0:
                self._prepare(model, Reader.sizes(model, track[0].state, track[0].carry), replay, rng)
            assert self.learned is not None
            network = self.learned.network
            lessons = [happened(network, model, batch, track, objective)]
            start = tree.take(tree.concatenate(track[:-1]), batch.mask.T.flatten().nonzero()[:, 0])
            if (branches := round(c.ratio * c.sequences * c.length / max(c.branch, 1)) * (c.branch > 0)):
                chosen = torch.randint(tree.size(start.state), (branches,), generator=rng)
                lessons.append(self._imagined(network, model, tree.take(start, chosen), objective, rng))
            lesson: Lesson = tree.concatenate(lessons)
            lesson = tree.take(lesson, (lesson.gain.isfinite() & lesson.after.isfinite().all(-1)).nonzero()[:, 0])
            if not len(lesson.gain):
                raise UserError("neither memory nor the world model has finite rewards and features to learn from; "
                                "mend the environment's rewards, or train the model again")
            report.losses = step(self.learned.optimiser, {"q": loss(network, lesson)}, c.clip)
            follow(network.slow, network.fast, c.slow_rate)
            self.learned.steps_done += 1
            report.step = i + 1
            figures = {"real": float(len(lessons[0].gain)), "imagined": float(sum(len(x.gain) for x in lessons[1:]))}
            if progress:
                progress(report)
        return figures | report.losses

    def _imagined(self, network: QNetwork, model: WorldModel, start: Start, objective: Objective,
                  rng: torch.Generator) -> Lesson:
        def choose(inputs: Tensor) -> tuple[Tensor, Tensor]:
            index = self._explored(network.fast(inputs), rng)
            return index, network.every[index]

        d = dream(model, start, objective, network.reader, choose, self.config.branch, rng, self.config.infeasible)
        valid = d.valid.expand_as(d.gain).flatten()
        every = Lesson(d.inputs[:-1].flatten(0, 1), d.chosen.flatten(), d.gain.flatten(),
                       objective.discount * d.cont.flatten(), d.inputs[1:].flatten(0, 1))
        return tree.take(every, valid.nonzero()[:, 0])

    def _explored(self, q: Tensor, rng: torch.Generator) -> Tensor:
        """Mostly the best of values `[N, K]`, `[N]`."""
        at_random = torch.rand(len(q), generator=rng) < self.config.epsilon
        return torch.where(at_random, torch.randint(q.shape[1], (len(q),), generator=rng), q.argmax(1))

    def _prepare(self, model: WorldModel, sizes: tuple[int, int], replay: Source, rng: torch.Generator) -> None:
        if self.learned and (self.learned.network.reader.latent, self.learned.network.reader.carried) == sizes:
            return
        if reason := self.unfit(model.schema):
            raise UserError(reason)
        self.learned = self._made(model.schema, sizes, rng)
        everything = replay.everything()
        assert everything is not None
        self.learned.network.reader.fit(everything.features)

    def _made(self, schema: Schema, sizes: tuple[int, int], rng: torch.Generator) -> Learned:
        network = QNetwork(schema, self.config, *sizes, rng)
        return Learned(network, torch.optim.Adam(network.fast.parameters(), lr=self.config.rate, fused=True))

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = {"config": asdict(self.config)}
        if (learned := self.learned) is not None:
            state |= {
                "latent": learned.network.reader.latent, "carried": learned.network.reader.carried,
                "network": learned.network.state_dict(), "optimiser": learned.optimiser.state_dict(),
                "steps_done": learned.steps_done}
        return state

    def load_state_dict(self, state: dict[str, Any], schema: Schema) -> None:
        try:
            self.config, self.learned = DeepDynaConfig(**state["config"]), None
            if "network" in state:
                made = self._made(schema, (state["latent"], state["carried"]), torch.Generator())
                made.network.load_state_dict(state["network"])
                made.optimiser.load_state_dict(state["optimiser"])
                made.steps_done = state["steps_done"]
                self.learned = made
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"this is no state of deep Dyna for '{schema.name}' ({error}); pass what state_dict() "
                            "returned, with the schema it was made for") from error

    @torch.no_grad()
    def plan(self, model: WorldModel, state: State, objective: Objective, carry: None, rng: torch.Generator,
             budget: Budget | None = None) -> Plan:
        """The best action of each of the B states, a random one with probability `epsilon`, and what likely follows."""
        if reason := self.unfit(model.schema):
            raise UserError(reason)
        every = model.schema.all_actions()

        def act(state: State, carry: Carry, t: int) -> Tensor:
            q = self.values(model, state, carry)
            return every[q.argmax(1) if t and self.learned else self._explored(q, rng) if self.learned
                         else torch.randint(len(every), (len(q),), generator=rng)]

        def others(state: State, carry: Carry) -> tuple[Tensor, Tensor]:
            q = self.values(model, state, carry)
            return every.expand(len(q), -1, -1), q

        value = self.values(model, state, objective.start(model.decode(state))).amax(1)
        plan = look(model, state, objective, act, others, value, self.config.lookahead, budget)
        done = self.learned.steps_done if self.learned else 0
        return replace(plan, statistics=plan.statistics | {"steps_done": float(done)})

    def values(self, model: WorldModel, state: State, carry: Carry) -> Tensor:
        """What each joint action is worth in N states, `[N, K]`; 0 before it learned."""
        if self.learned is None:
            return torch.zeros(tree.size(state), len(model.schema.all_actions()))
        network = self.learned.network
        return symexp(network.fast(network.reader.read(model, state, carry)))


@torch.no_grad()
def happened(network: QNetwork, model: WorldModel, batch: Batch, track: list[Start], objective: Objective) -> Lesson:
    """The real transitions of the sequences, where there are any."""
    inputs = torch.stack([network.reader.read(model, s.state, s.carry, batch.features_at(t))
                          for t, s in enumerate(track)])  # [T + 1, B, I]
    lived = real(apart(batch), 0)
    gain = objective.advance(tree.concatenate([s.carry for s in track[:-1]]), lived)[1]
    every = Lesson(inputs[:-1].flatten(0, 1), network.index(lived.action), gain, objective.discount * lived.cont,
                   inputs[1:].flatten(0, 1))
    return tree.take(every, batch.mask.T.flatten().nonzero()[:, 0])


def loss(network: QNetwork, lesson: Lesson) -> Tensor:
    """The Huber loss of the values chosen against double Q-learning's targets, in symlog."""
    with torch.no_grad():
        best = network.fast(lesson.after).argmax(1, keepdim=True)
        worth = symexp(network.slow(lesson.after).gather(1, best)[:, 0])
        target = symlog(lesson.gain + lesson.onward * worth)
    return F.smooth_l1_loss(network.fast(lesson.inputs).gather(1, lesson.index[:, None])[:, 0], target, beta=0.1)
