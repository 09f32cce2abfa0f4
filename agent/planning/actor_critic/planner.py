"""A policy and its value, learned in imagination: planning is one look (DreamerV3, Hafner et al. 2023, 2301.04104).

    z_0 from replay;  a_t ~ pi(a|z_t);  z_{t+1} from the (refined) model      dreams of H steps
    R_t = lambda-return of the objective's gains                              the critic learns R_t
    pi follows (R_t - v_t) / S in the direction of log pi, and its entropy    the actor learns what beats v_t

Dreams run without gradients: REINFORCE needs them of the networks alone, in one pass over all steps at the end. What
differs from the paper: the objective is the agent's own (goals, limits and preferences with it, and how far they are is
an input), the policy reads decoded features, so that it works with any world model, and the critic does not train on
replayed rewards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ....errors import UserError
from ....world import tree
from ....world.model import State, WorldModel
from ....world.schema import Schema
from ....world.training import Progress, Source
from ..dream import dream, starts
from ..look import look
from ..networks import follow, step
from ..objective import Carry, Objective
from ..plan import Budget, Plan
from ..reader import Reader
from .learning import ActorCriticConfig, Networks, losses
from .policy import Actions, Choice, Policy
from .returns import ReturnScale


@dataclass
class Learned:
    """All that training changes."""

    networks: Networks
    optimiser: torch.optim.Optimizer
    scale: ReturnScale
    steps_done: int = 0


class ActorCritic:
    """A `Planner` and a `Learner`. Before it has learned anything, it acts at random."""

    commits = False

    def __init__(self, config: ActorCriticConfig | None = None) -> None:
        self.config = config or ActorCriticConfig()
        self.learned: Learned | None = None

    def unfit(self, schema: Schema) -> str | None:
        return Actions.unfit(schema)

    def initial(self, n: int) -> None:
        """Nothing is carried: what the policy knows is in its weights."""

    # --- learning -------------------------------------------------------------------------------------------------

    def improve(self, model: WorldModel, replay: Source, objective: Objective, rng: torch.Generator,
                steps: int | None = None, progress: Callable[[Progress], None] | None = None) -> dict[str, float]:
        """`Learner.improve`. Where the goals of `objective` (or the model's latent) are of another shape than those it
        learned before, it begins anew. Raises `UserError` where the model imagines nothing but NaN."""
        c, figures = self.config, dict[str, float]()
        report = Progress(0, c.steps if steps is None else steps)
        for i in range(report.steps):
            batch = replay.batch(c.sequences, c.length, rng)
            if batch is None:
                break
            start = starts(model, batch, objective, rng)
            if i == 0:
                self._prepare(model, Reader.sizes(model, start.state, start.carry), replay, rng)
            assert self.learned is not None
            networks, optimiser = self.learned.networks, self.learned.optimiser

            def choose(inputs: Tensor, networks: Networks = networks) -> tuple[Choice, Tensor]:
                choice = networks.policy(inputs).sample(rng)
                return choice, networks.actions.row(choice)

            dreamt = dream(model, start, objective, networks.reader, choose, c.horizon, rng, c.infeasible)
            if not bool(dreamt.valid.any()):
                raise UserError("the world model imagines no finite numbers, so that no policy can learn in it; look "
                                "for rewards or features of extreme size in memory, and train the model again")
            found, figures = losses(networks, dreamt, c, self.learned.scale, objective.discount)
            report.losses = step(optimiser, found, c.clip)
            follow(networks.slow, networks.critic, c.slow_rate)
            self.learned.steps_done += 1
            report.step = i + 1
            if progress:
                progress(report)
        return figures | report.losses

    def _prepare(self, model: WorldModel, sizes: tuple[int, int], replay: Source, rng: torch.Generator) -> None:
        if self.learned and (self.learned.networks.reader.latent, self.learned.networks.reader.carried) == sizes:
            return
        self.learned = self._made(model.schema, sizes, rng)
        everything = replay.everything()
        assert everything is not None
        self.learned.networks.reader.fit(everything.features)

    def _made(self, schema: Schema, sizes: tuple[int, int], rng: torch.Generator) -> Learned:
        networks = Networks(schema, self.config, *sizes, rng)
        learning = [*networks.actor.parameters(), *networks.critic.parameters()]
        return Learned(networks, torch.optim.Adam(learning, lr=self.config.rate, eps=1e-5, fused=True), ReturnScale())

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = {"config": asdict(self.config)}
        if (learned := self.learned) is not None:
            state |= {
                "latent": learned.networks.reader.latent, "carried": learned.networks.reader.carried,
                "networks": learned.networks.state_dict(), "optimiser": learned.optimiser.state_dict(),
                "spread": learned.scale.spread, "steps_done": learned.steps_done}
        return state

    def load_state_dict(self, state: dict[str, Any], schema: Schema) -> None:
        try:
            self.config, self.learned = ActorCriticConfig(**state["config"]), None
            if "networks" in state:
                made = self._made(schema, (state["latent"], state["carried"]), torch.Generator())
                made.networks.load_state_dict(state["networks"])
                made.optimiser.load_state_dict(state["optimiser"])
                made.scale.spread, made.steps_done = state["spread"], state["steps_done"]
                self.learned = made
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"this is no state of an actor-critic for '{schema.name}' ({error}); pass what "
                            "state_dict() returned, with the schema it was made for") from error

    # --- planning -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def plan(self, model: WorldModel, state: State, objective: Objective, carry: None, rng: torch.Generator,
             budget: Budget | None = None) -> Plan:
        """One look at each of the B states: the policy's action, the critic's value (0 before there is one), and the
        likeliest future under the likeliest actions, `lookahead` steps as far as the budget allows.

        An action that must not be taken is replaced by the likeliest one that may, where there is any."""
        if reason := self.unfit(model.schema):
            raise UserError(reason)
        actions = self.learned.networks.actions if self.learned else Actions(model.schema)

        def act(state: State, carry: Carry, t: int) -> Tensor:
            policy = self.policy(model, state, carry)
            greedy = t > 0 or (self.config.greedy and self.learned is not None)
            return actions.row(policy.mode() if greedy else policy.sample(rng))

        def others(state: State, carry: Carry) -> tuple[Tensor, Tensor]:
            return actions.alternatives(self.policy(model, state, carry), rng)

        value = self.values(model, state, objective.start(model.decode(state)))
        plan = look(model, state, objective, act, others, value, self.config.lookahead, budget)
        done = self.learned.steps_done if self.learned else 0
        return replace(plan, statistics=plan.statistics | {"steps_done": float(done)})

    def policy(self, model: WorldModel, state: State, carry: Carry) -> Policy:
        """What it would do in each of N states of `model`, with the objective at `carry`; uniform before it learned."""
        if self.learned is None:
            actions = Actions(model.schema)
            return actions.policy(torch.zeros(tree.size(state), actions.parameters))
        return self.learned.networks.policy(self.learned.networks.reader.read(model, state, carry))

    def values(self, model: WorldModel, state: State, carry: Carry) -> Tensor:
        """What each of N states is worth under the policy, `[N]`; 0 before it learned."""
        if self.learned is None:
            return torch.zeros(tree.size(state))
        return self.learned.networks.value(self.learned.networks.reader.read(model, state, carry))
