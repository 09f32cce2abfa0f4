"""2N steps are N steps, a restart, and N more, bit for bit: for every registered model and planner, through kills."""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
import torch
from safetensors import safe_open

import gedanken
from gedanken.agent.checkpoint import MEMORY, STATE
from gedanken.agent.logs import Logs
from gedanken.agent.planning.actor_critic import ActorCritic, ActorCriticConfig
from gedanken.agent.planning.build import PLANNERS
from gedanken.agent.planning.deep_dyna import DeepDyna, DeepDynaConfig
from gedanken.agent.planning.mcts import MCTS, MCTSConfig
from gedanken.agent.planning.plan import Budget
from gedanken.errors import UserError
from gedanken.world.models.build import MODELS, build
from gedanken.world.models.recurrent import Recurrent, RecurrentConfig
from gedanken.world.schema import Schema
from gedanken.world.training import Progress, TrainingConfig

TINY = TrainingConfig(steps=8, min_steps=4, batch=6, length=4, check_every=3, check_rows=8, save_every=3)
BRIEF = gedanken.AgentConfig(training=TINY, budget=Budget(transitions=300))
WORLDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("FrozenLake-v1", {"is_slippery": False}), ("CartPole-v1", {}), ("Pendulum-v1", {}), ("MountainCar-v0", {}))


def agent(world: gym.Env, **options: Any) -> gedanken.Agent:
    return gedanken.Agent(world, llm=None, **{"config": BRIEF, "seed": 3, **options})


def fitting(**options: Any) -> gym.Env:
    """The first of our worlds that the model or the planner can serve."""
    reasons = []
    for id, settings in WORLDS:
        try:
            env = gym.make(id, **settings)
            agent(env, **options).close()
            return env
        except UserError as reason:
            reasons.append(str(reason))
    pytest.fail(f"no world fits {options}: {reasons}")


def weights(of: gedanken.Agent) -> dict[str, torch.Tensor]:
    learned = of.mind.learned
    return learned.state_dict() if isinstance(learned, torch.nn.Module) else {}


def small(planner: str) -> Any:
    """The planner by name, or where it takes its time to learn, a small one of its kind."""
    if planner == "actor_critic":
        return ActorCritic(ActorCriticConfig(steps=3, horizon=3, sequences=2, length=3, width=8, lookahead=3))
    if planner == "deep_dyna":
        return DeepDyna(DeepDynaConfig(steps=3, sequences=2, length=3, width=8))
    return MCTS(MCTSConfig(simulations=8)) if planner == "mcts" else planner


def stop_at(step: int) -> Any:
    def progress(p: Progress) -> None:
        if p.step == step:
            raise KeyboardInterrupt

    return progress


SLOW = {"factors": pytest.mark.slow}  # it refits its graph whenever a training ends, here four times


@pytest.mark.parametrize("model", [pytest.param(m, marks=SLOW.get(m, ())) for m in sorted(MODELS)])
def test_every_model_learns_on_after_a_restart_as_if_there_had_been_none(model: str, tmp_path: Path) -> None:
    env = fitting(model=model)
    whole, broken = agent(env, model=model), agent(env, model=model)
    whole.learn(30)
    broken.learn(30, train=False)
    if broken.trainer is None:
        broken.train()
    else:
        with pytest.raises(KeyboardInterrupt):
            broken.train(stop_at(4))
    broken.save(tmp_path)
    again = gedanken.Agent.load(tmp_path, env, config=BRIEF)
    again.train()
    assert weights(whole).keys() == weights(again).keys()
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(again)[name]), name
    assert whole.trained_on == again.trained_on == 30


@pytest.mark.parametrize("model", [pytest.param(m, marks=SLOW.get(m, ())) for m in sorted(MODELS) if m != "none"])
def test_every_model_learns_in_half_precision(model: str) -> None:
    env = fitting(model=model)
    if not isinstance(build(model, Schema.from_env(env), env), torch.nn.Module):
        pytest.skip("learns nothing")
    one = agent(env, model=model, config=replace(BRIEF, training=replace(TINY, steps=2, precision="bf16")))
    one.learn(12)
    assert all(p.isfinite().all() and p.dtype == torch.float32 for p in weights(one).values() if p.is_floating_point())


@pytest.mark.parametrize("planner", sorted(PLANNERS))
def test_every_planner_plays_on_after_a_restart_as_if_there_had_been_none(planner: str, tmp_path: Path) -> None:
    env = fitting(planner=planner)
    whole, broken = agent(env, planner=small(planner)), agent(env, planner=small(planner))
    for one in (whole, broken):
        one.learn(20)
    played = whole.run(2, seeds=[1, 2], max_steps=3).episodes
    first = broken.run(1, seeds=[1], max_steps=3).episodes
    broken.save(tmp_path)
    again = gedanken.Agent.load(tmp_path, env, config=BRIEF, planner=small(planner))
    second = again.run(1, seeds=[2], max_steps=3).episodes
    assert [(e.total_reward, e.steps, e.imagined_steps) for e in played] == [
        (e.total_reward, e.steps, e.imagined_steps) for e in (*first, *second)]
    assert (whole.mind.memory.transitions().action == again.mind.memory.transitions().action).all()


def test_a_loaded_agent_acts_on_the_best_weights_of_a_training_under_way(tmp_path: Path) -> None:
    env = gym.make("CartPole-v1")
    a = agent(env)
    a.learn(30, train=False)
    with pytest.raises(KeyboardInterrupt):
        a.train(stop_at(7), save_to=tmp_path)
    b = gedanken.Agent.load(tmp_path, env, config=BRIEF)  # what was saved at step 6
    assert b.trainer is not None
    assert b.trainer.running is not None
    assert b.trainer.running.step == 6
    for name, value in weights(b).items():
        assert torch.equal(value, b.trainer.running.best_weights[name]), name  # type: ignore[index]


def test_curves_are_written_and_go_on(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    a = agent(gym.make("CartPole-v1"), model="recurrent", config=replace(BRIEF, training=replace(TINY, steps=20)))
    for _ in range(2):
        with Logs(tmp_path) as logs:
            a.learn(60, training=logs)
    written = b"".join(p.read_bytes() for p in tmp_path.iterdir())
    assert b"loss/kl" in written
    assert b"held_out" in written


def live(folder: Path) -> None:
    """A whole small life: collect what is missing, train, save; from whatever a life before it left."""
    folder.mkdir(exist_ok=True)
    env, config = gym.make("CartPole-v1"), replace(BRIEF, training=replace(TINY, steps=20, min_steps=20, save_every=2))
    torch.manual_seed(1)
    small = Recurrent(Schema.from_env(env), RecurrentConfig(hidden=12, latent=3, width=12, overshoot=2))
    if (folder / STATE).exists():
        a = gedanken.Agent.load(folder, env, model=small, config=config)
    else:
        a = agent(env, model=small, config=config, memory=folder / MEMORY)
    if missing := 60 - len(a.mind.memory):
        a.learn(missing, train=False, resume=True)
    if a.trained_on < 60:
        a.train(save_to=folder)
    a.close()


def killed(folder: Path, delays: random.Random, most: int) -> int:
    """Live in processes that are killed after a random while, until one comes to its end or `most` were killed: how
    many were."""
    for kills in range(most):
        child = os.fork()
        if not child:
            try:
                live(folder)
            finally:
                os._exit(0)
        until = time.monotonic() + delays.uniform(0.02, 0.6)
        while time.monotonic() < until:
            if os.waitpid(child, os.WNOHANG)[0]:
                return kills
            time.sleep(0.005)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return most


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forks of this process")
@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_a_life_killed_at_random_moments_ends_in_the_same_place(kills: int, tmp_path: Path) -> None:
    live(tmp_path / "whole")
    delays, done, lives = random.Random(kills), 0, 0
    while done < kills:
        folder, lives = tmp_path / f"killed{lives}", lives + 1
        done += killed(folder, delays, kills - done)
        live(folder)
        with safe_open(tmp_path / "whole" / STATE, "pt") as whole, safe_open(folder / STATE, "pt") as again:
            assert set(whole.keys()) == set(again.keys())
            for name in whole.keys():  # noqa: SIM118 - a safetensors file is no mapping
                assert torch.equal(whole.get_tensor(name), again.get_tensor(name)), name
    assert done >= kills
