"""An agent that sees only MiniGrid's own view: it looks where it must, finds what it is after, reads nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from gedanken import Agent, AgentConfig, Schema, UserError
from gedanken.agent.planning.exploring import Exploring, matters
from gedanken.agent.planning.plan import Budget
from gedanken.agent.planning.scout import Scout
from gedanken.world.model import begin
from gedanken.world.unseen import Unseen

minigrid = pytest.importorskip("minigrid")
from minigrid.core.grid import Grid  # noqa: E402
from minigrid.core.mission import MissionSpace  # noqa: E402
from minigrid.core.world_object import Ball, Door, Wall  # noqa: E402
from minigrid.minigrid_env import MiniGridEnv  # noqa: E402

TURNS = {"left": ("right", "up", "left", "down"), "right": ("right", "down", "left", "up")}
RULES = "\n".join([
    *(f"expect direction' == {b} if action == {turn} and direction == {a}"
      for turn, round_ in TURNS.items() for a, b in zip(round_, round_[1:] + round_[:1], strict=True)),
    "expect agent_x' == front_x and agent_y' == front_y if action == forward and (front_object == empty or "
    "front_state == open)",
    "expect front_state' == open if action == toggle and front_state == closed",
])


class Flat(MiniGridEnv):
    """Three rooms in a row, the doors between them closed; a ball in the last, or none."""

    def __init__(self, ball: bool = True) -> None:
        self.ball = ball
        super().__init__(MissionSpace(lambda: "find it"), width=13, height=6, max_steps=300)

    def _gen_grid(self, width: int, height: int) -> None:
        self.grid = Grid(width, height)
        self.grid.wall_rect(0, 0, width, height)
        for x, y in ((4, 2), (8, 3)):
            self.grid.vert_wall(x, 0, height, Wall)
            self.grid.set(x, y, Door("red"))
        if self.ball:
            self.grid.set(11, 1, Ball("blue"))
        self.agent_pos, self.agent_dir, self.mission = (1, 3), 2, "find it"


class Blind(gymnasium.Wrapper):
    """An environment that shows its observations and nothing else."""

    @property
    def unwrapped(self) -> Any:
        raise AssertionError("the simulator was read")


def agent_for(env: gymnasium.Env, goal: str = "achieve front_object == ball") -> Agent:
    agent = Agent(env, schema=Schema.from_env(env, view="partial"), llm=None, model="none",
                  config=AgentConfig(budget=Budget(transitions=16_000)))
    agent.tell(RULES + "\n" + goal)
    return agent


def live(agent: Agent, env: gymnasium.Env, most: int) -> int:
    """Steps until the goals are reached, or nothing more can be done."""
    observation, _ = env.reset(seed=0)
    agent.reset(observation)
    for t in range(most):
        native = agent.step(observation, 0.0, False, False)
        pursuit = agent.mind.pursuit
        assert pursuit is not None
        if agent.has_reached_goals() or pursuit.at_a_loss:
            return t
        observation, *_ = env.step(native)
    return most


def seen_cells(agent: Agent) -> int:
    assert agent.mind.features is not None
    return int((agent.mind.features["object"] != 0).sum())


def test_what_is_out_of_sight_is_looked_for_and_found() -> None:
    env = Flat()
    agent = agent_for(env)
    agent.env = Blind(env)
    steps = live(agent, env, 80)
    assert agent.has_reached_goals()
    assert steps < 40
    assert agent.mind.departures == 0


def test_where_nothing_is_to_be_found_every_room_is_seen_and_then_it_says_so() -> None:
    env = Flat(ball=False)
    agent = agent_for(env)
    live(agent, env, 120)
    pursuit = agent.mind.pursuit
    assert pursuit is not None
    assert pursuit.at_a_loss
    assert not agent.has_reached_goals()
    assert seen_cells(agent) == 13 * 6


def test_what_was_seen_stays_in_the_belief() -> None:
    env = Flat()
    agent = agent_for(env)
    live(agent, env, 80)
    truth = Schema.from_env(env).observe(None, env)
    assert agent.mind.features is not None
    own = {k: v[0].numpy() for k, v in agent.mind.features.items()}
    shift = np.array([own["agent_x"] - truth["agent_x"], own["agent_y"] - truth["agent_y"]])
    part = own["object"][shift[0]: shift[0] + 13, shift[1]: shift[1] + 6]
    assert (part[part != 0] == truth["object"][part != 0]).mean() > 0.98  # the agent's own cell aside


def test_no_step_is_imagined_onto_an_unseen_cell() -> None:
    env = Flat()
    agent = agent_for(env)
    agent.reset(env.reset(seed=0)[0])
    mind = agent.mind
    assert mind.features is not None
    lost = {k: v.clone() for k, v in mind.features.items()}
    here = int(lost["agent_x"]), int(lost["agent_y"])
    lost["object"][:] = 0  # all but the cell it stands on
    lost["object"][0, here[0], here[1]] = 1
    agent.tell("expect agent_x' == front_x and agent_y' == front_y if action == forward and front_object == unseen")
    mind = agent.mind
    _, out = mind.imagining.step(begin(mind.imagining, lost), torch.tensor([[2]]))
    assert not bool(out.feasible)
    _, out = mind.imagining.step(begin(mind.imagining, lost), torch.tensor([[0]]))
    assert bool(out.feasible)


def test_an_open_door_shows_more_than_a_closed_one() -> None:
    env = Flat()
    view = Schema.from_env(env, view="partial")
    env.reset(seed=0)
    env.agent_pos, env.agent_dir = (3, 2), 0
    closed = view.batch([view.observe(env.gen_obs())])
    opened = {k: v.clone() for k, v in closed.items()}
    opened["state"][opened["object"] == 4] = 1
    term = Exploring.on(Unseen.of(view), closed)
    assert float(term.bits(closed)) == 0
    assert float(term.bits(opened)) > 10
    assert term.most(closed) >= float(term.bits(opened))


def test_expected_sight_is_what_the_sensor_shows_where_all_is_known() -> None:
    """With every unseen cell as it is, `revealed` counts exactly the cells that MiniGrid then shows."""
    env = gymnasium.make("MiniGrid-FourRooms-v0").unwrapped
    view, full = Schema.from_env(env, view="partial", size=(19, 19)), Schema.from_env(env)
    sight = view.sight
    assert sight is not None
    rng = np.random.default_rng(0)
    for seed in range(10):
        observation, _ = env.reset(seed=seed)
        for _ in range(5):
            observation, *_ = env.step(int(rng.integers(3)))
        whole = full.batch([full.observe(observation, env)])
        clear = (whole["object"][0] != 2).float()
        lost = whole | {"object": torch.zeros_like(whole["object"])}
        lost["object"][0, int(whole["agent_x"]), int(whole["agent_y"])] = 1
        expected = sight.revealed(lost, torch.ones(19, 19), clear)
        index = sight.cells(whole)[0]
        shown = (torch.from_numpy(observation["image"][..., 0]) != 0) & (index >= 0)
        assert float(expected) == float(shown.sum()) - 1  # its own cell is known


def test_a_scout_keeps_to_limits() -> None:
    env = Flat()
    agent = agent_for(env)
    agent.tell("avoid front_state == open")
    agent.reset(env.reset(seed=0)[0])
    mind = agent.mind
    assert mind.features is not None
    exploring = Exploring.on(Unseen.of(agent.schema), mind.features)
    plan = Scout().plan(mind.imagining, mind.belief, agent.objective(), exploring)
    assert bool(plan.reached)
    assert not (plan.imagined["state"] == 1).any()


def test_the_belief_over_unseen_cells_is_a_distribution_that_learns() -> None:
    env = Flat()
    agent = agent_for(env)
    agent.learn(120, train=False)
    memory = agent.mind.memory
    episodes = [memory.transitions([e.id]) for e in memory.episodes()]
    unseen = Unseen.of(agent.schema, episodes)
    row = {k: torch.from_numpy(episodes[0].next_features[k][:1].astype("int64")) for k in agent.schema.base}
    chances = unseen.chances(row)
    assert torch.allclose(chances.sum(-1), torch.ones(chances.shape[:2]), atol=1e-5)
    hidden = row["object"][0] == 0
    assert float(chances[hidden][:, 0].max()) == 0  # what is unseen is something
    assert unseen.surprise(episodes).mean() < Unseen.of(agent.schema).surprise(episodes).mean()


def test_memory_holds_no_cells_that_appear() -> None:
    env = Flat()
    agent = agent_for(env)
    agent.learn(60, train=False, envs=2)
    lived = agent.mind.memory.transitions()
    assert not ((lived.features["object"] == 0) & (lived.next_features["object"] != 0)).any()


def test_copies_that_act_as_planned_look_around_too() -> None:
    agent = agent_for(Flat())
    agent.learn(40, random=False, train=False, envs=2)
    memory = agent.mind.memory
    maps = [memory.transitions([e.id]).next_features["object"][-1] for e in memory.episodes()]
    assert max(int((board != 0).sum()) for board in maps) > 40  # more than the first room and the next


def test_clones_of_the_environment_would_show_what_the_view_does_not() -> None:
    env = Flat()
    with pytest.raises(UserError, match="partial view"):
        Agent(env, schema=Schema.from_env(env, view="partial"), llm=None, model="simulator")


def test_only_what_is_rare_on_the_map_matters() -> None:
    env = Flat()
    view = Schema.from_env(env, view="partial")
    sight = view.sight
    assert sight is not None
    before = view.batch([view.observe(env.reset(seed=0)[0])])
    after = {k: v.clone() for k, v in before.items()}
    x, y = (before["object"][0] == 0).nonzero()[0]
    after["object"][0, x, y] = 2
    assert not matters(sight, before, after)
    after["object"][0, x, y] = 6
    assert matters(sight, before, after)


def test_an_episode_under_way_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    env = Flat()
    agent = Agent(env, schema=Schema.from_env(env, view="partial"), llm=None, seed=0,
                  config=AgentConfig(budget=Budget(transitions=1_000)))
    observation, _ = env.reset(seed=0)
    agent.reset(observation)
    for _ in range(6):
        observation, *_ = env.step(agent.act(observation))
    agent.save(tmp_path / "agent")
    again = Agent.load(tmp_path / "agent", env)
    assert again.schema.sight is not None
    agent.act(observation)
    again.act(observation)
    assert agent.mind.features is not None
    assert again.mind.features is not None
    assert all(torch.equal(v, again.mind.features[k]) for k, v in agent.mind.features.items())
