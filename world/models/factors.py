"""A factored world model of vectors: every feature is a slot, and every output reads only the slots it must.

    x'_i ~ p_i(x_i, {x_j : gate a, i, j is open})     a change with a learned spread for a real feature,
                                                      keep or replace for a discrete one
    r, c ~ the same, of the present slots

Which slots an output reads is learned by L0 gates, one set a joint action (where actions are continuous, or too many
to tell apart, they are slots themselves). Little data from one policy are full of features that go along with a cause
and cause nothing; a dense model leans on them, and fails as soon as they go their own way. What is left is a causal
graph in the schema's names (`reads`), and a belief: each output is a distribution, calibrated where the world is
stochastic.

The state is the features themselves, so that what was observed or corrected is exactly what the next step starts from.
N rows, R real numbers, C codes, V one-hot places, S slots read, A joint actions, O = R + C + 2 outputs, K numbers each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import UserError
from .. import tree
from ..distributions import Categorical, Distribution, Normal
from ..model import Batch, Outcome
from ..schema import Feature, Features, Schema
from ..training import TrainingConfig
from .elimination import eliminate, eliminate_refitting
from .mechanisms import Mechanism, Mechanisms, joint_names, joint_strides, parameter_groups
from .scaled import Scaled, bce
from .vector_code import VectorCode


@dataclass(frozen=True)
class FactorsConfig:
    """`width` numbers a slot, `hidden` units an output; `sparsity` is the L0 penalty a gate, `gate_rate` the gates'
    learning rate over the weights'. When training ends, a gate is closed whose closing costs less than `price` times
    log n nats over the n transitions of its action (Schwarz 1978: what a few more parameters gain by chance) and, of
    numbers, `share` nats a transition (errors below `blur` are no reason to read)."""

    width: int = 8
    hidden: int = 32
    sparsity: float = 5e-3
    gate_rate: float = 10.0
    price: float = 2.0
    share: float = 0.02
    blur: float = 0.2  # in units of the feature's usual change a step, as is `least_std`
    least_std: float = 0.02
    settle_rows: int = 4096
    refit_steps: int = 60
    refit_rate: float = 3e-3
    most_slots: int = 256
    most_actions: int = 32


@dataclass(frozen=True)
class Facts:
    """N rows of packed features: `reals [N, R]` and `codes [N, C]`."""

    reals: Tensor
    codes: Tensor


class Factors(Scaled):
    """The model; see the module's text. Raises `UserError` for a schema of more than `most_slots` numbers."""

    provides = frozenset({"reward", "end", "uncertainty", "stochastic"})
    strides: Tensor
    owner: Tensor
    place: Tensor

    def __init__(self, schema: Schema, config: FactorsConfig | None = None) -> None:
        super().__init__(schema)
        self.config = c = config or FactorsConfig()
        layout = self.layout
        self.blind("factored model")
        if layout.reals + layout.codes > c.most_slots:
            raise UserError(
                f"the factored model gives every number a slot, and '{schema.name}' has {layout.reals + layout.codes} "
                f"(at most {c.most_slots}); name arrays in the schema's grid (model='slots'), or use model='recurrent'")
        self.acts = not schema.discrete_actions or len(schema.all_actions()) > c.most_actions
        self.code = VectorCode((*schema.features, *schema.actions) if self.acts else schema.features, c.width)
        self.register_buffer("strides", joint_strides(schema), persistent=False)
        numbers = max([3 + int(n) for n in layout.count], default=3)
        self.outputs = layout.reals + layout.codes + 2
        actions = 1 if self.acts else len(schema.all_actions())
        self.mechanisms = Mechanisms(actions, self.outputs, self.code.slots, c.width, c.hidden, numbers)
        self.mechanisms.bias.data[:, -1, 0] = -5.0  # ends are rare: what never ended has nothing to learn
        # Where the logit of the v-th one-hot place stands in the outputs `[C, K]`.
        owner = torch.arange(layout.codes).repeat_interleave(layout.count)
        self.register_buffer("owner", owner, persistent=False)
        self.register_buffer("place", torch.arange(layout.places) - layout.base[owner], persistent=False)

    @staticmethod
    def recipe() -> TrainingConfig:
        """The training that suits this model: single transitions, many at once."""
        return TrainingConfig(steps=1500, min_steps=900, batch=256, length=1, rate=5e-3, check_rows=1024)

    def parameter_groups(self) -> list[dict]:
        """For AdamW: gates and constants learn faster."""
        return parameter_groups(self, self.config.gate_rate)

    # --- the seam -------------------------------------------------------------------------------------------------

    def initial(self, n: int) -> Facts:
        """Reals at their average, codes at their first value."""
        return Facts(self.mean.repeat(n, 1), self.layout.base.new_zeros(n, self.layout.codes))

    def observe(self, state: Facts, action: Tensor | None, features: Features, reset: Tensor | None = None,
                rng: torch.Generator | None = None) -> Facts:
        """Posterior: the world is fully observed, so the features alone decide."""
        return Facts(*self.layout.pack(features))

    @torch.no_grad()
    def step(self, state: Facts, action: Tensor, rng: torch.Generator | None = None) -> tuple[Facts, Outcome]:
        """One imagined step; the state carries the most likely values (or a draw, with `rng`)."""
        mechanisms = self.mechanisms
        mean, std, logits, end = self._predict(state, action, mechanisms.gates(), mechanisms.average)
        reals, odds = mean[:, :-1], logits
        if rng is not None:
            reals = reals + std[:, :-1] * torch.empty_like(reals).normal_(generator=rng)
            odds = logits - torch.empty_like(logits).exponential_(generator=rng).log()  # Gumbel: argmax is a draw
        codes = self.chosen(odds)
        features: dict[str, Distribution] = {}
        parts = (x[:, :-1].split(self.layout.real_sizes, -1) for x in (mean, std))
        for f, m, s in zip(self.layout.real, *parts, strict=True):
            features[f.name] = Normal(f, m.round().reshape(-1, *f.shape) if f.is_discrete else m.reshape(-1, *f.shape),
                                      s.reshape(-1, *f.shape))
        uncertainty = (std[:, :-1] / (self.change * self.config.least_std)).log().sum(-1)
        for f, part in zip(self.layout.discrete, self.layout.split(logits), strict=True):
            features[f.name] = Categorical(f, part)
            uncertainty = uncertainty + features[f.name].entropy()
        ok = torch.ones(len(end), dtype=torch.bool, device=end.device)
        ordered = {f.name: features[f.name] for f in self.schema.features}
        return Facts(reals, codes), Outcome(ordered, mean[:, -1], 1 - end.sigmoid(), ok, uncertainty)

    def assimilate(self, state: Facts, features: Features, rows: Tensor, rng: torch.Generator | None = None) -> Facts:
        """Take the corrected features where `rows` hold."""
        return tree.choose(rows, Facts(*self.layout.pack(features)), state)

    def decode(self, state: Facts) -> dict[str, Tensor]:
        """The features that the state is."""
        return self.layout.unpack(state.reals, state.codes)

    def loss(self, batch: Batch, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        """Errors of single steps, in nats summed over the features; means over the transitions that `mask` holds."""
        errors = self._errors(*self._flat(batch), self.mechanisms.gates(rng), is_training=rng is not None)
        if not len(errors):
            errors = errors.new_zeros(1, self.outputs)
        mean = errors.mean(0)
        return {"features": mean[:-2].sum(), "reward": mean[-2], "end": mean[-1],
                "sparsity": self.mechanisms.gates.open_probability().sum() * self.config.sparsity}

    @torch.no_grad()
    def prepare(self, everything: Batch, is_first: bool) -> None:
        """Take scales and ranges from the data; before training on more of them, open the gates a little again."""
        super().prepare(everything, is_first)
        if not is_first:
            self.mechanisms.reopen()

    def settle(self, everything: Batch) -> None:
        """When training ends, close every gate that the data do not ask for, and fix the average read."""
        c, mechanisms, flat = self.config, self.mechanisms, self._flat(everything)
        rows = torch.linspace(0, len(flat[2]) - 1, min(len(flat[2]), c.settle_rows)).long()
        data = tree.take(flat, rows)
        joint, actions = self._joint(data[2]), len(mechanisms.bias)
        count = torch.bincount(joint, minlength=actions).float()[:, None].expand(-1, self.outputs)
        rng = torch.Generator().manual_seed(0)
        fitted = [p for p in self.parameters() if p is not mechanisms.gates.log_alpha]
        optimiser = torch.optim.Adam(fitted, lr=c.refit_rate)

        @torch.no_grad()
        def cost(gates: Tensor) -> Tensor:
            errors = self._errors(*data, gates, blur=c.blur)
            return errors.new_zeros(actions, self.outputs).index_add_(0, joint, errors)

        @torch.enable_grad()
        def refit(gates: Tensor) -> None:
            for i in range(c.refit_steps):
                optimiser.param_groups[0]["lr"] = c.refit_rate * (1 - i / c.refit_steps)  # or its noise is judged, too
                batch = tree.take(data, torch.randint(len(joint), (256,), generator=rng))
                optimiser.zero_grad()
                self._errors(*batch, gates.detach(), is_training=True).mean(0).sum().backward()
                optimiser.step()

        share = torch.tensor([*[c.share] * self.layout.reals, *[0.0] * self.layout.codes, c.share, 0.0])
        price = c.price * count.log1p() + count * share
        mechanisms.close(eliminate(mechanisms.gates().detach(), cost, price))
        mechanisms.close(eliminate_refitting(mechanisms.gates().detach(), cost, price, refit))
        refit(mechanisms.gates())
        with torch.no_grad():
            mechanisms.average.copy_(self.code(*self._read(data[0], data[2])).mean(0))
        self.zero_grad()

    def reads(self) -> tuple[Mechanism, ...]:
        """The learned causal graph, in the schema's names; an element of an array by its place."""
        effects = [(name, (f.name,)) for f in (*self.layout.real, *self.layout.discrete) for name in _elements(f)]
        layout = self.code.layout
        causes = [name for f in (*layout.real, *layout.discrete) for name in _elements(f)]
        return self.mechanisms.graph([""] if self.acts else joint_names(self.schema),
                                     [*effects, ("reward", ()), ("end", ())], causes)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _predict(self, state: Facts, action: Tensor, gates: Tensor, average: Tensor | None = None,
                 ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The next numbers, the reward last: `mean` and `std [N, R + 1]` in their own units; logits of the next codes
        `[N, V]` and of the end `[N]`."""
        r, c = self.layout.reals, self.layout.codes
        out = self.mechanisms(self.code(*self._read(state, action)), self._joint(action), gates, average)
        numbers = torch.cat([out[:, :r], out[:, -2:-1]], 1)
        before = torch.cat([state.reals, self.reward_mean.expand(len(out), 1)], -1)
        mean = before + self._scale() * numbers[..., 0]
        mean = torch.cat([mean[:, :r].clamp(self.layout.low, self.layout.high), mean[:, r:]], -1)
        std = self._scale() * (F.softplus(numbers[..., 1] - 1) + self.config.least_std)
        codes = out[:, r:r + c]
        logits = codes[:, self.owner, self.place] + self.layout.moved(state.codes, codes[..., -3:].transpose(1, 2))
        return mean, std, logits, out[:, -1, 0]

    def _errors(self, now: Facts, after: Facts, action: Tensor, reward: Tensor, ended: Tensor, gates: Tensor,
                is_training: bool = False, blur: float = 0.0) -> Tensor:
        """What each output costs, `[N, O]` in nats, a number's to within a constant. A `blur` hides small errors."""
        mean, std, logits, end = self._predict(now, action, gates)
        std = (std / self._scale()).square().add(blur**2).sqrt()
        error = (torch.cat([after.reals, reward[:, None]], -1) - mean) / self._scale()
        numbers = 0.5 * (error / std).square() + std.log()
        if is_training:  # Seitzer et al. 2022 (arXiv 2203.09168): a sure feature shall not drown the others
            numbers = numbers * std.detach()
        codes = -self._padded(logits).log_softmax(-1).gather(-1, after.codes[..., None])[..., 0]
        # Ends are smoothed a little: a logit that may grow without bound keeps reading whatever makes it grow.
        over = bce(end, ended.float().clamp(0.001, 0.999))
        return torch.cat([numbers[:, :-1], codes, numbers[:, -1:], over[:, None]], -1)

    def _scale(self) -> Tensor:
        """The usual change of each number a step, the reward's last: `[R + 1]`."""
        return torch.cat([self.change, self.reward_std[None]])

    def _padded(self, logits: Tensor) -> Tensor:
        """Logits `[N, V]` to `[N, C, values]`, with nothing likely where a code has fewer values than another."""
        most = int(self.layout.count.max()) if self.layout.codes else 1
        padded = logits.new_full((len(logits), self.layout.codes, most), -math.inf)
        padded[:, self.owner, self.place] = logits
        return padded

    def _read(self, state: Facts, action: Tensor) -> tuple[Tensor, Tensor]:
        """What mechanisms read, packed: the features, and the actions where they are slots; reals in their scale."""
        reals, codes = self.scaled(state.reals), state.codes
        if not self.acts:
            return reals, codes
        _, chosen = self.act_layout.pack({f.name: action[:, i] for i, f in enumerate(self.schema.actions)})
        amounts = self.act(action)[:, : self.act_layout.reals]
        return torch.cat([reals, amounts], -1), torch.cat([codes, chosen], -1)

    def _joint(self, action: Tensor) -> Tensor:
        """Action rows `[N, A]` to the joint action's index `[N]` (0 where actions are slots)."""
        zero = torch.zeros(len(action), dtype=torch.int64, device=action.device)
        return zero if self.acts else (action.long() * self.strides).sum(-1)

    def _flat(self, batch: Batch) -> tuple[Facts, Facts, Tensor, Tensor, Tensor]:
        """All real transitions: the facts before and after, action, reward and end, `[M, ...]`."""
        reals, codes = self.layout.pack(batch.features)
        real = batch.mask
        return (Facts(reals[:, :-1][real], codes[:, :-1][real]), Facts(reals[:, 1:][real], codes[:, 1:][real]),
                batch.action[real], batch.reward[real], batch.terminated[real])


def _elements(feature: Feature) -> list[str]:
    """The names of a feature's elements: `heat`, or `heat[0, 1]`."""
    if not feature.shape:
        return [feature.name]
    return [f"{feature.name}[{', '.join(map(str, at))}]"
            for at in torch.cartesian_prod(*map(torch.arange, feature.shape)).view(-1, len(feature.shape)).tolist()]
