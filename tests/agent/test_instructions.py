"""Instructions: BabyAI's missions and other sentences, against the environment's own verifier."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch

from gedanken.agent.instructions import Instruction, understand
from gedanken.agent.planning.objective import Transition
from gedanken.errors import UserError
from gedanken.world.schema import Schema

minigrid = pytest.importorskip("minigrid")
torch.set_num_threads(1)
LEVELS = sorted(name for name in gymnasium.registry if name.startswith("BabyAI-"))[::9]


def look(env: gymnasium.Env, schema: Schema, observation: object) -> dict[str, np.ndarray]:
    return {k: np.asarray(v) for k, v in schema.perceive(observation, env).items()}


def told(text: str, seed: int = 0, level: str = "BabyAI-GoToLocal-v0") -> Instruction:
    env = gymnasium.make(level)
    observation, _ = env.reset(seed=seed)
    schema = Schema.from_env(env)
    return understand(text, schema, look(env, schema, observation))


@pytest.mark.parametrize("level", LEVELS)
def test_the_automaton_is_done_on_the_step_on_which_the_verifier_says_so(level: str) -> None:
    from minigrid.utils.baby_ai_bot import BabyAIBot

    env = gymnasium.make(level)
    observation, _ = env.reset(seed=5)
    schema = Schema.from_env(env)
    row = look(env, schema, observation)
    (goal,) = understand(observation["mission"], schema, row).automata
    now, bot, action, one = schema.batch([row]), BabyAIBot(env), None, torch.ones(1)
    carry, over, reward = goal.start(now), False, 0.0
    while not over:
        assert not goal.done(carry).item()
        action = bot.replan(action)
        observation, reward, terminated, truncated, _ = env.step(action)
        after = schema.batch([look(env, schema, observation)])
        done = torch.tensor([[int(action)]])
        carry, _, _ = goal.advance(carry, Transition(now, done, after, one, one, one > 0, one, one, 0))
        now, over = after, terminated or truncated
    assert goal.done(carry).item() == (reward > 0)


@pytest.mark.parametrize(("text", "line"), [
    ("Go to a ball.", "achieve front_object' == ball"),
    ("walk to a ball, then drop it", "achieve front_object' == ball then carrying_object == ball and "
     "carrying_object' == none"),
    ("never touch lava", "avoid object[agent_x, agent_y] == lava"),
    ("go to a key or a box", "achieve front_object' == key else front_object' == box"),
    ("go to a key because a box", None),
    ("find a box within 30 steps", "achieve front_object' == box within 30 steps"),
    ("go to a box after you pick up a ball", "achieve carrying_object == none and front_object == ball and "
     "carrying_object' == ball then front_object' == box"),
    ("face a box and go to a ball", "achieve front_object' == box also front_object' == ball"),
    ("go to a box or go to a ball", "achieve front_object' == box else front_object' == ball"),
    ("reach a box and only then go to a ball", "achieve front_object' == box while not front_object' == ball then "
     "front_object' == ball"),
])
def test_words_become_rules(text: str, line: str | None) -> None:
    if line is None:
        with pytest.raises(UserError, match="the word 'because' of"):
            told(text)
    else:
        assert told(text).lines == (line,)


def test_an_unknown_word_is_named_with_what_there_is() -> None:
    with pytest.raises(UserError, match="the word 'bal' of 'go to a bal' means nothing here; did you mean 'ball'"):
        told("go to a bal")


def test_the_thing_that_may_be_several_is_asked_back() -> None:
    env = gymnasium.make("BabyAI-GoToLocal-v0")
    for seed in range(40):
        observation, _ = env.reset(seed=seed)
        schema = Schema.from_env(env)
        row = look(env, schema, observation)
        at = row["object"] == 6
        if len(set(row["color"][at].tolist())) > 1:
            break
    with pytest.raises(UserError, match=r"'the ball' may be the .* ball or the .* ball"):
        understand("go to the ball", schema, row)
    asked: list[list[str]] = []
    understand("go to the ball", schema, row, lambda question, readings: asked.append(readings) or 0)
    assert len(asked[0]) > 1


def test_the_shield_keeps_what_an_instruction_forbids_while_it_lasts() -> None:
    import gedanken

    env = gymnasium.make("MiniGrid-LavaGapS5-v0")
    agent = gedanken.Agent(env, llm=None, model="simulator")
    observation, _ = env.reset(seed=0)
    board = env.unwrapped
    things = {(x, y): board.grid.get(x, y) for x in range(5) for y in range(5)}
    x, y = next(place for place, thing in things.items() if getattr(thing, "type", "") == "lava")
    forward = torch.tensor([[2]])
    board.agent_pos, board.agent_dir = (x - 1, y), 0

    def stopped() -> bool:
        mind = agent.mind
        return mind.shield.guard(forward, mind.features, mind.imagining, mind.belief, mind.rng)[1] is not None

    agent.reset(observation)
    assert not stopped()
    agent.instruct("never touch lava")
    assert stopped()
    agent.reset(observation)
    assert not stopped()
    agent.close()
