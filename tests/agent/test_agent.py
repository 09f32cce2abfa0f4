"""The agent as a user meets it: told, learning, acting, saved, loaded; and what it says when something is wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

import gedanken
from gedanken.errors import GedankenError, UserError
from gedanken.memory import LongTerm
from gedanken.world.training import TrainingConfig

minigrid = pytest.importorskip("minigrid")
BRIEF = gedanken.AgentConfig(training=TrainingConfig(steps=60, min_steps=20, batch=32, check_every=20))


def doorkey(size: str = "6x6") -> gym.Env:
    return gym.make(f"MiniGrid-DoorKey-{size}-v0")


def agent(seed: int = 0, env: gym.Env | None = None, **options: object) -> gedanken.Agent:
    return gedanken.Agent(env or doorkey(), llm=None, seed=seed, **{"config": BRIEF, **options})  # type: ignore[arg-type]


def test_learning_stores_every_transition_and_reports_held_out_accuracy() -> None:
    a = agent()
    report = a.learn(steps=120)
    assert len(a.mind.memory) == 120
    assert 0 <= report["exact"] <= 1
    assert report["transitions"] > 0


def test_told_rules_act_in_imagination_and_are_checked_against_memory() -> None:
    a = agent()
    a.tell("expect same if action == done")
    a.learn(steps=100, train=False)
    entry = a.check()[0]
    assert entry.evidence.support > 0
    assert entry.evidence.support == entry.evidence.hits
    assert entry.status == "supported"


def test_a_forbidden_action_is_never_executed_even_at_random() -> None:
    a = agent()
    a.tell("forbid forward if front_object == empty")
    a.learn(steps=150, train=False)
    taken = a.mind.memory.transitions()
    rows = a.schema.batch(taken.features)
    ahead = a.schema.value("front_object", rows).numpy()
    names = a.schema.feature("front_object").values
    forward = a.schema.actions[0].values.index("forward")
    assert not ((taken.action[:, 0] == forward) & (ahead == names.index("empty"))).any()


def test_one_seed_gives_one_run() -> None:
    runs = []
    for _ in range(2):
        a = agent(seed=3)
        a.learn(steps=60)
        result = a.run(episodes=2, max_steps=15)
        runs.append([(e.layout, e.total_reward, e.steps, e.imagined_steps) for e in result.episodes])
    assert runs[0] == runs[1]


def test_a_saved_agent_comes_back_whole(tmp_path: Path) -> None:
    a = agent()
    a.tell("door_opens: expect front_state' == open if action == toggle and front_state == locked")
    a.learn(steps=80)
    a.save(tmp_path / "run")
    b = gedanken.Agent.load(tmp_path / "run", doorkey(), config=BRIEF)
    assert [e.text for e in b.rules] == [e.text for e in a.rules]
    assert len(b.mind.memory) == len(a.mind.memory)
    for name, weight in a.mind.learned.state_dict().items():  # type: ignore[attr-defined]
        assert torch.equal(weight, b.mind.learned.state_dict()[name]), name  # type: ignore[attr-defined]


def test_training_goes_on_after_a_restart_as_if_there_had_been_none(tmp_path: Path) -> None:
    a = agent()
    a.learn(steps=80)
    a.save(tmp_path / "run")
    a.train()
    b = gedanken.Agent.load(tmp_path / "run", doorkey(), config=BRIEF)
    b.train()
    for name, weight in a.mind.learned.state_dict().items():  # type: ignore[attr-defined]
        assert torch.equal(weight, b.mind.learned.state_dict()[name]), name  # type: ignore[attr-defined]


def test_weights_of_a_small_board_serve_a_larger_one(tmp_path: Path) -> None:
    a = agent()
    a.learn(steps=60)
    a.save(tmp_path / "run")
    b = gedanken.Agent.load(tmp_path / "run", doorkey("8x8"), config=BRIEF)
    assert b.run(episodes=1, max_steps=3).episodes[0].steps == 3


def test_another_world_is_refused_with_the_difference(tmp_path: Path) -> None:
    a = agent()
    a.learn(steps=30, train=False)
    a.save(tmp_path / "run")
    with pytest.raises(UserError, match="saved for another world"):
        gedanken.Agent.load(tmp_path / "run", gym.make("CartPole-v1"))


def test_a_folder_that_is_no_agent_and_a_damaged_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a saved agent"):
        gedanken.Agent.load(tmp_path, doorkey())
    (tmp_path / "agent.safetensors").write_bytes(b"nonsense" * 10)
    with pytest.raises(UserError, match="damaged"):
        gedanken.Agent.load(tmp_path, doorkey())


def test_acting_before_reset_says_what_to_do() -> None:
    with pytest.raises(UserError, match="reset"):
        agent().act(None)


def test_who_owns_the_loop_gets_actions_until_the_end() -> None:
    env = doorkey()
    a = agent(env=env, config=replace(BRIEF, train_every=10**9))
    observation, _ = env.reset(seed=1)
    a.reset(observation)
    action = a.act(observation)
    for _ in range(5):
        observation, reward, terminated, truncated, _ = env.step(action)
        action = a.act(observation, float(reward), terminated, truncated)
    assert a.act(observation, 0.0, terminated=True) is None
    assert len(a.mind.memory) == 6


def test_a_reward_that_is_no_number_is_refused() -> None:
    env = doorkey()
    a = agent(env=env)
    observation, _ = env.reset(seed=1)
    a.reset(observation)
    a.act(observation)
    with pytest.raises(UserError, match="finite"):
        a.act(observation, float("nan"))


def test_layouts_that_were_learned_from_are_not_played_as_unseen() -> None:
    a = agent()
    a.learn(steps=100, train=False)
    known = {e.group for e in a.mind.memory.episodes()}
    result = a.run(episodes=5, seed=0, max_steps=2)  # the same seeds as training
    assert not known & {e.layout for e in result.episodes}


def test_a_variant_without_rules_or_model_leaves_the_agent_alone() -> None:
    a = agent()
    a.tell("expect same if action == done")
    a.learn(steps=40, train=False)
    plain, blind = a.variant(rules=False), a.variant(model=False)
    assert not plain.rules
    assert [e.text for e in blind.rules] == [e.text for e in a.rules]
    blind.run(episodes=1, max_steps=3)
    assert len(a.mind.memory) == 40


def test_an_interrupt_while_learning_loses_no_transition() -> None:
    a = agent()
    seen = []

    def interrupt(done: int, total: int) -> None:
        seen.append(done)
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        a.learn(steps=100, progress=interrupt)
    assert len(a.mind.memory) >= 20


def test_killing_the_process_while_learning_loses_no_acknowledged_transition(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import gymnasium as gym, minigrid, gedanken, sys
        agent = gedanken.Agent(gym.make("MiniGrid-DoorKey-6x6-v0"), llm=None, memory={str(tmp_path / 'm.db')!r})
        agent.learn(steps=100_000, train=False, progress=lambda done, total: print(len(agent.mind.memory), flush=True))
    """)
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=os.environ)
    assert process.stdout is not None
    acknowledged = 0
    for line in process.stdout:
        acknowledged = int(line)
        if acknowledged >= 60:
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    a = agent()
    with LongTerm(tmp_path / "m.db", a.mind.memory.layout) as memory:
        assert len(memory) >= acknowledged


def test_a_continuous_world_learns_and_acts_within_its_bounds() -> None:
    a = gedanken.Agent(gym.make("Pendulum-v1"), llm=None, config=BRIEF)
    a.tell("avoid abs(angular_velocity) > 7")
    a.learn(steps=64)
    result = a.run(episodes=1, max_steps=2)
    assert np.isfinite(result.mean_return)
    assert all(abs(float(s.action[0])) <= 2 for s in a.mind.recent.steps)


def test_goals_replace_the_environment_s_own_reward() -> None:
    a = agent()
    a.tell("achieve direction == up then direction == down within 20 steps")
    a.learn(steps=200)
    result = a.run(episodes=2, max_steps=30)
    assert all(isinstance(e.solved, bool) for e in result.episodes)


def test_an_unknown_model_or_planner_names_the_near_one() -> None:
    with pytest.raises(UserError, match="did you mean 'slots'"):
        gedanken.Agent(doorkey(), llm=None, model="slot")
    with pytest.raises(UserError, match="did you mean 'search'"):
        gedanken.Agent(doorkey(), llm=None, planner="serch")


def test_no_layout_left_is_said() -> None:
    env = gym.make("MiniGrid-Empty-5x5-v0")  # always the same layout
    a = gedanken.Agent(env, llm=None, config=BRIEF)
    a.learn(steps=30, train=False)
    with pytest.raises(GedankenError, match="unseen=False"):
        a.run(episodes=1)


def test_what_surprises_a_trained_model_is_noted_and_recalled() -> None:
    a = agent(config=replace(BRIEF, neighbours=None))  # with the past beside it hardly anything surprises it
    a.learn(steps=80)
    a.learn(steps=40, train=False)
    notes = a.mind.memory.notes(kind="surprise")
    assert notes
    assert all(note.source == "environment" for note in notes)
    assert a.recall(notes[0].text, k=1)[0].note.kind == "surprise"


def test_notes_are_recalled_by_meaning_where_the_agent_has_embeddings(tmp_path: Path) -> None:
    a = agent(model="none", embeddings="local")
    opens = a.mind.memory.note("whoever wants to unlock something needs what fits the lock", source="user")
    for i in range(5):
        a.mind.memory.note(f"the {i}th room is painted in a cold colour", source="user")
    assert a.recall("which key opens the door?", k=1)[0].note.id == opens
    a.learn(steps=5, train=False)
    a.save(tmp_path / "run")
    b = gedanken.Agent.load(tmp_path / "run", doorkey(), config=BRIEF)
    assert b.recall("which key opens the door?", k=1)[0].note.id == opens


def test_proposals_come_checked_and_act_only_where_supported() -> None:
    a = agent()
    a.learn(steps=300)
    proposed = a.propose()
    assert proposed
    assert all(e.source == "miner" and e.status != "contradicted" for e in proposed)
    assert {e.id for e in a.mind.knowledge.active()} <= {e.id for e in proposed if e.status == "supported"}
