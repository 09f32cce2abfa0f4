"""The recurrent state space model against hand-written loops of the same mathematics: imagination, rules, training.

    python benchmarks/rssm_speed.py [--quick] [--seed 0] [--json PATH]

One thread, processor time. The hand-written loops use the model's own weights and plain torch (one-hot rows and dense
products, no distributions, no seam), and their results are compared with the model's before anything is timed. Both
sides are measured in turns, so that what else runs on the machine meets both; a figure is the median over the turns.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from common import Figures, options
from rules_speed import KITCHEN, Writer, kitchen
from torch import Tensor, nn

from gedanken.world.model import Batch, begin
from gedanken.world.models.build import build
from gedanken.world.models.rssm import RSSM
from gedanken.world.refine import Refined
from gedanken.world.rules.compile import Compiled
from gedanken.world.schema import Features
from gedanken.world.twohot import symexp, symlog


class Hand:
    """The equations of `RSSM` written out: every input one-hot, every layer one product, one step after another."""

    def __init__(self, model: RSSM) -> None:
        self.m, self.c, self.d, self.h = model, model.config, model.dynamics, model.heads

    def norm(self, x: Tensor, scale: Tensor) -> Tensor:
        return F.silu(F.rms_norm(x, x.shape[-1:], eps=1e-4) * scale)

    def read(self, reader: nn.Module, numbers: Tensor, onehot: Tensor) -> Tensor:
        return numbers @ reader.weight.T + onehot @ reader.codes.weight

    def move(self, deter: Tensor, stoch: Tensor, seen: Tensor, onehot: Tensor, action: Tensor) -> Tensor:
        """The block GRU: `stoch [N, S K]` one-hot, `action [N, actions]` one-hot."""
        m, c, d = self.m, self.c, self.d
        given = self.read(m.read_features, seen, onehot) + action @ m.read_action.codes.weight
        parts = [deter @ d.read_deter.weight[: c.hidden].T + d.read_deter.bias[: c.hidden],
                 stoch @ d.read_stoch.weight, given]
        x = torch.cat([self.norm(p, s) for p, s in zip(parts, d.inputs_norm.scale, strict=True)], -1)
        blocks = deter.view(len(deter), c.blocks, -1)
        x = self.norm(F.linear(x, d.shared.weight, d.shared.bias)
                      + torch.einsum("ngi,gio->ngo", blocks, d.within).flatten(1), d.norm.scale)
        gates = torch.einsum("ngi,gio->ngo", x.view_as(blocks), d.gates) + d.gates_bias[:, 0]
        reset, candidate, update = gates.chunk(3, -1)
        update = torch.sigmoid(update - 1)
        return (update * torch.tanh(torch.sigmoid(reset) * candidate) + (1 - update) * blocks).flatten(1)

    def probs(self, logits: Tensor) -> Tensor:
        p = logits.unflatten(-1, (self.c.latents, self.c.classes)).softmax(-1)
        return (1 - self.c.unimix) * p + self.c.unimix / self.c.classes

    def prior(self, deter: Tensor) -> Tensor:
        a, na, b, nb, out = self.d.prior
        x = self.norm(F.linear(deter, a.weight, a.bias), na.scale)
        return self.probs(F.linear(self.norm(F.linear(x, b.weight, b.bias), nb.scale), out.weight, out.bias))

    def posterior(self, deter: Tensor, seen: Tensor, onehot: Tensor) -> Tensor:
        norm, line = self.m.tokens
        tokens = F.linear(self.norm(self.read(self.m.encode, seen, onehot), norm.scale), line.weight, line.bias)
        h, (norm, out) = self.c.hidden, self.d.posterior
        read = F.linear(deter, self.d.read_deter.weight[h:], self.d.read_deter.bias[h:])
        return self.probs(F.linear(self.norm(read + tokens, norm.scale), out.weight, out.bias))

    def draw(self, probs: Tensor, uniform: Tensor) -> Tensor:
        """One-hot draws `[N, S K]`."""
        codes = (probs.cumsum(-1) < uniform).sum(-1).clamp_max(self.c.classes - 1)
        return F.one_hot(codes, self.c.classes).to(probs.dtype)

    def heads(self, deter: Tensor, stoch: Tensor, seen: Tensor, onehot: Tensor) -> tuple[Tensor, ...]:
        """Move, spread, logits and the part of reward and end."""
        h, layout, u = self.h, self.m.layout, self.c.units
        x = F.linear(deter, h.read_deter.weight, h.read_deter.bias) + stoch @ h.read_stoch.weight
        hidden = self.norm(x[:, :u] + self.read(h.read_before, seen, onehot), h.features_norm.scale)
        r, v, c = layout.reals, layout.places, layout.codes
        move, spread, logits, bonus = F.linear(hidden, h.features.weight, h.features.bias).split([r, r, v, 3 * c], -1)
        at = torch.cat([part.argmax(-1, keepdim=True) for part in onehot.split(layout.count.tolist(), -1)], -1)
        logits = logits + layout.moved(at, bonus.view(-1, 3, c))
        return move, F.softplus(spread - 1) + self.c.least_std, logits, x[:, u:]

    def outlook(self, part: Tensor, seen: Tensor, onehot: Tensor) -> tuple[Tensor, Tensor]:
        h = self.h
        x = part + self.read(h.read_after, torch.cat([seen, seen.square()], -1), onehot)
        x = self.norm(x.view(len(x), 2, -1), h.outlook_norm.scale)
        return F.linear(x[:, 0], h.reward.weight, h.reward.bias), F.linear(x[:, 1], h.cont.weight, h.cont.bias)[:, 0]

    def seen(self, reals: Tensor) -> Tensor:
        m = self.m
        return symlog((torch.maximum(torch.minimum(reals, m.most), m.least) - m.mean) / m.std)

    def step(self, state: tuple[Tensor, ...], action: Tensor, rng: torch.Generator) -> tuple[tuple[Tensor, ...], ...]:
        """One imagined step of (deter, one-hot latents, reals, one-hot codes): the next, and (reward, cont)."""
        deter, stoch, reals, onehot = state
        layout, seen = self.m.layout, self.seen(reals)
        deter = self.move(deter, stoch, seen, onehot, F.one_hot(action[:, 0], 8).float())
        stoch = self.draw(self.prior(deter), torch.rand(len(deter), self.c.latents, 1, generator=rng)).flatten(1)
        move, spread, logits, part = self.heads(deter, stoch, seen, onehot)
        far = symexp(move)
        mean = (reals + self.m.change * far).clamp(layout.low, layout.high)
        reals = mean + self.m.change * spread * (1 + far.abs()) * torch.randn(mean.shape, generator=rng)
        odds = logits.split(layout.count.tolist(), -1)
        onehot = torch.cat([F.one_hot(self.picked(p.softmax(-1), rng), p.shape[-1]) for p in odds], -1).float()
        reward, cont = self.outlook(part, self.seen(reals), onehot)
        return (deter, stoch, reals, onehot), (self.h.twohot.decode(reward), cont.sigmoid())

    def picked(self, probs: Tensor, rng: torch.Generator) -> Tensor:
        u = torch.rand(len(probs), 1, generator=rng)
        return (probs.cumsum(-1) < u).sum(-1).clamp_max(probs.shape[-1] - 1)

    def loss(self, batch: Batch, rng: torch.Generator) -> Tensor:
        """The training loss, one observed time step after another; what needs no order is done for all at once."""
        m, c = self.m, self.c
        reals, codes = (x.transpose(0, 1) for x in m.layout.pack(batch.features))
        onehot, seen = m.layout.onehot(codes), self.seen(reals)
        action, reward = F.one_hot(batch.action[..., 0].T, 8).float(), batch.reward.T
        uniform = torch.rand(len(reals), reals.shape[1], c.latents, 1, generator=rng)
        deter, stoch, deters, stochs, posteriors = reals.new_zeros(reals.shape[1], c.deter), None, [], [], []
        for t in range(len(reals)):
            if stoch is not None:
                deter = self.move(deter, stoch, seen[t - 1], onehot[t - 1], action[t - 1])
            q = self.posterior(deter, seen[t], onehot[t])
            stoch = (self.draw(q, uniform[t]) + q - q.detach()).flatten(1)
            deters.append(deter)
            stochs.append(stoch)
            posteriors.append(q)
        deter, stoch, q = (torch.cat(x[1:]) for x in (deters, stochs, posteriors))
        p = self.prior(deter)
        was, now = seen[:-1].flatten(0, 1), seen[1:].flatten(0, 1)
        move, spread, logits, part = self.heads(deter, stoch, was, onehot[:-1].flatten(0, 1))
        pay, cont = self.outlook(part, now, onehot[1:].flatten(0, 1))
        target = symlog((reals[1:] - reals[:-1]).flatten(0, 1) / m.change)
        nll = ((0.5 * ((target - move) / spread).square() + spread.log()) * spread.detach()).sum(-1)
        for i, odds in enumerate(logits.split(m.layout.count.tolist(), -1)):
            nll = nll + F.cross_entropy(odds, codes[1:, :, i].flatten(), reduction="none")

        def divergence(q: Tensor, p: Tensor) -> Tensor:
            return (q * (q.log() - p.log())).sum((-1, -2)).clamp_min(c.free_nats)

        two, logp = self.h.twohot.encode(reward.flatten()), pay.log_softmax(-1)
        ends = F.binary_cross_entropy_with_logits(cont, 1 - batch.terminated.T.flatten().float(), reduction="none")
        kl = c.beta_dyn * divergence(q.detach(), p) + c.beta_rep * divergence(q, p.detach())
        return (kl + nll - (two * logp).sum(-1) + ends).mean()


def in_turns(calls: list[Callable[[], object]], budget: float) -> list[float]:
    """The median processor time of each call; they take turns, after one to warm up, at least three times."""
    times: list[list[float]] = [[] for _ in calls]
    for call in calls:
        call()
    while len(times[0]) < 3 or sum(map(sum, times)) < budget * len(calls):
        for own, call in zip(times, calls, strict=True):
            start = time.thread_time()
            call()
            own.append(time.thread_time() - start)
    return [statistics.median(own) for own in times]


def imagination(figures: Figures, seeds: range, budget: float, size: str, n: int, horizon: int) -> None:
    """Rows a second of `horizon` steps with an actor in the loop: the model, refined by 64 rules, and by hand."""
    rows: dict[str, list[float]] = {"model": [], "rules": [], "unassimilated": [], "hand": []}
    for seed in seeds:
        torch.manual_seed(seed)
        model = build(f"rssm-{size}", KITCHEN)
        assert isinstance(model, RSSM)
        for p in model.heads.parameters():  # an untrained head is zero: draws and rules then meet what no model says
            p.data.add_(0.02 * torch.randn_like(p))
        model.requires_grad_(False)
        rng = torch.Generator().manual_seed(seed)
        now, _ = kitchen(n, rng)
        state, hand = begin(model, now), Hand(model)
        actor = nn.Sequential(nn.Linear(model.latent_size, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(),
                              nn.Linear(128, 8)).requires_grad_(False)
        compiled = Compiled(KITCHEN, Writer(KITCHEN, seed).rules(64))
        refined, loose = Refined(model, compiled), Refined(model, compiled, assimilate="never")
        onehot = model.layout.onehot(state.codes)
        begun = (state.deter, F.one_hot(state.stoch, model.config.classes).flatten(1).float(), state.reals, onehot)
        check(model, hand, state, begun)

        def act(latent: Tensor, actor: nn.Sequential = actor) -> Tensor:
            return actor(latent).argmax(-1, keepdim=True)

        def run(world: RSSM | Refined, model: RSSM = model, now: Features = now) -> None:
            start, random = begin(world, now), torch.Generator().manual_seed(0)
            for _ in range(horizon):
                inner = start.inner if isinstance(world, Refined) else start
                start, _ = world.step(start, act(model.latent(inner)), random)

        def by_hand(hand: Hand = hand, begun: tuple[Tensor, ...] = begun) -> None:
            state, random = begun, torch.Generator().manual_seed(0)
            for _ in range(horizon):
                state, _ = hand.step(state, act(torch.cat(state[:2], -1)), random)

        calls = [partial(run, model), partial(run, refined), partial(run, loose), by_hand]
        for name, seconds in zip(rows, in_turns(calls, budget), strict=True):
            rows[name].append(n * horizon / seconds)
        parameters = sum(p.numel() for p in model.parameters()) / 1e6
    what = f"imagined transitions, {parameters:.2f}M parameters, {n:,} rows"
    figures.add(f"{what}, by hand", rows["hand"], "1/s")
    figures.add(f"{what}, the model", rows["model"], "1/s", ">= 15,000" if size == "1m" else "")
    figures.add(f"{what}, 64 rules", rows["rules"], "1/s")
    ratios = {k: [a / b for a, b in zip(rows[k], rows["hand"], strict=True)] for k in rows}
    figures.add("the model beside the hand-written loop", ratios["model"], "ratio", ">= 1.0")
    for name, kind in (("rules", "64 rules"), ("unassimilated", "64 rules, not assimilated")):
        more = [a / b - 1 for a, b in zip(rows["model"], rows[name], strict=True)]
        figures.add(f"{kind}: time added", more, "share", "<= 0.1" if name == "rules" else "")


def check(model: RSSM, hand: Hand, state: object, begun: tuple[Tensor, ...]) -> None:
    """The two are the same mathematics: deterministic part, prior and outlook agree."""
    action = torch.zeros(len(begun[0]), 1, dtype=torch.int64)
    after, _ = model.step(state, action)
    deter = hand.move(*begun[:2], hand.seen(begun[2]), begun[3], F.one_hot(action[:, 0], 8).float())
    assert torch.allclose(after.deter, deter, atol=1e-4)
    assert torch.allclose(model.dynamics.imagined(deter), hand.prior(deter), atol=1e-4)


def training(figures: Figures, seeds: range, budget: float, size: str, b: int, t: int) -> None:
    """One step of training, loss and gradients and AdamW, `b` sequences of `t` transitions."""
    rows: dict[str, list[float]] = {"model": [], "hand": []}
    for seed in seeds:
        torch.manual_seed(seed)
        model = build(f"rssm-{size}", KITCHEN)
        assert isinstance(model, RSSM)
        rng = torch.Generator().manual_seed(seed)
        flat, _ = kitchen(b * (t + 1), rng)
        batch = Batch({k: v.view(b, t + 1, *v.shape[1:]) for k, v in flat.items()},
                      torch.randint(8, (b, t, 1), generator=rng), torch.randn(b, t, generator=rng),
                      torch.rand(b, t, generator=rng) < 0.02, torch.ones(b, t, dtype=torch.bool))
        model.prepare(batch, is_first=True)
        hand, optimiser = Hand(model), torch.optim.AdamW(model.parameter_groups(), lr=1e-4)
        ours, theirs = (f(batch, torch.Generator().manual_seed(1)) for f in (model.loss, hand.loss))
        assert torch.allclose(sum(ours.values()), theirs, rtol=1e-3)

        def step(loss: Callable[[], Tensor], optimiser: torch.optim.Optimizer = optimiser) -> None:
            optimiser.zero_grad()
            loss().backward()
            optimiser.step()

        calls = [partial(step, lambda model=model, batch=batch, rng=rng: sum(model.loss(batch, rng).values())),
                 partial(step, lambda hand=hand, batch=batch, rng=rng: hand.loss(batch, rng))]
        for name, seconds in zip(rows, in_turns(calls, budget), strict=True):
            rows[name].append(seconds * 1e3)
    figures.add(f"training step {b} x {t}, by hand", rows["hand"], "ms")
    figures.add(f"training step {b} x {t}, the model", rows["model"], "ms")
    ratios = [a / c for a, c in zip(rows["model"], rows["hand"], strict=True)]
    figures.add("the model's training beside the hand-written one", ratios, "ratio", "<= 1.1")


def main() -> None:
    args = options(__doc__ or "", seeds=(int, 3, "sets of weights and rules"), budget=(float, 2.0, "seconds a figure"),
                   parts=(str, "imagination,training", "which parts"))
    torch.set_num_threads(1)
    figures = Figures()
    seeds = range(args.seed, args.seed + (1 if args.quick else args.seeds))
    size, budget = ("200k", 0.5) if args.quick else ("1m", args.budget)
    if "imagination" in args.parts:
        imagination(figures, seeds, budget, size, n=256 if args.quick else 1_024, horizon=5 if args.quick else 10)
    if "training" in args.parts:
        training(figures, seeds, budget, size, 16, 16 if args.quick else 64)
    figures.write(args.json)


if __name__ == "__main__":
    main()
