"""Test-time training: a changed world is learned from a few episodes, what still holds is kept, and a restart goes on
where it was."""

from __future__ import annotations

import shutil
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

import gedanken
from gedanken.agent.adapting import AdaptingConfig, Deployment, Mixture
from gedanken.agent.config import AgentConfig
from gedanken.agent.learn import surprises
from gedanken.agent.planning.plan import Plan
from gedanken.world.schema import Schema
from gedanken.world.training import TrainingConfig


class Slide(gym.Env):
    """A bead on a line: "left" moves it by -speed, "right" by +speed; the lamp toggles with "toggle". With `swapped`
    left and right change their meaning, the lamp does not."""

    observation_space = gym.spaces.Dict({"x": gym.spaces.Discrete(7), "lamp": gym.spaces.Discrete(2)})
    action_space = gym.spaces.Discrete(3)

    def __init__(self) -> None:
        self.swapped = False

    def reset(self, *, seed=None, options=None):  # type: ignore[no-untyped-def]
        super().reset(seed=seed)
        self.x, self.lamp, self.t = int(self.np_random.integers(7)), int(self.np_random.integers(2)), 0
        return self._seen(), {}

    def step(self, action):  # type: ignore[no-untyped-def]
        move = (-1, 1, 0)[action] * (-1 if self.swapped else 1)
        self.x, self.lamp, self.t = min(6, max(0, self.x + move)), self.lamp ^ (action == 2), self.t + 1
        return self._seen(), 0.0, False, self.t >= 25, {}

    def _seen(self) -> dict[str, int]:
        return {"x": self.x, "lamp": self.lamp}


SCHEMA = Schema.from_env(Slide())

class Wander:
    """Plans nothing: any action."""

    commits = False

    def unfit(self, schema: Schema) -> str | None:
        return None

    def initial(self, n: int) -> None:
        return None

    def plan(self, model, state, objective, carry, rng, budget=None) -> Plan:  # type: ignore[no-untyped-def]
        action = torch.randint(3, (1, 1), generator=rng)
        return Plan(action, action[None], torch.zeros(1), torch.zeros(1, dtype=torch.bool), {}, 0, 0.0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An agent that learned the world unchanged, saved."""
    folder = tmp_path_factory.mktemp("trained")
    config = AgentConfig(training=TrainingConfig(steps=400, min_steps=300, length=1))
    agent = gedanken.Agent(Slide(), llm=None, model="slots", planner=Wander(), schema=SCHEMA, seed=1, config=config)
    agent.learn(steps=500)
    agent.save(folder)
    return folder


@pytest.fixture
def agent(trained: Path, tmp_path: Path) -> gedanken.Agent:
    """The same, deployed and adapting."""
    return loaded(shutil.copytree(trained, tmp_path / "agent"), AdaptingConfig())


def loaded(folder: Path, adapting: AdaptingConfig) -> gedanken.Agent:
    config = AgentConfig(training=TrainingConfig(steps=400, min_steps=300, length=1), adapting=adapting)
    return gedanken.Agent.load(folder, Slide(), schema=SCHEMA, planner=Wander(), config=config)


def right_of(agent: gedanken.Agent, swapped: bool) -> tuple[float, float]:
    """Share of states from which a move, and a toggle, are predicted as they would be."""
    x, lamp = (t.flatten() for t in torch.meshgrid(torch.arange(1, 6), torch.arange(2), indexing="ij"))
    state = gedanken.world.model.begin(agent.mind.imagining, {"x": x.int(), "lamp": lamp.int()})
    moved = agent.mind.imagining.step(state, torch.zeros(10, 1, dtype=torch.int64))[1].mode["x"]
    toggled = agent.mind.imagining.step(state, torch.full((10, 1), 2))[1].mode["lamp"]
    wanted = x + (1 if swapped else -1)
    return float((moved == wanted).float().mean()), float((toggled == 1 - lamp).float().mean())


def live(agent: gedanken.Agent, episodes: int, first: int = 0) -> None:
    """Deployed, as whoever owns the loop does it, with actions drawn at random."""
    for i in range(episodes):
        observation, _ = agent.env.reset(seed=5_000 + first + i)
        agent.reset(observation)
        reward, truncated = 0.0, False
        while True:
            native = agent.step(observation, reward, False, truncated)
            if native is None:
                break
            observation, reward, _, truncated = agent.interact(native)
        agent.keep_learning()


def test_a_changed_world_is_learned_while_deployed_and_the_rest_is_kept(agent: gedanken.Agent) -> None:
    assert right_of(agent, swapped=False) == (1.0, 1.0)
    agent.env.unwrapped.swapped = True
    live(agent, 6)
    assert right_of(agent, swapped=True) == (1.0, 1.0)


def test_an_unchanged_world_is_not_forgotten(agent: gedanken.Agent) -> None:
    live(agent, 4)
    assert right_of(agent, swapped=False) == (1.0, 1.0)


def test_what_no_longer_holds_is_left_out_of_the_old(agent: gedanken.Agent) -> None:
    agent.env.unwrapped.swapped = True
    live(agent, 6)
    assert agent.deployment is not None
    known = agent.mind.replay.transitions()
    old = known.episode <= agent.deployment.episode
    surprise = surprises(agent.mind.imagining, agent.experience, known)
    mixture = Mixture(agent.experience, surprise, ~old, agent.deployment.usual, AdaptingConfig())
    moved = (known.action[:, 0] < 2) & (known.features["x"] > 0) & (known.features["x"] < 6)
    assert mixture.kept[old & moved].mean() < 0.1
    assert mixture.kept[old & (known.action[:, 0] == 2)].mean() > 0.9
    assert mixture.kept[~old].all()


def test_what_is_mined_in_a_changed_world_is_of_that_world(agent: gedanken.Agent) -> None:
    agent.env.unwrapped.swapped = True
    live(agent, 6)
    mined = [entry.text for entry in agent.propose()]
    assert "expect x' == x_2 if action == action_1 and x == x_3" in mined
    assert "expect x' == x_4 if action == action_1 and x == x_3" not in mined


def test_a_restart_goes_on_adapting_bit_for_bit(trained: Path, tmp_path: Path) -> None:
    agent = loaded(shutil.copytree(trained, tmp_path / "agent"), AdaptingConfig(steps=5))
    live(agent, 1)
    agent.save(tmp_path / "saved")
    live(agent, 2)
    again = loaded(tmp_path / "saved", AdaptingConfig(steps=5))
    assert isinstance(again.deployment, Deployment)
    live(again, 2)
    for (name, a), b in zip(agent.mind.learned.state_dict().items(), again.mind.learned.state_dict().values(),
                            strict=True):
        assert torch.equal(a, b), name


def test_weights_that_do_not_fit_are_refused(agent: gedanken.Agent) -> None:
    with pytest.raises(gedanken.UserError, match="give one of at least 0 to each"):
        agent.mind.replay.sample(2, 2, np.random.default_rng(0), weights=np.ones(3))
