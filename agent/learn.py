"""M_t = L(M_{t-1}, a_{t-1}, o_t): what happened goes to memory, belief, affect and goal; the model trains on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..memory import LongTerm, Replay, Sequences, Step, Transitions
from ..world.fingerprint import fingerprint
from ..world.model import Batch, Outcome, State, WorldModel, begin
from ..world.schema import Features, Schema
from ..world.training import exact
from .goals import Limit, margins
from .mind import Mind
from .planning.exploring import matters
from .planning.objective import Carry, Objective, Transition
from .setbacks.band import departed
from .setbacks.setback import Lived


def learn(mind: Mind, schema: Schema, episode: int, step: Step, surprising: float) -> None:
    """Take in one transition: durable memory first, then what it means.

    `surprising` is the surprise in nats from which a transition is kept among the recent surprises, and noted in long-
    term memory (as data: what an environment shows is evidence, never authority).
    """
    assert step.next_features is not None
    now, after = schema.batch([step.features]), schema.batch([step.next_features])
    expected = schema.sight.withheld(now, after) if schema.sight else after
    surprise = None
    if mind.predicted is not None:
        surprise = -sum(float(d.log_prob(expected[k])[0]) for k, d in mind.predicted.features.items())
    step = in_hindsight(schema, step)
    mind.memory.append(episode, step, surprise)
    mind.recent.add(step)
    mind.reward = step.reward
    action = torch.as_tensor(np.asarray(step.action), dtype=schema.action_dtype)[None]
    came = lived(now, action, after, torch.tensor([step.reward]), torch.tensor([step.terminated]))
    as_seen, has_failed = True, False
    if mind.predicted is not None and surprise is not None:
        sought = (mind.pursuit.objective, mind.pursuit.carry) if mind.pursuit else None
        as_seen, has_failed = (bool(row) for row in verdict(mind, mind.predicted, mind.belief, sought, came, expected))
        if mind.predicted.conflict is not None:
            mind.conflicts += int(mind.predicted.conflict.sum())
        mind.affect.feel(surprise, as_seen, int(fingerprint(after)[0]))
        if surprise > surprising:
            note_surprise(mind, schema, surprise, step)
        seen = Lived(mind.recent.t - 1, mind.belief, mind.predicted, now, action, expected)
        mind.setbacks.witness(mind, seen, as_seen)
    came_true = as_seen and not has_failed
    if has_failed:
        mind.failures.add(now, action)
    if not came_true:
        # The world departed from what was imagined: plan anew.
        mind.departures += 1
        if mind.pursuit:
            mind.pursuit.plan = None
    if mind.pursuit and schema.sight and matters(schema.sight, now, after):
        mind.pursuit.plan, mind.pursuit.failed_searches = None, 0
    if mind.pursuit:
        before = mind.pursuit.carry
        mind.pursuit.carry = mind.pursuit.objective.advance(before, came)[0]
        mind.skills.witness(mind, now, action, after, came_true)
        mind.skills.reached(mind, episode, mind.pursuit.objective, before, mind.pursuit.carry, step.reward)
    mind.broken += sum(not bool(limit.holds(after)[0]) for limit in mind.limits)
    mind.features = after
    mind.belief = mind.imagining.observe(mind.belief, action, after)


def verdict(mind: Mind, predicted: Outcome, belief: State, sought: tuple[Objective, Carry] | None, came: Transition,
            expected: Features) -> tuple[Tensor, Tensor]:
    """Which of N lived steps came out as they were `predicted` from `belief`, numbers within their band; and which have
    failed, so that they are not tried again: a discrete feature came out otherwise, or a pay was made up. Numbers never
    come again to the last digit, and nothing fails by them. `expected` is what came as far as it could be foreseen."""
    is_exact = is_paid = torch.ones(len(came.action), dtype=torch.bool)
    if any(f.is_discrete for f in mind.knowledge.schema.features):
        is_exact = exact(predicted.mode, expected)
        is_paid = is_paid if sought is None else ~disappointed(*sought, predicted, came)
    return is_exact & ~departed(mind, belief, predicted, came.action, expected), ~(is_exact & is_paid)


def disappointed(objective: Objective, carry: Carry, predicted: Outcome, came: Transition) -> Tensor:
    """Which of N lived steps were imagined to attain what is pursued, and did not, `[N]`: by a pay that was made up, as
    a model makes up one where it has never been."""
    imagined = lived(came.now, came.action, predicted.mode, predicted.reward, predicted.cont < 0.5)
    promised = objective.advance(carry, imagined)[2]
    return promised & ~objective.advance(carry, came)[2] if bool(promised.any()) else promised


def in_hindsight(schema: Schema, step: Step) -> Step:
    """A step as memory keeps it: cells that it showed for the first time are taken to have been the same before, so
    that nothing is learned to appear from where the agent looks."""
    if schema.sight is None or step.next_features is None:
        return step
    return replace(step, features=schema.sight.hindsight(step.features, step.next_features))


def advance(objective: Objective, carry: Carry, now: Features, action: Tensor, after: Features, reward: Tensor,
            terminated: Tensor) -> Carry:
    """How far the goals are after N lived transitions: the new carry."""
    return objective.advance(carry, lived(now, action, after, reward, terminated))[0]


def lived(now: Features, action: Tensor, after: Features, reward: Tensor, terminated: Tensor) -> Transition:
    """N transitions that happened, as an objective judges them."""
    one, yes = torch.ones(len(action)), torch.ones(len(action), dtype=torch.bool)
    return Transition(now, action, after, reward, 1 - terminated.float(), yes, one * 0, one, 0)


def note_surprise(mind: Mind, schema: Schema, surprise: float, step: Step) -> None:
    """Keep a transition that surprised by so many nats among the recent surprises, and note it."""
    words = _in_words(schema, step)
    mind.recent.surprise(surprise, words)
    mind.memory.note(words, kind="surprise", importance=min(1.0, surprise / 20), source="environment")


def _in_words(schema: Schema, step: Step) -> str:
    """A transition in a line: the action and what changed, in the schema's names (data, never instructions)."""

    def word(name: str, value: np.ndarray) -> str:
        f = schema.feature(name)
        return f.values[int(value)] if f.kind == "category" and not f.shape else f"{value:g}" if not f.shape else "..."

    assert step.next_features is not None
    action = ", ".join(
        f"{a.name} = {word(a.name, v)}" for a, v in zip(schema.actions, np.asarray(step.action), strict=True)
    )
    changed = [
        f"{k}: {word(k, v)} -> {word(k, step.next_features[k])}"
        for k, v in step.features.items()
        if not np.array_equal(v, step.next_features[k])
    ]
    return f"{action}; " + ("; ".join(changed) or "nothing changed")


class Experience:
    """Replay as the trainer's source of batches."""

    def __init__(self, schema: Schema, replay: Replay) -> None:
        self.schema, self.replay = schema, replay

    def batch(
        self, size: int, length: int, rng: torch.Generator, held_out: bool = False, weights: np.ndarray | None = None
    ) -> Batch | None:
        if not self.replay.count(held_out):
            return None
        drawn = np.random.default_rng(int(torch.randint(2**62, (1,), generator=rng)))
        return self._tensors(self.replay.sample(size, length, drawn, held_out=held_out, weights=weights))

    def everything(self, kept: np.ndarray | None = None) -> Batch | None:
        """All training transitions, or those of them that are `kept [M]`, as sequences of one."""
        t = self.replay.transitions(held_out=False)
        if kept is not None:
            t = t.take(np.flatnonzero(kept))
        return self._singles(t)

    def first(self, count: int, held_out: bool = False, most: int | None = None) -> Batch | None:
        """Of the first `count` transitions of one side of the split the last `most` (all), as sequences of one, oldest
        first."""
        start = 0 if most is None else max(0, count - most)
        return self._singles(self.replay.transitions(held_out).take(slice(start, count)))

    def _singles(self, t: Transitions) -> Batch | None:
        if not len(t):
            return None
        features = {k: np.stack([t.features[k], t.next_features[k]], 1) for k in t.features}
        return Batch(
            self._features(features),
            self.actions(t.action[:, None]),
            _floats(t.reward[:, None]),
            torch.as_tensor(t.terminated[:, None]),
            torch.ones(len(t), 1, dtype=torch.bool),
        )

    def _tensors(self, s: Sequences) -> Batch:
        return Batch(
            self._features(s.features),
            self.actions(s.action),
            _floats(s.reward),
            torch.as_tensor(s.terminated),
            torch.as_tensor(s.mask),
        )

    def _features(self, arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
        return {f.name: torch.as_tensor(np.ascontiguousarray(arrays[f.name])).to(f.dtype) for f in self.schema.features}

    def actions(self, action: np.ndarray) -> Tensor:
        """Stored actions as the model takes them."""
        return torch.as_tensor(np.ascontiguousarray(action)).to(self.schema.action_dtype)


def _floats(values: np.ndarray) -> Tensor:
    return torch.as_tensor(np.ascontiguousarray(values), dtype=torch.float32)


def calibrate(mind: Mind, experience: Experience, limits: list[Limit], violations: float,
              horizon: int = 15) -> list[Limit]:
    """The limits with margins from the imagining model's own error on held-out sequences (on all of them where too
    few are held out), such that at most a share `violations` of what is predicted to keep them breaks them. An exact
    model needs none."""
    if not limits or "exact" in mind.learned.provides:
        return limits
    rng = torch.Generator().manual_seed(0)
    batch = experience.batch(256, horizon, rng, held_out=True) or experience.batch(256, horizon, rng)
    if batch is None:
        return limits
    return [replace(limit, margins=margins(mind.imagining, limit, batch, violations)) for limit in limits]


@torch.no_grad()
def surprises(model: WorldModel, experience: Experience, transitions: Transitions, rows: int = 8_192) -> np.ndarray:
    """How much each transition surprises the model as it is now, in nats: `[N]`."""
    schema = experience.schema
    parts = [torch.zeros(0)]
    for index in np.array_split(np.arange(len(transitions)), max(1, -(-len(transitions) // rows))):
        t = transitions.take(index)
        now, after = schema.batch(t.features), schema.batch(t.next_features)
        _, out = model.step(begin(model, now), experience.actions(t.action))
        parts.append(-torch.stack([d.log_prob(after[k]) for k, d in out.features.items()]).sum(0))
    return torch.cat(parts).numpy()


@torch.no_grad()
def accuracy(mind: Mind, experience: Experience) -> dict[str, float]:
    """One-step exact accuracy on held-out layouts: over all transitions, and, honest about rare events, over those in
    which more changed than the pointer's pose (NaN where there is none), with their count."""
    t = experience.replay.transitions(held_out=True)
    if not len(t):
        return {}
    schema = experience.schema
    now, after = schema.batch(t.features), schema.batch(t.next_features)
    model = mind.learned
    _, out = model.step(begin(model, now), experience.actions(t.action))
    if all(f.kind == "real" for f in schema.features):
        return {f"rmse {k}": float((out.mode[k] - after[k]).square().mean().sqrt()) for k in after}
    right = exact(out.mode, after)
    grid = schema.grid
    pose = {grid.x, grid.y, grid.heading} if grid else set()
    rest = {k: v for k, v in after.items() if k not in pose}
    rare = ~exact({k: now[k] for k in rest}, rest) if rest else torch.zeros_like(right)
    return {
        "exact": float(right.float().mean()),
        "exact on rare events": float(right[rare].float().mean()),
        "rare events": float(rare.sum()),
        "transitions": float(len(right)),
    }


def layout_of(memory_features: dict[str, np.ndarray], schema: Schema) -> str:
    """The name of a layout: the fingerprint of its first state. Layouts are what is held out, and what a test must
    not share with training."""
    return f"{int(fingerprint(schema.batch([memory_features]))[0]) & 0xFFFFFFFFFFFFFFFF:016x}"


def known_layouts(memory: LongTerm) -> set[str]:
    return {e.group for e in memory.episodes()}
