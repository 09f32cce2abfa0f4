"""Effect: what a rule changes in the model's prediction error, on transitions the model was not trained on.

Error is the negative log-likelihood of what came (next features, end, reward), in nats a transition. Alone, a rule is
simply added to the model that is there. Jointly, the rules are experts whose weights are fitted,

    p_w(x' | s, a) ∝ p_0^β · Π_j (p_j / p_0)^{w_j},    w_j >= 0,

p_0 the model and p_j the model corrected by rule j, factor by factor and normalised exactly. This is a log-linear
model, so that the error is convex in (β, w); an L2 penalty is chosen by cross-validation, β is the one temperature.
Where two rules say the same the earlier keeps the weight: a redundant rule gets about none, and so does a harmful one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from ..distributions import FLOOR, Board, Distribution, Normal, encode
from ..model import Outcome, WorldModel, begin
from ..rules.compile import Compiled
from ..rules.syntax import Rule
from ..schema import Schema
from .verdicts import as_rows

if TYPE_CHECKING:
    from ...memory.experience.record import Transitions

PENALTIES = (1e-3, 1e-2, 1e-1)
FOLDS = 4
LATER = 1e-3
"""What a unit of weight costs more for every rule that stands before, in nats: breaks ties between equal rules."""
MOST = 4.0
"""A rule's largest weight; 1 is the rule as compiled."""
LEAST_SPREAD = 1e-2
"""No prediction of a real feature is taken to be surer than this share of how far the feature itself spreads."""
SURE = 3.0
"""Standard errors below zero at which a rule is called harmful."""
ROWS = 4096


@dataclass(frozen=True)
class Effect:
    """What a rule changes, in nats a transition; above 0 it helps. `alone`: added to the model, with its standard error
    `spread`; `joint`: beside all the others, when it is left out of them; `weight`: what it weighs there."""

    rule: Rule
    alone: float
    spread: float
    joint: float
    weight: float
    rows: int  # on which it changes what is predicted

    @property
    def is_harmful(self) -> bool:
        """Whether it surely makes the model worse."""
        return self.alone < -SURE * max(self.spread, 1e-12)


def effects(rules: Sequence[Rule], model: WorldModel, held_out: Transitions, schema: Schema) -> list[Effect]:
    """The effect of each rule on `model`'s one-step predictions of the `held_out` transitions (which are seen one by
    one: the model's belief starts anew at each). Rules that correct no prediction have none. At most `ROWS` are used.
    """
    if not rules or not len(held_out):
        return [Effect(rule, 0.0, 0.0, 0.0, 0.0, 0) for rule in rules]
    held_out = held_out.take(np.unique(np.linspace(0, len(held_out) - 1, min(ROWS, len(held_out))).astype(int)))
    factors = _factors(rules, model, held_out, schema)
    n, count = len(held_out), len(rules)
    one = torch.eye(count, dtype=torch.float64)
    base = _error(factors, torch.zeros(count, dtype=torch.float64), torch.ones((), dtype=torch.float64), n)
    gains = torch.stack([base - _error(factors, w, torch.ones((), dtype=torch.float64), n) for w in one])    # [R, N]
    fold = torch.arange(n) * FOLDS // n
    penalty = min(PENALTIES, key=lambda p: float(_validated(factors, fold, count, n, p)[0].mean()))
    whole, without = _validated(factors, fold, count, n, penalty)
    weight, _ = _fitted(factors, torch.ones(n, dtype=torch.bool), count, n, penalty)
    touched = [len({int(r) for f in factors for r in f.row[f.changed[:, j]]}) for j in range(count)]
    return [Effect(rule, float(gains[j].mean()), float(gains[j].std(correction=0)) / math.sqrt(n),
                   float((without[j] - whole).mean()), float(weight[j]), touched[j]) for j, rule in enumerate(rules)]


# --- experts, factor by factor ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Factors:
    """Independent factors that some rule changes, F of them: their `row [F]`, and the natural parameters of the model's
    distribution (`own`) and what each of R rules adds to it (`more`), for an outcome `seen`; `changed [F, R]`.

    Categorical: parameters are log-probabilities `[F, V]`, `[F, R, V]`, outcomes codes `[F]`. Normal: parameters are
    (mean / variance, 1 / variance) `[F, 2]`, `[F, R, 2]`, outcomes numbers `[F]`.
    """

    is_normal: bool
    row: Tensor
    own: Tensor
    more: Tensor
    seen: Tensor

    @property
    def changed(self) -> Tensor:
        return self.more.abs().amax(-1) > 1e-9

    def error(self, weight: Tensor, scale: Tensor) -> Tensor:
        """Negative log-likelihood of each factor, `[F]`, in nats."""
        natural = scale * self.own + torch.einsum("frv,r->fv", self.more, weight)
        if not self.is_normal:
            return natural.logsumexp(-1) - natural.gather(-1, self.seen[:, None])[:, 0]
        h, precision = natural[:, 0], natural[:, 1].clamp_min(1e-12)
        square = precision * self.seen.square() - 2 * h * self.seen + h.square() / precision
        return 0.5 * (square - precision.log() + math.log(2 * math.pi))


@torch.no_grad()
def _factors(rules: Sequence[Rule], model: WorldModel, held_out: Transitions, schema: Schema) -> list[_Factors]:
    rows = as_rows(schema, held_out)
    assert rows.action is not None
    state = begin(model, rows.now)
    _, predicted = model.step(state, rows.action)
    corrected = [Compiled(schema, [rule]).correct(rows.now, rows.action, predicted) for rule in rules]
    assert rows.next is not None
    found = [_of_feature(predicted.features[f.name], [c.features[f.name] for c in corrected], rows.next[f.name])
             for f in schema.features]
    reward, ended = torch.as_tensor(held_out.reward), torch.as_tensor(held_out.terminated)
    found.append(_categorical([_of_end(o) for o in (predicted, *corrected)], ended.long()[:, None]))
    spread = float((reward - predicted.reward).std(correction=0)) + 1e-2
    means = [(o.reward[:, None], torch.full((len(reward), 1), spread)) for o in (predicted, *corrected)]
    found.append(_normal(means, reward[:, None]))
    return [f for f in found if len(f.row)]


def _of_feature(own: Distribution, corrected: Sequence[Distribution], seen: Tensor) -> _Factors:
    if not isinstance(own, Normal):
        first = _log_probs(own)
        tables = [first if d is own else _log_probs(d) for d in corrected]
        return _categorical([first, *tables], encode(own.feature, seen).view(len(seen), -1))
    least = LEAST_SPREAD * float(seen.float().std(correction=0)) + 1e-6
    parts = []
    for d in (own, *corrected):
        assert isinstance(d, Normal)
        parts.append((d.mean.view(len(seen), -1), d.std.clamp_min(least).view(len(seen), -1)))
    return _normal(parts, seen.float().view(len(seen), -1))


def _categorical(tables: Sequence[Tensor], codes: Tensor) -> _Factors:
    """`tables` are log-probabilities `[N, K, V]`, the model's first; `codes [N, K]`."""
    own = tables[0]
    differs = torch.stack([(t - own).abs().amax(-1) > 1e-6 for t in tables]).any(0)
    row, cell = differs.nonzero(as_tuple=True)
    more = [(t[row, cell] - own[row, cell]).double() for t in tables[1:]]
    return _Factors(False, row, own[row, cell].double(), torch.stack(more, 1), codes[row, cell])


def _normal(parts: Sequence[tuple[Tensor, Tensor]], seen: Tensor) -> _Factors:
    """`parts` are (mean, std), each `[N, K]`, the model's first; `seen [N, K]`."""
    natural = [torch.stack([m.double() / s.double() ** 2, s.double() ** -2], -1) for m, s in parts]
    own = natural[0]
    row, cell = torch.stack([(x - own).abs().amax(-1) > 1e-9 for x in natural]).any(0).nonzero(as_tuple=True)
    more = [x[row, cell] - own[row, cell] for x in natural[1:]]
    return _Factors(True, row, own[row, cell], torch.stack(more, 1), seen[row, cell].double())


def _log_probs(d: Distribution) -> Tensor:
    """Log-probabilities with the floor mixed in, `[N, K, V]`."""
    assert not isinstance(d, Normal)
    if isinstance(d, Board):
        v = d.logits.shape[-1]
        certain = torch.nn.functional.one_hot(d.known.long(), v).float()    # [N, C, V]
        for k in range(d.index.shape[1]):
            rows = (d.index[:, k] >= 0).nonzero()[:, 0]
            certain[rows, d.index[rows, k]] = d.logits[rows, k].softmax(-1)
        return torch.log((1 - FLOOR) * certain + FLOOR / v)
    table = d.log_probs()
    return table.flatten(1, -2) if table.dim() > 2 else table[:, None]


def _of_end(outcome: Outcome) -> Tensor:
    """Log-probabilities that the episode goes on and that it ends, `[N, 1, 2]`."""
    cont = (1 - FLOOR) * outcome.cont + FLOOR / 2
    return torch.stack([cont, 1 - cont], -1).log()[:, None]


# --- joint weights ----------------------------------------------------------------------------------------------------


def _error(factors: Sequence[_Factors], weight: Tensor, scale: Tensor, n: int) -> Tensor:
    """Error of each row `[N]`, of the factors that any rule changes."""
    total = torch.zeros(n, dtype=torch.float64)
    for f in factors:
        total = total.index_add(0, f.row, f.error(weight, scale))
    return total


def _fitted(factors: Sequence[_Factors], rows: Tensor, count: int, n: int, penalty: float) -> tuple[Tensor, Tensor]:
    """Weights `[R]` and the temperature's inverse, fitted on `rows [N]`."""
    some = [_taken(f, rows[f.row]) for f in factors]
    size, rank = int(rows.sum()), LATER * torch.arange(count)

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        point = torch.tensor(x, requires_grad=True)
        weight, scale = point[:count], point[count]
        loss = sum((f.error(weight, scale).sum() for f in some), torch.zeros((), dtype=torch.float64)) / size
        loss = loss + penalty * (weight.square().sum() + (scale - 1).square()) / 2 + (rank * weight).sum()
        (gradient,) = torch.autograd.grad(loss, point)
        return float(loss.detach()), gradient.numpy()

    start = np.concatenate([np.full(count, 0.5), [1.0]])
    best = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=[(0.0, MOST)] * count + [(0.2, 5.0)])
    return torch.tensor(best.x[:count]), torch.tensor(best.x[count])


def _validated(factors: Sequence[_Factors], fold: Tensor, count: int, n: int, penalty: float
               ) -> tuple[Tensor, list[Tensor]]:
    """Error of each row under weights fitted on the other folds `[N]`, and what it is with each rule left out."""
    whole, without = torch.zeros(n, dtype=torch.float64), [torch.zeros(n, dtype=torch.float64) for _ in range(count)]
    for k in range(FOLDS):
        rows = fold == k
        if not rows.any() or rows.all():
            continue
        weight, scale = _fitted(factors, ~rows, count, n, penalty)
        part = [_taken(f, rows[f.row]) for f in factors]
        whole = whole + _error(part, weight, scale, n)
        for j in range(count):
            less = weight.clone()
            less[j] = 0.0
            without[j] = without[j] + _error(part, less, scale, n)
    return whole, without


def _taken(f: _Factors, keep: Tensor) -> _Factors:
    return replace(f, row=f.row[keep], own=f.own[keep], more=f.more[keep], seen=f.seen[keep])
