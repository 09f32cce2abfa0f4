"""`gedanken rules`: test, show, explain, propose, export and import from the command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
NO_TOGGLE = "forbid toggle if front_object == key"
STILL = "still: expect same if action == done"
WRONG = "expect agent_x' == 1 if action == done"


def tell(gedanken: Run, folder: Path, *lines: str) -> None:
    result = gedanken("rules", "tell", folder, *lines, "--llm", "none")
    assert result.exit_code == 0, result.output


def read(path: Path) -> Any:
    return json.loads(path.read_text())


# --- test -------------------------------------------------------------------------------------------------------------

LIFT = {
    "name": "lift",
    "features": [
        {"name": "door", "kind": "category", "values": {"open": "", "shut": ""}, "description": "the cabin's door"},
        {"name": "load", "kind": "real", "low": 0, "high": 900, "unit": "kg"},
    ],
    "actions": [{"name": "action", "kind": "category", "values": ["up", "down"]}],
}


@pytest.fixture
def lift(tmp_path: Path) -> Path:
    path = tmp_path / "lift.json"
    path.write_text(json.dumps(LIFT))
    return path


def test_a_file_is_tested_without_agent_or_model(gedanken: Run, tmp_path: Path, lift: Path) -> None:
    rules, report = tmp_path / "rules.txt", tmp_path / "report.json"
    rules.write_text("# my lift\nforbid up if door == open\n\navoid load > 900\n")
    result = gedanken("rules", "test", rules, "--schema", lift, "--json", report)
    assert result.exit_code == 0, result.output
    assert "Never choose up when the cabin's door is open." in result.stdout
    assert "2 rules, no mistakes, 1 doubtful" in result.stdout
    first, second = read(report)["rules"]
    assert (first["line"], first["text"], first["doubts"]) == (2, "forbid up if door == open", [])
    assert second["line"] == 4
    assert "nothing to avoid" in second["doubts"][0]


def test_every_mistake_of_a_file_is_reported_by_line(gedanken: Run, tmp_path: Path, lift: Path) -> None:
    rules, report = tmp_path / "rules.txt", tmp_path / "report.json"
    rules.write_text("forbid up if dor == open\nforbid down\nexpct door' == shut\navoid load >\n")
    result = gedanken("rules", "test", rules, "--schema", lift, "--json", report)
    assert result.exit_code == 2
    for place in (f"{rules}:1:14", f"{rules}:3:1", f"{rules}:4:13", "did you mean 'door'?", "did you mean 'expect'?"):
        assert place in result.stderr
    assert [m["line"] for m in read(report)["mistakes"]] == [1, 3, 4]


def test_a_manual_is_tested_on_an_environment(gedanken: Run, tiny: str) -> None:
    manual = Path(__file__).parents[2] / "examples" / "doorkey" / "manual.txt"
    result = gedanken("rules", "test", manual, "--schema", tiny, "--manual")
    assert result.exit_code == 0, result.output
    assert "7 rules, no mistakes" in result.stdout


@pytest.mark.parametrize(("schema", "words"), [("nowhere.json", "there is no file"), ("CartPol-v1", "CartPole-v1")])
def test_a_schema_that_is_not_there_is_the_users_mistake(
    gedanken: Run, tmp_path: Path, schema: str, words: str
) -> None:
    rules = tmp_path / "rules.txt"
    rules.write_text("forbid up\n")
    result = gedanken("rules", "test", rules, "--schema", schema)
    assert result.exit_code == 2
    assert words in result.stderr


# --- show, explain, list ----------------------------------------------------------------------------------------------


def test_show_says_all_that_is_known(gedanken: Run, saved: Path, tmp_path: Path) -> None:
    tell(gedanken, saved, STILL, NO_TOGGLE)
    gedanken("rules", "retire", saved, "still")
    result = gedanken("rules", "show", saved, "still", "--json", tmp_path / "shown.json")
    assert result.exit_code == 0, result.output
    for words in ("When you choose done, nothing changes.", "you, 20", "retired, does not act", "held "):
        assert words in result.stdout
    shown = read(tmp_path / "shown.json")
    assert (shown["name"], shown["acts"], [e["kind"] for e in shown["history"]]) == ("still", False, ["retired"])
    assert "no data can refute" in gedanken("rules", "show", saved, "r2").stdout


def test_explain_shows_transitions_for_and_against(gedanken: Run, saved: Path, tmp_path: Path) -> None:
    tell(gedanken, saved, STILL, WRONG)
    result = gedanken("rules", "explain", saved, "still", "--most", 2, "--json", tmp_path / "explained.json")
    assert result.exit_code == 0, result.output
    for words in ("When you choose done, nothing changes.", "for it", "done; nothing changed", "it changed"):
        assert words in result.stdout
    explained = read(tmp_path / "explained.json")
    assert 1 <= len(explained["held"]) <= 2
    assert explained["failed"] == []
    assert explained["last"]["action"] == "done"
    against = gedanken("rules", "explain", saved, "r2").stdout
    assert "against it" in against or "for it" in against


def test_explaining_a_rule_that_never_applied_says_so(gedanken: Run, saved: Path) -> None:
    tell(gedanken, saved, "expect same if action == toggle and front_object == lava")
    assert "on none of the 40 transitions" in gedanken("rules", "explain", saved, "r1").stdout


def test_the_list_can_be_in_words(gedanken: Run, saved: Path) -> None:
    tell(gedanken, saved, STILL)
    assert "nothing changes." in gedanken("rules", "list", saved, "--words").stdout


@pytest.mark.parametrize("command", ["show", "explain", "retire", "revive"])
def test_an_unknown_rule_is_the_users_mistake(gedanken: Run, saved: Path, command: str) -> None:
    tell(gedanken, saved, STILL)
    result = gedanken("rules", command, saved, "stil")
    assert result.exit_code == 2
    assert "did you mean 'still'?" in result.stderr


# --- propose ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lived(gedanken: Run, tiny: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved agent that has seen enough to propose something."""
    folder = tmp_path_factory.mktemp("lived") / "agent"
    words = ("--steps", 260, "--train-steps", 1, "--llm", "none", "--out", folder)
    assert gedanken("learn", "--env", tiny, *words).exit_code == 0
    return folder


@pytest.fixture
def seasoned(lived: Path, tmp_path: Path) -> Path:
    """A copy of it that the test may change."""
    return Path(shutil.copytree(lived, tmp_path / "seasoned"))


def test_proposals_are_shown_and_kept(gedanken: Run, seasoned: Path, tmp_path: Path) -> None:
    result = gedanken("rules", "propose", seasoned, "--llm", "none", "--json", tmp_path / "found.json")
    assert result.exit_code == 0, result.output
    found = read(tmp_path / "found.json")["rules"]
    assert found
    assert {r["source"] for r in found} == {"miner"}
    assert f"{found[-1]['id']} " in gedanken("rules", "list", seasoned).stdout
    assert "nothing new" in gedanken("rules", "propose", seasoned, "--llm", "none").stdout


def test_a_person_accepts_a_proposal(gedanken: Run, seasoned: Path, tmp_path: Path) -> None:
    gedanken("rules", "propose", seasoned, "--llm", "none")
    result = gedanken("rules", "propose", seasoned, "--accept", "r1", "--json", tmp_path / "mine.json")
    assert result.exit_code == 0, result.output
    [rule] = read(tmp_path / "mine.json")["rules"]
    assert (rule["id"], rule["source"]) == ("r1", "user")
    refused = gedanken("rules", "propose", seasoned, "--accept", "r2", "--accept", "r99")
    assert refused.exit_code == 2
    assert "the miner" in gedanken("rules", "show", seasoned, "r2").stdout


# --- export and import ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["text", "json"])
def test_rules_move_to_another_agent(gedanken: Run, saved: Path, learned: Path, tmp_path: Path, form: str) -> None:
    other = Path(shutil.copytree(learned, tmp_path / "other"))
    tell(gedanken, saved, STILL, NO_TOGGLE)
    file = tmp_path / f"mine.{form}"
    words = (file,) if form == "text" else ("--json", file)
    exported = gedanken("rules", "export", saved, *words)
    assert exported.exit_code == 0, exported.output
    assert "2 rules written" in exported.stdout
    imported = gedanken("rules", "import", other, file, "--json", tmp_path / "new.json")
    assert imported.exit_code == 0, imported.output
    assert [(r["text"], r["source"]) for r in read(tmp_path / "new.json")["rules"]] == [
        (STILL, "manual"), (NO_TOGGLE, "manual")]
    assert "nothing in" in gedanken("rules", "import", other, file).stdout
    assert NO_TOGGLE in gedanken("rules", "list", other).stdout


def test_an_export_without_a_file_is_shown(gedanken: Run, saved: Path) -> None:
    tell(gedanken, saved, NO_TOGGLE)
    assert gedanken("rules", "export", saved).stdout.endswith(f"{NO_TOGGLE}\n")


def test_a_file_that_is_no_export_is_the_users_mistake(gedanken: Run, saved: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_text("forbid jump\navoid battery > 3\n")
    result = gedanken("rules", "import", saved, bad)
    assert result.exit_code == 2
    assert "bad.txt:1:8" in result.stderr
    assert "bad.txt:2:7" in result.stderr
    assert "no rules yet" in gedanken("rules", "list", saved).stdout


# --- examples ---------------------------------------------------------------------------------------------------------

LIFTED = """examples:
- {before: {door: shut, load: 100}, action: up, after: {load: 200}}
- {before: {door: shut, load: 300}, action: up, after: {load: 400}}
- {before: {door: shut, load: 350}, action: up, after: {load: 450}}
"""


def test_examples_are_shown_as_rules_without_an_agent(gedanken: Run, tmp_path: Path, lift: Path) -> None:
    file, report = tmp_path / "task.yaml", tmp_path / "report.json"
    file.write_text(LIFTED)
    result = gedanken("rules", "examples", file, "--schema", lift, "--json", report)
    assert result.exit_code == 0, result.output
    (rule,) = read(report)["rules"]
    assert rule["text"] == "expect load' == load + 100 if action == up"
    assert (rule["fate"], rule["for"]) == ("kept", 3)


def test_examples_are_told_to_an_agent_once_confirmed(gedanken: Run, saved: Path, tmp_path: Path) -> None:
    file = tmp_path / "task.yaml"
    file.write_text("examples:\n- {before: {front_object: key, carrying_object: none}, action: pickup,"
                    " after: {carrying_object: key}}\n")
    unasked = gedanken("rules", "examples", file, saved, "--llm", "none")
    assert unasked.exit_code == 2
    assert "--yes" in unasked.output
    told = gedanken("rules", "examples", file, saved, "--llm", "none", "--yes")
    assert told.exit_code == 0, told.output
    assert "carrying_object' == key" in gedanken("rules", "list", saved).output
