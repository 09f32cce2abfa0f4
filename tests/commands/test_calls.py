"""`gedanken calls` and `gedanken prompts`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from gedanken import Agent
from gedanken.agent.config import AgentConfig
from gedanken.prompts import Gateway, GatewayConfig, Price, ScriptedChatModel, read_calls

Run = Callable[..., Any]


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """Three calls: one paid, one cached by hand, one failed; and a damaged line."""
    path = tmp_path / "calls.jsonl"
    config = GatewayConfig(record_path=path, attempts=1, prices={"scripted": Price(1_000.0, 1_000.0)})
    door = Gateway(ScriptedChatModel(answers=["\x1b[31mred\x1b[0m [bold]x", "two\nlines", ValueError("gone")]), config)
    door.ask("What is red?", "translate")
    door.ask("x" * 500, "propose")
    with pytest.raises(Exception, match="gone"):
        door.ask("x", "propose")
    with path.open("a") as file:
        file.write("{damaged\n")
    return path


def test_the_last_calls_are_listed_with_their_cost(gedanken: Run, record: Path) -> None:
    result = gedanken("calls", record.parent)
    assert result.exit_code == 0, result.output
    assert "translate" in result.stdout
    assert "ValueError: gone" in result.stdout
    assert "in all 3 calls (0 cached, 1 failed)" in result.stdout
    assert "1 damaged line" in result.stderr
    assert "translate" not in gedanken("calls", record, "--last", 2).stdout


def test_no_text_of_a_model_reaches_the_terminal_as_a_command(gedanken: Run, record: Path) -> None:
    for words in ((), ("--full", 1)):
        shown = gedanken("calls", record, *words).stdout
        assert "\x1b" not in shown
        assert "\\x1b[31mred" in shown
    assert "[bold]x" in shown


def test_one_call_is_shown_whole(gedanken: Run, record: Path) -> None:
    shown = gedanken("calls", record, "--full", 2).stdout
    assert "x" * 500 in shown
    assert "two\nlines" in shown
    missing = gedanken("calls", record, "--full", 4)
    assert (missing.exit_code, "has no call 4" in missing.stderr) == (2, True)


def test_a_folder_without_a_record_is_said(gedanken: Run, tmp_path: Path) -> None:
    result = gedanken("calls", tmp_path)
    assert result.exit_code == 2
    assert "there is no record of calls" in result.stderr


def test_calls_are_written_as_json(gedanken: Run, record: Path, tmp_path: Path) -> None:
    gedanken("calls", record, "--json", tmp_path / "out.json")
    data = json.loads((tmp_path / "out.json").read_text())
    assert ([call["id"] for call in data["calls"]], data["damaged"]) == ([1, 2, 3], 1)


def test_an_agent_records_beside_its_memory_or_where_it_is_saved(tmp_path: Path) -> None:
    env = gymnasium.make("CartPole-v1")
    for memory in (None, tmp_path / "kept" / "memory.db"):
        folder = tmp_path / ("kept" if memory else "saved")
        agent = Agent(env, llm=ScriptedChatModel(answers=["avoid cart_position > 1"] * 2), model="none", memory=memory)
        agent.tell("Do not go far.")
        agent.save(folder)
        agent.close()
        (call,) = read_calls(folder / "calls.jsonl")[0].values()
        assert (call.purpose, call.answer) == ("translate", "avoid cart_position > 1")


def test_an_agent_keeps_to_the_limits_and_prompts_of_its_config(tmp_path: Path) -> None:
    (tmp_path / "translate.txt").write_text(
        "# text schema: s\n# pairs examples: e\n# data sentence: s\n"
        "=== turns {{examples}}\n=== user\nMINE {{schema}} {{sentence}}\n"
    )
    model = ScriptedChatModel(answers=["avoid cart_position > 1"])
    config = AgentConfig(calls=GatewayConfig(max_calls=1, prompts=tmp_path))
    agent = Agent(gymnasium.make("CartPole-v1"), llm=model, model="none", config=config)
    agent.tell("Do not go far.")
    assert model.asked[0].messages[-1].text.startswith("MINE")
    assert agent.mind.knowledge.gateway is not None
    assert agent.mind.knowledge.gateway.usage.calls == 1


def test_an_agents_answers_are_cached_in_its_memory(tmp_path: Path) -> None:
    env, asked = gymnasium.make("CartPole-v1"), []
    for answers in (["avoid cart_position > 1"], []):  # the second agent's model has nothing to say
        model = ScriptedChatModel(answers=answers)
        agent = Agent(env, llm=model, model="none", memory=tmp_path / "memory.db")
        assert agent.tell("Do not go far.")[0].readings
        asked.append(len(model.asked))
        agent.close()
    calls = list(read_calls(tmp_path / "calls.jsonl")[0].values())
    assert asked == [1, 0]
    assert [call.cached for call in calls] == [False, True]


def test_prompts_are_listed_printed_and_checked(gedanken: Run, tmp_path: Path) -> None:
    assert "translate" in gedanken("prompts").stdout
    printed = gedanken("prompts", "translate").stdout
    (tmp_path / "translate.txt").write_text("# version: 3\n" + printed)
    shown = gedanken("prompts", "--folder", tmp_path)
    assert shown.exit_code == 0, shown.output
    assert "3" in next(line for line in shown.stdout.splitlines() if line.startswith("translate"))
    (tmp_path / "propose.txt").write_text("=== usr\n{{x}}\n")
    wrong = gedanken("prompts", "--folder", tmp_path)
    assert wrong.exit_code == 2
    assert "propose.txt:1: no role 'usr'" in wrong.stderr
    assert "propose.txt:2: 'x' is not declared" in wrong.stderr


def test_a_wrong_prompt_is_told_before_an_agent_is_made(gedanken: Run, tmp_path: Path, tiny: str) -> None:
    (tmp_path / "propose.txt").write_text("=== usr\n")
    result = gedanken("rules", "tell", "--env", tiny, "Do not walk.", "--prompts", tmp_path)
    assert result.exit_code == 2
    assert "propose.txt:1" in result.stderr
