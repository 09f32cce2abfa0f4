"""Help, version, exit codes and messages of the command line as a whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gedanken import __version__
from gedanken.commands.output import reported
from gedanken.errors import GedankenError, UserError

Run = Callable[..., Any]
RULE = "forbid toggle if front_object == key"


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["demo"],
        ["learn"],
        ["act"],
        ["imagine"],
        ["explain"],
        ["reflect"],
        ["rules"],
        ["rules", "tell"],
        ["rules", "check"],
        ["rules", "list"],
        ["rules", "retire"],
        ["rules", "revive"],
        ["rules", "propose"],
        ["rules", "show"],
        ["rules", "test"],
        ["rules", "explain"],
        ["rules", "export"],
        ["rules", "import"],
    ],
)
def test_every_command_has_help(gedanken: Run, words: list[str]) -> None:
    result = gedanken(*words, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.stdout
    if words and words != ["rules"]:
        assert "--json" in result.stdout


def test_version_and_help_import_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['gedanken', '--version']\n"
        "from gedanken.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "assert not {'torch', 'numpy', 'gymnasium', 'matplotlib'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"gedanken {__version__}"


@pytest.mark.parametrize(
    "words",
    [
        ["dmeo"],
        ["demo", "--episodes", "0"],
        ["learn"],
        ["learn", "--env", "CartPole-v1", "--rules", "nowhere.txt"],
        ["rules", "tell"],
        ["imagine"],
    ],
)
def test_usage_mistakes_exit_with_2(gedanken: Run, words: list[str]) -> None:
    assert gedanken(*words).exit_code == 2


@pytest.mark.parametrize(
    ("wrong", "right"), [("CartPol-v1", "CartPole-v1"), ("minigrid-doorkey-6x6-v0", "MiniGrid-DoorKey-6x6-v0")]
)
def test_an_unknown_environment_names_the_nearest(gedanken: Run, tmp_path: Path, wrong: str, right: str) -> None:
    result = gedanken("learn", "--env", wrong, "--out", tmp_path / "a")
    assert result.exit_code == 2
    assert f"did you mean '{right}'?" in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "a").exists()


def test_minigrid_that_is_not_installed_says_how_to_install_it(gedanken: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "minigrid", None)
    result = gedanken("demo", "--env", "MiniGrid-DoorKey-6x6-v0")
    assert result.exit_code == 2
    assert 'pip install "gedanken[minigrid]"' in result.stderr


@pytest.mark.parametrize("command", [["act"], ["imagine"], ["rules", "list"], ["rules", "check"]])
def test_a_folder_without_an_agent_is_the_users_mistake(gedanken: Run, tmp_path: Path, command: list[str]) -> None:
    result = gedanken(*command, tmp_path)
    assert result.exit_code == 2
    assert "is not a saved agent" in result.stderr


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [
        (UserError("no such thing; try another"), 2, "error: no such thing; try another"),
        (GedankenError("the disk is full"), 1, "error: the disk is full"),
        (KeyboardInterrupt(), 1, "interrupted"),
        (ZeroDivisionError("division by zero"), 1, "ZeroDivisionError: division by zero\nThis is a defect of gedanken"),
    ],
)
def test_failures_become_messages(
    raised: BaseException, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import typer

    @reported
    def command() -> None:
        raise raised

    with pytest.raises(typer.Exit) as end:
        command()
    assert end.value.exit_code == code
    captured = capsys.readouterr()
    assert words in captured.err
    assert "Traceback" not in captured.err
    assert not captured.out


def test_the_traceback_of_a_defect_is_shown_on_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import typer

    @reported
    def command() -> None:
        raise ZeroDivisionError

    monkeypatch.setenv("GEDANKEN_DEBUG", "1")
    with pytest.raises(typer.Exit):
        command()
    assert "Traceback" in capsys.readouterr().err


def test_learn_goes_on_only_when_told_to(gedanken: Run, saved: Path, tiny: str) -> None:
    again = ("learn", "--env", tiny, "--steps", 10, "--train-steps", 2, "--llm", "none", "--out", saved)
    refused = gedanken(*again)
    assert refused.exit_code == 2
    assert "--resume" in refused.stderr
    report = saved.parent / "report.json"
    assert gedanken(*again, "--resume", "--json", report).exit_code == 0
    told = json.loads(report.read_text())
    assert (told["interactions"], told["transitions"]) == (10, 50)


def test_a_model_and_a_planner_are_chosen_by_name(gedanken: Run, tmp_path: Path) -> None:
    words = ("learn", "--env", "CartPole-v1", "--steps", 20, "--train-steps", 2, "--llm", "none", "--out",
             tmp_path / "a")
    result = gedanken(*words, "--model", "recurent")
    assert result.exit_code == 2
    assert "did you mean 'recurrent'" in result.output
    assert not (tmp_path / "a" / "agent.safetensors").exists()
    assert gedanken(*words, "--model", "rssm-200k", "--planner", "mppi").exit_code == 0
    result = gedanken(*words, "--model", "recurrent", "--resume")
    assert result.exit_code == 2
    assert "has been chosen" in result.output
    result = gedanken("act", tmp_path / "a", "--planner", "random", "--episodes", 1, "--steps", 2, "--budget", 50)
    assert result.exit_code == 0


def test_an_interrupted_learn_keeps_what_it_learned(
    gedanken: Run, tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gedanken.agent.collecting import Collector

    step = Collector._round

    def interrupted(self: Collector) -> None:
        step(self)
        if len(self.agent.mind.memory) == 7:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Collector, "_round", interrupted)
    result = gedanken("learn", "--env", tiny, "--steps", 40, "--llm", "none", "--out", tmp_path / "agent")
    monkeypatch.undo()
    assert result.exit_code == 1
    assert "7 new transitions" in result.stderr
    assert gedanken("rules", "check", tmp_path / "agent").stdout.startswith("checked on 7 transitions")


@pytest.mark.slow
def test_two_processes_learn_as_one_and_one_of_them_writes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "--num_machines",
               "1", "--mixed_precision", "no", "--dynamo_backend", "no", "-m", "gedanken", "learn", "--env",
               "CartPole-v1", "--steps", "60", "--envs", "2", "--train-steps", "10", "--llm", "none", "--out",
               str(tmp_path / "agent"), "--logs", str(tmp_path / "logs")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("60 transitions and the agent are in") == 1
    assert len(list((tmp_path / "logs").iterdir())) == 1


def test_learn_refuses_rules_with_every_mistake(gedanken: Run, tmp_path: Path, tiny: str) -> None:
    rules = tmp_path / "rules.txt"
    rules.write_text("forbid jump if front_object == key\navoid battery > 3\n")
    result = gedanken("learn", "--env", tiny, "--rules", rules, "--out", tmp_path / "agent")
    assert result.exit_code == 2
    assert "jump" in result.stderr
    assert "battery" in result.stderr


def test_act_plays_and_writes_every_episode(gedanken: Run, saved: Path) -> None:
    report = saved.parent / "report.json"
    result = gedanken("act", saved, "--episodes", 2, "--budget", 20, "--json", report)
    assert result.exit_code == 0, result.output
    assert "solved" in result.stdout
    assert len(json.loads(report.read_text())["episodes"]) == 2


def test_act_draws_every_step_on_request(gedanken: Run, saved: Path) -> None:
    result = gedanken("act", saved, "--episodes", 1, "--budget", 20, "--render", "ansi")
    assert result.exit_code == 0, result.output


# --- rules ------------------------------------------------------------------------------------------------------------


def test_rules_are_told_listed_retired_and_revived(gedanken: Run, saved: Path) -> None:
    report = saved.parent / "rules.json"
    assert gedanken("rules", "tell", saved, RULE, "--llm", "none").exit_code == 0
    listed = gedanken("rules", "list", saved, "--json", report)
    assert listed.exit_code == 0
    assert RULE in listed.stdout
    [rule] = json.loads(report.read_text())["rules"]
    assert (rule["text"], rule["source"]) == (RULE, "user")
    assert gedanken("rules", "retire", saved, rule["id"]).exit_code == 0
    assert RULE not in gedanken("rules", "list", saved).stdout
    assert RULE in gedanken("rules", "list", saved, "--all").stdout
    assert gedanken("rules", "revive", saved, rule["id"]).exit_code == 0
    assert RULE in gedanken("rules", "list", saved).stdout


def test_a_rule_that_is_not_there_is_the_users_mistake(gedanken: Run, saved: Path) -> None:
    result = gedanken("rules", "retire", saved, "r99")
    assert result.exit_code == 2
    assert "r99" in result.stderr


def test_told_rules_are_checked_against_memory(gedanken: Run, saved: Path) -> None:
    report = saved.parent / "told.json"
    gedanken("rules", "tell", saved, "expect same if action == done", "--llm", "none", "--json", report)
    [told] = json.loads(report.read_text())["told"]
    assert told["rules"][0]["hits"] == told["rules"][0]["support"] > 0


def test_a_sentence_nobody_can_read_is_refused_in_a_script(gedanken: Run, saved: Path) -> None:
    result = gedanken("rules", "tell", saved, "Doors are fond of keys.", RULE, "--llm", "none")
    assert result.exit_code == 2
    assert "nothing is saved" in result.stderr
    assert RULE not in gedanken("rules", "list", saved).stdout


def test_a_rule_can_be_tried_on_an_environment_alone(gedanken: Run, tiny: str, tmp_path: Path) -> None:
    text = tmp_path / "rules.txt"
    text.write_text(RULE + "\n")
    result = gedanken("rules", "tell", "--env", tiny, "--file", text, "--llm", "none")
    assert result.exit_code == 0, result.output
    assert RULE in result.stdout


@pytest.mark.parametrize(("answer", "choice"), [("2", 1), ("0", None), ("", None)])
def test_a_person_chooses_among_readings(
    answer: str, choice: int | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from gedanken.commands.telling import ask
    from gedanken.prompts import Reading

    monkeypatch.setattr("builtins.input", lambda *_: answer)
    readings = [Reading("forbid toggle", 0.4), Reading("forbid drop", 0.3)]
    assert ask("No toggling.", readings) == choice
    assert "forbid drop" in capsys.readouterr().err


def test_a_mistake_in_a_file_names_the_file_and_leaves_nothing_behind(gedanken: Run, tmp_path: Path, tiny: str) -> None:
    rules = tmp_path / "mine.txt"
    rules.write_text("forbid toggle\navoid battery > 3\n")
    result = gedanken("learn", "--env", tiny, "--rules", rules, "--out", tmp_path / "agent")
    assert result.exit_code == 2
    assert f"{rules}:2:7: unknown feature 'battery'" in result.stderr
    assert not (tmp_path / "agent").exists()


def test_a_refused_sentence_leaves_the_folder_free(gedanken: Run, tmp_path: Path, tiny: str) -> None:
    rules = tmp_path / "mine.txt"
    rules.write_text("Doors are fond of keys.\n")
    words = ("learn", "--env", tiny, "--steps", 5, "--train-steps", 1, "--llm", "none", "--rules", rules)
    assert gedanken(*words, "--out", tmp_path / "agent").exit_code == 2
    rules.write_text(RULE + "\n")
    assert gedanken(*words, "--out", tmp_path / "agent").exit_code == 0


def test_learning_as_planned_trains_between(gedanken: Run, saved: Path, tiny: str) -> None:
    words = ("learn", "--env", tiny, "--steps", 4, "--train-steps", 1, "--as-planned", "--resume", "--out", saved)
    assert gedanken(*words).exit_code == 0
