"""Imagination as a Gymnasium environment: spaces, episodes, autoreset, seeds, and what the rules make of a step."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from torch import Tensor

import gedanken
from gedanken.agent.imagined import ImaginedEnv, ImaginedSingle, Perceived
from gedanken.agent.spaces import action_space, observation_space
from gedanken.errors import UserError
from gedanken.world import tree
from gedanken.world.distributions import Normal
from gedanken.world.model import Outcome
from gedanken.world.models.persistence import Persistence
from gedanken.world.models.slots import Slots
from gedanken.world.refine import Refined
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Feature, Grid, Schema

torch.set_num_threads(1)
WALK = Schema(
    "walk",
    (Feature("x", "integer", low=2, high=9), Feature("heat", low=-1, high=5), Feature("ice", "boolean"),
     Feature("thing", "category", (3, 3), values=("empty", "wall")), Feature("n", "integer")),
    (Feature("action", "category", values=("left", "right", "burn", "stay")),), lambda o, e: {}, lambda a: a,
)
RULES = ("expect x' == x + 1 if action == right", "expect x' == x - 1 if action == left",
         "reward 1 if x' == 9 and x == 8", "end if x' == 9", "forbid burn if heat > 4",
         "expect heat' == heat + 3 and n' == n + 1 if action == burn")


def starts(*xs: int) -> dict[str, Tensor]:
    n = len(xs)
    return {"x": torch.tensor(xs).int(), "heat": torch.zeros(n), "ice": torch.zeros(n, dtype=torch.bool),
            "thing": torch.zeros(n, 3, 3).to(torch.int16), "n": torch.zeros(n).int()}


def model(*rules: str) -> Refined:
    return Refined(Persistence(WALK), [parse(line, WALK) for line in (*RULES, *rules)])


def env(*xs: int, num_envs: int = 3, rules: tuple[str, ...] = (), **options: object) -> ImaginedEnv:
    return ImaginedEnv(model(*rules), starts(*xs), num_envs, **options)  # type: ignore[arg-type]


def act(*names: str) -> np.ndarray:
    return np.array([WALK.actions[0].values.index(name) for name in names])


def test_spaces_follow_the_schema() -> None:
    space = observation_space(WALK)
    assert space["x"] == spaces.Discrete(8, start=2)
    assert space["ice"] == spaces.Discrete(2)
    assert space["heat"] == spaces.Box(-1, 5, (), np.float32)
    assert space["thing"] == spaces.Box(0, 1, (3, 3), np.int32)
    assert action_space(WALK) == spaces.Discrete(4)

    def actions(*features: Feature) -> spaces.Space:
        return action_space(Schema("s", WALK.features, features, lambda o, e: {}, lambda a: a))

    real, switch = Feature("power", low=-2, high=2), Feature("fan", "boolean")
    gear = Feature("gear", "integer", low=1, high=3)
    assert actions(real) == spaces.Box(-2, 2, (1,), np.float32)
    assert actions(switch, gear) == spaces.MultiDiscrete([2, 3])
    assert actions(real, switch) == spaces.Dict({"power": spaces.Box(-2, 2, (), np.float32), "fan": spaces.Discrete(2)})


def test_observations_lie_in_the_batched_space() -> None:
    worlds = env(2, 5, 8, num_envs=4)
    seen, _ = worlds.reset(seed=0)
    assert seen in worlds.observation_space
    worlds.action_space.seed(0)
    for _ in range(30):
        seen, reward, terminated, truncated, infos = worlds.step(worlds.action_space.sample())
        assert seen in worlds.observation_space
        assert reward.shape == terminated.shape == truncated.shape == infos["uncertainty"].shape == (4,)


def test_it_passes_the_checker_of_gymnasium() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", category=UserWarning)
        warnings.filterwarnings("ignore", message=".*(render|spec|infinity|-inf).*")
        check_env(ImaginedSingle(model(), starts(2, 5, 8), horizon=20), skip_render_check=True)


def test_episodes_begin_at_the_given_features() -> None:
    worlds = env(4)
    assert worlds.reset(seed=0)[0]["x"].tolist() == [4, 4, 4]
    assert worlds.reset(options={"features": starts(5, 6, 7)})[0]["x"].tolist() == [5, 6, 7]
    one = {"x": 3, "heat": 0.5, "ice": True, "thing": np.ones((3, 3)), "n": -4}
    seen, _ = worlds.reset(options={"features": one})
    assert seen["x"].tolist() == [3, 3, 3]
    assert seen["n"].tolist() == [-4, -4, -4]
    assert seen["thing"].sum() == 27


def test_what_cannot_be_begun_at_is_said() -> None:
    with pytest.raises(UserError, match="nothing to begin at"):
        ImaginedEnv(model()).reset(seed=0)
    with pytest.raises(UserError, match="2 rows of features for 3"):
        env(4).reset(options={"features": starts(1, 2)})
    with pytest.raises(UserError, match=r"no 'heat'.*did you mean 'heta'"):
        env(4).reset(options={"features": {("heta" if k == "heat" else k): v for k, v in starts(4).items()}})
    with pytest.raises(UserError, match=r"'thing' has shape \(3, 2, 2\)"):
        env(4).reset(options={"features": starts(4, 4, 4) | {"thing": torch.zeros(3, 2, 2)}})
    with pytest.raises(UserError, match="at least 1"):
        env(4, num_envs=0)
    with pytest.raises(UserError, match="call reset"):
        env(4).step(act("left", "left", "left"))


def test_rules_pay_end_and_fire() -> None:
    worlds = env(8)
    worlds.reset(seed=0)
    seen, reward, terminated, truncated, infos = worlds.step(act("right", "left", "stay"))
    assert seen["x"].tolist() == [9, 7, 8]
    assert reward.tolist() == [1, 0, 0]
    assert terminated.tolist() == [True, False, False]
    assert not truncated.any()
    fired = {worlds.rules[k] for k in infos["fired"][0].nonzero()[0]}
    assert fired == {"expect x' == x + 1 if action == right"}


def test_an_ended_row_begins_anew_at_the_next_step_and_its_action_is_ignored() -> None:
    worlds = env(8)
    assert worlds.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    worlds.reset(seed=0)
    worlds.step(act("right", "left", "stay"))
    seen, reward, terminated, _, infos = worlds.step(act("right", "left", "right"))
    assert seen["x"].tolist() == [8, 6, 9]
    assert reward.tolist() == [0, 0, 1]
    assert terminated.tolist() == [False, False, True]
    assert infos["_uncertainty"].tolist() == [False, True, True]
    assert worlds.step(act("left", "left", "left"))[0]["x"].tolist() == [7, 5, 8]


def test_episodes_are_cut_at_the_horizon_which_counts_anew() -> None:
    worlds = env(4, num_envs=1, horizon=3)
    worlds.reset(seed=0)
    cut = [bool(worlds.step(act("stay"))[3][0]) for _ in range(8)]
    assert cut == [False, False, True, False, False, False, True, False]


def test_an_end_at_the_horizon_is_an_end_and_no_cut() -> None:
    worlds = env(8, num_envs=1, horizon=1)
    worlds.reset(seed=0)
    _, _, terminated, truncated, _ = worlds.step(act("right"))
    assert (terminated[0], truncated[0]) == (True, False)


def test_a_forbidden_action_is_not_executed() -> None:
    worlds = env(4, num_envs=2)
    worlds.reset(seed=0, options={"features": starts(4) | {"heat": torch.tensor([4.5])}})
    seen, reward, _, _, infos = worlds.step(act("burn", "right"))
    assert infos["feasible"].tolist() == [False, True]
    assert seen["heat"].tolist() == pytest.approx([4.5, 4.5], abs=0.01)
    assert seen["x"].tolist() == [4, 5]
    assert reward.tolist() == [0, 0]
    assert not infos["fired"][0].any()


class Unsure(Persistence):
    """Grows unsure with x, and ends three times in ten."""

    def step(self, state: dict[str, Tensor], action: Tensor, rng: torch.Generator | None = None
             ) -> tuple[dict[str, Tensor], Outcome]:
        state, out = super().step(state, action, rng)
        heat = Normal(WALK.base["heat"], state["heat"], torch.full_like(state["heat"], 3.0))
        state = state if rng is None else {**state, "heat": heat.sample(rng)}
        return state, Outcome({**out.features, "heat": heat}, out.reward, torch.full_like(out.cont, 0.7), out.feasible,
                              state["x"].float())


def test_where_the_model_is_too_unsure_the_episode_is_cut() -> None:
    worlds = ImaginedEnv(Unsure(WALK), starts(2), 3, max_uncertainty=5.0, stochastic=False)
    worlds.reset(seed=0, options={"features": starts(3, 5, 8)})
    _, _, _, truncated, infos = worlds.step(act("stay", "stay", "stay"))
    assert truncated.tolist() == [False, False, True]
    assert infos["uncertainty"].tolist() == [3, 5, 8]
    assert "fired" not in infos


def test_ends_are_drawn_with_their_probability_or_the_likelier() -> None:
    many = ImaginedEnv(Unsure(WALK), starts(2), 4000)
    many.reset(seed=0)
    ended = many.step(np.zeros(4000, int))[2].mean()
    assert 0.27 < ended < 0.33
    sure = ImaginedEnv(Unsure(WALK), starts(2), 100, stochastic=False)
    sure.reset(seed=0)
    assert not sure.step(np.zeros(100, int))[2].any()


def test_imagined_values_stay_within_the_space() -> None:
    worlds = ImaginedEnv(Unsure(WALK), starts(2), 200)
    worlds.reset(seed=0)
    seen = worlds.step(np.zeros(200, int))[0]["heat"]
    assert seen.min() == -1
    assert seen.max() == 5


def history(seed: int | list[int]) -> list[float]:
    worlds = ImaginedEnv(Unsure(WALK), starts(2, 3, 4, 5, 6), 4)
    out = worlds.reset(seed=seed)[0]["x"].tolist()  # type: ignore[arg-type]
    for _ in range(10):
        seen, _, terminated, _, _ = worlds.step(np.ones(4, int))
        out += [*seen["heat"].tolist(), *seen["x"].tolist(), *terminated.tolist()]
    return out


def test_equal_seeds_give_equal_histories() -> None:
    assert history(1) == history(1)
    assert history(1) != history(2)
    assert history([1, 2, 3, 4]) == history([1, 2, 3, 4])


def test_a_reset_without_a_seed_goes_on() -> None:
    worlds = env(2, 3, 4, 5, 6, 7, num_envs=50)
    first = worlds.reset(seed=0)[0]["x"].tolist()
    second = worlds.reset()[0]["x"].tolist()
    assert first != second
    assert worlds.reset(seed=0)[0]["x"].tolist() == first


def test_wrappers_of_gymnasium_go_round_it() -> None:
    worlds = RecordEpisodeStatistics(env(8))
    worlds.reset(seed=0)
    infos = worlds.step(act("right", "stay", "stay"))[4]
    assert infos["episode"]["r"][0] == 1
    assert infos["episode"]["l"][0] == 1


def test_a_mixture_of_actions_is_taken_by_name() -> None:
    schema = Schema("oven", (Feature("heat"),), (Feature("power", low=-2, high=2), Feature("fan", "boolean")),
                    lambda o, e: {}, lambda a: a)
    told = Refined(Persistence(schema), [parse("expect heat' == heat + power if fan", schema)])
    worlds = ImaginedEnv(told, {"heat": torch.zeros(1)}, 2)
    worlds.reset(seed=0)
    actions = {"power": np.array([1.5, 9.0], np.float32), "fan": np.array([0, 1])}
    assert worlds.step(actions)[0]["heat"].tolist() == pytest.approx([0, 2], abs=0.01)
    single = ImaginedSingle(told, {"heat": torch.zeros(1)})
    single.reset(seed=0)
    assert single.step({"power": 1.0, "fan": 1})[0]["heat"] == pytest.approx(1, abs=0.01)


def test_a_learned_model_is_an_environment_too() -> None:
    thing = Feature("thing", "category", (4, 4), values=("empty", "wall"))
    place = (Feature("x", "integer", low=0, high=3), Feature("y", "integer", low=0, high=3))
    grid = Schema("g", (thing, *place, Feature("holds", "boolean")), WALK.actions, lambda o, e: {}, lambda a: a,
                  grid=Grid(("thing",), "x", "y"))
    told = Refined(Slots(grid), [parse("expect x' == 0 if action == burn", grid)])
    first = {f.name: torch.zeros(1, *f.shape).to(f.dtype) for f in grid.features}
    worlds = ImaginedEnv(told, first, 5)
    worlds.reset(seed=0)
    for _ in range(5):
        seen = worlds.step(np.full(5, 2))[0]
    assert seen["x"].tolist() == [0] * 5
    assert isinstance(ImaginedSingle(told, first), gymnasium.Env)


# --- rules told while it runs, states to begin at, the real world in the same spaces --------------------------------


def test_a_rule_told_while_it_runs_acts_from_the_next_step() -> None:
    worlds = env(4, num_envs=2)
    worlds.reset(seed=0)
    worlds.step(act("right", "left"))
    worlds.model = model("expect x' == 2 if action == stay")
    assert "expect x' == 2 if action == stay" in worlds.rules
    seen, _, _, _, infos = worlds.step(act("stay", "right"))
    assert seen["x"].tolist() == [2, 4]  # the second went on from 3
    assert infos["fired"].shape == (2, len(worlds.rules))


def test_what_the_agent_is_told_reaches_the_worlds_it_imagines() -> None:
    agent = gedanken.Agent(gymnasium.make("CartPole-v1"), model="none", llm=None)
    agent.learn(steps=20, train=False)
    worlds = ImaginedEnv.of(agent, 3)
    before, _ = worlds.reset(seed=0)
    agent.tell("expect cart_position' == 1 if action == left")
    seen = worlds.step(np.array([0, 1, 0]))[0]["cart_position"]
    assert seen.tolist() == pytest.approx([1, before["cart_position"][1], 1], abs=0.02)
    agent.close()


class Counting(Persistence):
    """Keeps a count that no feature shows, and pays it."""

    def initial(self, n: int) -> dict[str, Tensor]:
        return {**super().initial(n), "count": torch.zeros(n)}

    def observe(self, state: dict[str, Tensor], action: Tensor | None, features: Mapping[str, Tensor],
                reset: Tensor | None = None, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return {**features, "count": state["count"]}

    def step(self, state: dict[str, Tensor], action: Tensor, rng: torch.Generator | None = None
             ) -> tuple[dict[str, Tensor], Outcome]:
        _, out = super().step(state, action, rng)
        return {**state, "count": state["count"] + 1}, replace(out, reward=state["count"])

    def assimilate(self, state: dict[str, Tensor], features: Mapping[str, Tensor], rows: Tensor,
                   rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return tree.choose(rows, {**features, "count": state["count"]}, state)

    def decode(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        return {k: v for k, v in state.items() if k != "count"}


def test_what_is_hidden_in_a_belief_outlasts_a_rule_told_and_a_new_beginning() -> None:
    hidden = Counting(WALK)
    worlds = ImaginedEnv(hidden, starts(4), 2)
    worlds.reset(seed=0)
    worlds.step(act("stay", "stay"))
    worlds.model = Refined(hidden, [parse("expect x' == 7 if action == burn", WALK)])
    seen, reward, _, _, _ = worlds.step(act("burn", "stay"))
    assert (seen["x"].tolist(), reward.tolist()) == ([7, 4], [1, 1])
    later = worlds.state
    worlds.reset(options={"state": tree.take(later, torch.tensor([0]))})
    seen, reward, _, _, _ = worlds.step(act("stay", "stay"))
    assert (seen["x"].tolist(), reward.tolist()) == ([7, 7], [2, 2])
    with pytest.raises(UserError, match="3 rows of states for 2"):
        worlds.reset(options={"state": tree.take(later, torch.tensor([0, 1, 0]))})


def test_an_episode_may_begin_anew_within_the_step_that_ends_it() -> None:
    worlds = env(8, autoreset=AutoresetMode.SAME_STEP)
    worlds.reset(seed=0)
    seen, reward, terminated, _, infos = worlds.step(act("right", "left", "stay"))
    assert (seen["x"].tolist(), reward.tolist()) == ([8, 7, 8], [1, 0, 0])
    assert terminated.tolist() == infos["_final_obs"].tolist() == [True, False, False]
    assert infos["final_obs"][0]["x"] == 9
    assert infos["final_obs"][1] is None
    assert worlds.step(act("right", "left", "stay"))[1].tolist() == [1, 0, 0]
    assert RecordEpisodeStatistics(env(8, autoreset=AutoresetMode.SAME_STEP)).reset(seed=0)
    with pytest.raises(UserError, match="NEXT_STEP or SAME_STEP"):
        env(8, autoreset=AutoresetMode.DISABLED)


@pytest.mark.parametrize("id", ["CartPole-v1", "FrozenLake-v1"])
def test_the_real_environment_has_the_spaces_of_the_imagined_one(id: str) -> None:
    real = Perceived(gymnasium.make(id))
    imagined = ImaginedSingle(Persistence(real.schema))
    assert real.observation_space == imagined.observation_space
    assert real.action_space == imagined.action_space
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_env(real, skip_render_check=True)


def test_a_cloned_environment_is_imagined_in_too() -> None:
    real = gymnasium.make("FrozenLake-v1")
    simulator = gedanken.Simulator(real)
    observation, _ = real.reset(seed=0)
    start = simulator.schema.batch([simulator.schema.observe(observation, real)])
    worlds = ImaginedEnv(simulator, start, 4, horizon=10)
    worlds.action_space.seed(0)
    worlds.reset(seed=0)
    for _ in range(12):
        seen = worlds.step(worlds.action_space.sample())[0]
        assert seen in worlds.observation_space
    check_env(ImaginedSingle(simulator, start, horizon=20), skip_render_check=True)
