"""Actions as distributions: categorical where discrete, normal where continuous, a product of both where mixed.

Letters: A action features, of which C are discrete with V values in all and R continuous; M joint discrete actions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ....world import tree
from ....world.models.layout import Layout
from ....world.schema import Schema

UNIMIX = 0.01
"""Share of the uniform mixed into every discrete choice: no action is ever given up (arXiv 2301.04104)."""
LEAST_STD, MOST_STD = 0.1, 1.0
"""Of a continuous action, in halves of its range."""


@dataclass(frozen=True)
class Choice:
    """What was drawn: `codes [..., C]` and `reals [..., R]`, in halves of the action's range and not yet clamped, so
    that its probability can be told."""

    codes: Tensor
    reals: Tensor


@dataclass(frozen=True)
class Policy:
    """A distribution over actions a row: `logs` a discrete action, normalised log-probabilities `[..., values]`;
    `mean` and `std [..., R]` of the continuous ones."""

    logs: tuple[Tensor, ...]
    mean: Tensor
    std: Tensor

    def sample(self, rng: torch.Generator) -> Choice:
        # Gumbel's trick: the argmax of noisy logits is a draw.
        codes = [(log - torch.empty_like(log).exponential_(generator=rng).log()).argmax(-1) for log in self.logs]
        reals = self.mean + self.std * torch.empty_like(self.mean).normal_(generator=rng)
        return Choice(self._stacked(codes), reals)

    def mode(self) -> Choice:
        return Choice(self._stacked([log.argmax(-1) for log in self.logs]), self.mean)

    def log_prob(self, choice: Choice) -> Tensor:
        """Of whole actions, `[...]`."""
        z = (choice.reals - self.mean) / self.std
        total = (-0.5 * z.square() - self.std.log() - 0.5 * math.log(2 * math.pi)).sum(-1)
        for k, log in enumerate(self.logs):
            total = total + log.gather(-1, choice.codes[..., k, None])[..., 0]
        return total

    def entropy(self) -> Tensor:
        """In nats, `[...]`."""
        total = (self.std.log() + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)
        for log in self.logs:
            total = total - (log.exp() * log).sum(-1)
        return total

    def joint(self) -> Tensor:
        """Log-probabilities `[N, M]` of all joint actions of a discrete world, ordered as `Schema.all_actions`."""
        total = self.logs[0]
        for log in self.logs[1:]:
            total = (total[..., :, None] + log[..., None, :]).flatten(-2)
        return total

    def _stacked(self, codes: list[Tensor]) -> Tensor:
        return torch.stack(codes, -1) if codes else self.mean[..., :0].long()


class Actions:
    """The actions of a schema as a policy sees them: `parameters` numbers a row make a `Policy`, a `Choice` makes an
    action row `[..., A]`."""

    def __init__(self, schema: Schema) -> None:
        self.schema, self.layout = schema, Layout(schema.actions)
        self.counts = [int(n) for n in self.layout.count]
        self.parameters = self.layout.places + 2 * self.layout.reals

    @staticmethod
    def unfit(schema: Schema) -> str | None:
        """Why no policy can choose among a schema's actions, or None."""
        endless = [a.name for a in schema.actions if a.is_discrete and a.cardinality is None]
        if endless:
            return (f"the action '{endless[0]}' of '{schema.name}' is an integer without bounds, which no policy can "
                    "list; give it `low` and `high` in the schema")
        return None if schema.actions else f"'{schema.name}' has no actions, so that there is nothing to choose"

    def policy(self, parameters: Tensor) -> Policy:
        """The distribution with `parameters [..., P]`."""
        logits, mean, spread = parameters.split([self.layout.places, self.layout.reals, self.layout.reals], -1)
        logs = tuple(((1 - UNIMIX) * part.softmax(-1) + UNIMIX / n).log()
                     for part, n in zip(logits.split(self.counts, -1), self.counts, strict=True))
        std = LEAST_STD + (MOST_STD - LEAST_STD) * (spread + 2.0).sigmoid()
        return Policy(logs, mean.tanh(), std)

    def row(self, choice: Choice) -> Tensor:
        """The action `[..., A]` that a choice stands for, inside its bounds."""
        discrete, real = self._columns
        out = choice.reals.new_empty(*choice.reals.shape[:-1], len(self.schema.actions))
        out[..., discrete] = choice.codes.to(out)
        out[..., real] = self._middle + self._half * choice.reals
        return self.schema.clamp(out.to(self.schema.action_dtype))

    def alternatives(self, policy: Policy, rng: torch.Generator, most: int = 64) -> tuple[Tensor, Tensor]:
        """All joint actions where there are at most `most`, else so many draws, for each of N rows `[N, K, A]`; and
        their log-probabilities `[N, K]`."""
        n = len(policy.mean)
        lists = self.schema.discrete_actions and math.prod(self.counts) <= most
        every = self.schema.all_actions() if lists else None
        many = tree.repeat(policy, most if every is None else len(every))
        drawn = many.sample(rng) if every is None else Choice(every.repeat(n, 1), many.mean)
        return self.row(drawn).view(n, -1, len(self.schema.actions)), many.log_prob(drawn).view(n, -1)

    @cached_property
    def _columns(self) -> tuple[list[int], list[int]]:
        discrete = [k for k, a in enumerate(self.schema.actions) if a.cardinality is not None]
        return discrete, [k for k, a in enumerate(self.schema.actions) if a.cardinality is None]

    @cached_property
    def _half(self) -> Tensor:
        half = (self.layout.high - self.layout.low) / 2
        return torch.where(half.isfinite(), half, torch.ones_like(half))

    @cached_property
    def _middle(self) -> Tensor:
        # An action without bounds is looked for around 0, one with a single bound beside it.
        low, high = self.layout.low, self.layout.high
        middle = (low + high) / 2
        return torch.where(middle.isfinite(), middle, torch.zeros_like(middle).clamp(low + 1, high - 1))
