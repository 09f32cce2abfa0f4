"""Planning against a loop written by hand: CEM, 512 samples x 12 steps x 6 iterations, an MLP as the world model.

    python benchmarks/planning_speed.py [--quick] [--seed 0] [--json PATH]

Both arms share the same network of two hidden layers (33k weights), normalise their inputs alike, and do the same
mathematics: normal draws clamped to the bounds, kept elites, a discounted return that counts while the episode runs,
broken values last, a refit with smoothing. The hand-written arm knows nothing of features, outcomes and terms. The arms
take turns within one run; the figure is the ratio of processor times.
"""

from __future__ import annotations

import statistics
import time

import torch
from common import Figures, options
from torch import Tensor, nn

from gedanken.agent.planning.cem import CEM, CEMConfig
from gedanken.agent.planning.objective import Objective, Return
from gedanken.world.distributions import Normal
from gedanken.world.model import Batch, Outcome
from gedanken.world.schema import Feature, Features, Schema

FEATURES, ACTIONS, WIDTH = 17, 6, 164  # the sizes of a walking robot; 23*164 + 164*164 + 164*19 weights and biases: 34k
CONFIG = CEMConfig(horizon=12, samples=512, iterations=6, elites=64, kept=16)


class Network(nn.Module):
    """(x, a) -> the change of x, the reward, the logit of going on."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(FEATURES + ACTIONS, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH), nn.SiLU(),
                                    nn.Linear(WIDTH, FEATURES + 2))

    def forward(self, x: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        change, reward, goes_on = self.layers(torch.cat([x, action], 1)).split([FEATURES, 1, 1], 1)
        return x + change, reward[:, 0], (goes_on[:, 0] + 4).sigmoid()


class Model:
    """The network behind the seam: its state is its one feature, `x [N, 17]`."""

    provides = frozenset({"reward", "end"})

    def __init__(self, network: Network) -> None:
        self.network = network
        actions = tuple(Feature(f"a{k}", low=-1.0, high=1.0) for k in range(ACTIONS))
        self.schema = Schema("robot", (Feature("x", shape=(FEATURES,)),), actions, lambda o, e: o, lambda a: a)

    def initial(self, n: int) -> dict[str, Tensor]:
        return {"x": torch.zeros(n, FEATURES)}

    def observe(self, state: Features, action: Tensor | None, features: Features, reset: Tensor | None = None,
                rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return dict(features)

    def step(self, state: dict[str, Tensor], action: Tensor,
             rng: torch.Generator | None = None) -> tuple[dict[str, Tensor], Outcome]:
        x, reward, cont = self.network(state["x"], action)
        normal = Normal(self.schema.features[0], x, torch.ones(()).expand_as(x))
        zeros = torch.zeros_like(reward)
        return {"x": x}, Outcome({"x": normal}, reward, cont, torch.ones_like(zeros, dtype=torch.bool), zeros)

    def assimilate(self, state: Features, features: Features, rows: Tensor,
                   rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return {"x": torch.where(rows[:, None], features["x"], state["x"])}

    def decode(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        return state

    def loss(self, batch: Batch, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return {}


@torch.no_grad()
def by_hand(network: Network, x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """The first action `[A]` from `x [F]` and the value of its sequence: the same method, as one writes it down."""
    c = CONFIG
    mean, std = torch.zeros(c.horizon, ACTIONS), torch.full((c.horizon, ACTIONS), c.spread * 2)
    kept = None
    for _ in range(c.iterations):
        noise = torch.randn(c.horizon, c.samples, ACTIONS, generator=rng)
        actions = (mean[:, None] + std[:, None] * noise).clamp(-1, 1)
        if kept is not None:
            actions[:, : c.kept] = kept
        now, alive = x.expand(c.samples, -1), torch.ones(c.samples)
        total = torch.zeros(c.samples)
        for t in range(c.horizon):
            now, reward, cont = network(now, actions[t])
            total = total + 0.99**t * alive * reward
            alive = alive * cont
        total = torch.where(total.isnan(), -torch.inf, total)
        best, index = total.topk(c.elites)
        elites = actions[:, index]
        fresh = elites.mean(1)
        mean, std = (
            (1 - c.smoothing) * fresh + c.smoothing * mean,
            ((1 - c.smoothing) * elites.std(1, correction=0) + c.smoothing * std).clamp_min(c.least_spread * 2),
        )
        kept = elites[:, : c.kept]
    return elites[0, 0], best[0]


def main() -> None:
    args = options(__doc__ or "", seeds=(int, 5, "networks"), plans=(int, 20, "plans an arm and network"))
    torch.set_num_threads(1)
    figures = Figures()
    ratios, ours, hand, gaps = [], [], [], []
    for seed in range(args.seed, args.seed + (1 if args.quick else args.seeds)):
        torch.manual_seed(seed)
        network = Network()
        model, planner, objective = Model(network), CEM(CONFIG), Objective([Return()])
        x, rng, same = torch.randn(FEATURES), torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed)
        # With the same draws both arms find the same plan.
        plan, (action, value) = planner.plan(model, {"x": x[None]}, objective, None, rng), by_hand(network, x, same)
        gaps.append(float((plan.action[0] - action).abs().max() + (plan.value[0] - value).abs()))
        times: dict[str, list[float]] = {"ours": [], "hand": []}
        for k in range(5 if args.quick else args.plans):
            for arm in ("ours", "hand") if k % 2 else ("hand", "ours"):
                began = time.process_time()
                if arm == "ours":
                    planner.plan(model, {"x": x[None]}, objective, None, rng)
                else:
                    by_hand(network, x, rng)
                times[arm].append(time.process_time() - began)
        ours.append(1e3 * statistics.median(times["ours"]))
        hand.append(1e3 * statistics.median(times["hand"]))
        ratios.append(ours[-1] / hand[-1])
    weights = sum(p.numel() for p in network.parameters())
    figures.add(f"CEM, MLP of {weights} weights: ours / by hand", ratios, "x", "<= 1.00")
    figures.add("ours, a plan", ours, "ms")
    figures.add("by hand, a plan", hand, "ms")
    figures.add("largest difference between the two plans", gaps, "", "0")
    figures.add("imagined transitions", [72 * 512 / 1e3 / (t / 1e3) for t in ours], "thousand/s")
    figures.write(args.json)


if __name__ == "__main__":
    main()
