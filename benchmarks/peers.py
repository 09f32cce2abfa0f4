"""The same plan with a peer's planner, where the peer is installed: one network, one method, one run.

    python benchmarks/peers.py [--quick] [--seed 0] [--json PATH]

CEM, 512 samples x 12 steps x 6 iterations and 64 elites over the network of `planning_speed.py`, for one state and for
16 at once, with torchrl's `CEMPlanner` (its world model as a `ModelBasedEnvBase`) and stable-worldmodel's `CEMSolver`
(whose cost function is the rollout by hand). Neither is a dependency: `pip install torchrl tensordict` and
`pip install stable-worldmodel`; what is not there is left out, and said.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from common import Figures, options
from planning_speed import ACTIONS, CONFIG, FEATURES, Model, Network
from torch import Tensor

from gedanken.agent.planning.cem import CEM
from gedanken.agent.planning.objective import Objective, Return

Plan = Callable[[Tensor], Any]
"""Plans for states `[B, F]`."""


def ours(network: Network, seed: int) -> Plan:
    model, planner, objective = Model(network), CEM(CONFIG), Objective([Return()])
    rng = torch.Generator().manual_seed(seed)
    return lambda x: planner.plan(model, {"x": x}, objective, None, rng)


def torchrl(network: Network, seed: int) -> Plan:
    from tensordict import TensorDict, TensorDictBase
    from torchrl.data import Bounded, Composite, Unbounded
    from torchrl.envs.model_based import ModelBasedEnvBase
    from torchrl.modules import CEMPlanner

    class World(ModelBasedEnvBase):  # type: ignore[misc]
        """The network as torchrl's environment; an end is a discount, as ours has it."""

        def __init__(self) -> None:
            super().__init__(network, device="cpu", batch_size=[])
            self.observation_spec = Composite(x=Unbounded((FEATURES,)), alive=Unbounded((1,)))
            self.state_spec = self.observation_spec.clone()
            self.action_spec = Bounded(-1.0, 1.0, (ACTIONS,))
            self.reward_spec = Unbounded((1,))

        def _step(self, tensordict: TensorDictBase) -> TensorDictBase:
            shape = tensordict.batch_size
            x, reward, cont = network(tensordict["x"].flatten(0, -2), tensordict["action"].flatten(0, -2))
            alive = tensordict["alive"]
            done = torch.zeros(*shape, 1, dtype=torch.bool)
            following = {"x": x.view(*shape, -1), "alive": 0.99 * alive * cont.view(*shape, 1)}
            paid = {"reward": alive * reward.view(*shape, 1), "done": done, "terminated": done.clone()}
            return TensorDict(following | paid, shape)

        def _reset(self, tensordict: TensorDictBase) -> TensorDictBase:
            return tensordict

        def _set_seed(self, seed: int | None) -> None:
            torch.manual_seed(seed or 0)

    planner = CEMPlanner(World(), CONFIG.horizon, CONFIG.iterations, CONFIG.samples, CONFIG.elites)

    def plan(x: Tensor) -> Any:
        return planner.planning(TensorDict({"x": x, "alive": torch.ones(len(x), 1)}, [len(x)]))

    return plan


def stable_worldmodel(network: Network, seed: int) -> Plan:
    from gymnasium.spaces import Box
    from stable_worldmodel.solver.cem import CEMSolver

    class World:
        """The network as what their solvers ask for: the cost of action candidates `[B, N, H, A]`."""

        def get_cost(self, info: dict[str, Tensor], candidates: Tensor) -> Tensor:
            b, n, horizon, _ = candidates.shape
            x, actions = info["x"].flatten(0, 1), candidates.clamp(-1, 1).flatten(0, 1)
            total, alive = torch.zeros(b * n), torch.ones(b * n)
            for t in range(horizon):
                x, reward, cont = network(x, actions[:, t])
                total, alive = total + 0.99**t * alive * reward, alive * cont
            return -total.view(b, n)

    def plan(x: Tensor) -> Any:
        solver = CEMSolver(World(), batch_size=len(x), num_samples=CONFIG.samples, n_steps=CONFIG.iterations,
                           topk=CONFIG.elites, seed=seed)
        space = Box(-np.ones((len(x), ACTIONS), np.float32), np.ones((len(x), ACTIONS), np.float32))
        solver.configure(action_space=space, n_envs=len(x),
                         config=SimpleNamespace(horizon=CONFIG.horizon, action_block=1))
        return solver.solve({"x": x})

    return plan


PEERS = {"torchrl": torchrl, "stable-worldmodel": stable_worldmodel}


def main() -> None:
    args = options(__doc__ or "", seeds=(int, 3, "networks"), plans=(int, 10, "plans an arm and network"))
    torch.set_num_threads(1)
    figures = Figures()
    times: dict[tuple[str, int], list[float]] = {}
    for seed in range(args.seed, args.seed + (1 if args.quick else args.seeds)):
        torch.manual_seed(seed)
        network = Network()
        arms = {"ours": ours(network, seed)}
        for name, make in PEERS.items():
            try:
                arms[name] = make(network, seed)
            except ImportError as error:
                print(f"    {name} is left out: {error}", flush=True)
        for states in (1, 16):
            x = torch.randn(states, FEATURES)
            laps: dict[str, list[float]] = {name: [] for name in arms}
            for lap in range(2 if args.quick else args.plans):
                for name, plan in arms.items():
                    began = time.process_time()
                    plan(x)
                    if lap:  # the first one warms up
                        laps[name].append(1e3 * (time.process_time() - began))
            for name, values in laps.items():
                times.setdefault((name, states), []).append(statistics.median(values))
    for (name, states), values in times.items():
        figures.add(f"{name}, {states} state{'s' * (states > 1)} a plan", values, "ms")
        if name != "ours":
            ratios = [mine / theirs for mine, theirs in zip(times["ours", states], values, strict=True)]
            figures.add(f"ours / {name}, {states} state{'s' * (states > 1)}", ratios, "x", "< 1")
    figures.write(args.json)


if __name__ == "__main__":
    main()
