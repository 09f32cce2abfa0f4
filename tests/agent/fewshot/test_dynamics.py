"""A handful of transitions become rules: the shortest that fit, what stays open is said, wrong examples are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from gedanken.agent.fewshot import Example, FewShotDynamics
from gedanken.agent.fewshot.weighing import weigh
from gedanken.errors import UserError
from gedanken.world.knowledge import KnowledgeBase
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Feature, Schema

THINGS = ("none", "key", "wall")
HALL = Schema(
    "hall",
    (
        Feature("carrying", "category", values=THINGS),
        Feature("front", "category", values=THINGS),
        Feature("lamp", "boolean"),
        Feature("steps", "integer", low=0, high=50),
    ),
    (Feature("action", "category", values=("pickup", "switch", "walk")),),
    lambda observation, env: {},
    lambda row: int(row[0]),
)
TANK = Schema(
    "tank",
    (Feature("level", low=0, high=10),),
    (Feature("valve", low=-1, high=1),),
    lambda observation, env: {},
    lambda row: row,
)
FOUND = {"before": {"carrying": "none", "front": "key"}, "action": "pickup",
         "after": {"carrying": "key", "front": "none"}}
FAILED = {"before": {"carrying": "none", "front": "wall"}, "action": "pickup"}


def learn(*examples: object, schema: Schema = HALL) -> list[str]:
    return [rule.text for rule in FewShotDynamics(examples=list(examples)).learn(schema).rules]


def test_one_example_gives_the_widest_rule_and_a_contrast_narrows_it() -> None:
    assert learn(FOUND) == ["expect carrying' == key and front' == none if action == pickup"]
    report = FewShotDynamics(examples=[FOUND, FAILED]).learn(HALL)
    assert [r.text for r in report.rules] == ["expect carrying' == key and front' == none "
                                              "if action == pickup and front == key",
                                              "expect same if action == pickup and front != key"]
    assert (report.rules[0].supported, report.rules[0].against) == (1, 0)


def test_what_the_examples_do_not_decide_is_said() -> None:
    lit = {"before": {**FOUND["before"], "lamp": True}, "action": "pickup", "after": FOUND["after"]}
    dark = {"before": {**FAILED["before"], "lamp": False}, "action": "pickup"}
    report = FewShotDynamics(examples=[lit, dark]).learn(HALL)
    assert report.rules[0].open
    assert "or: if" in str(report)


def test_a_step_is_preferred_to_two_values() -> None:
    walks = [{"before": {"steps": n}, "action": "walk", "after": {"steps": n + 2}} for n in (3, 8)]
    assert learn(*walks) == ["expect steps' == steps + 2 if action == walk"]


def test_a_number_s_law_is_fitted() -> None:
    flows = [{"before": {"level": x}, "action": u, "after": {"level": x + 0.5 * u}}
             for x, u in ((1.0, 1.0), (4.0, -0.5), (2.0, 0.25))]
    assert learn(*flows, schema=TANK) == ["expect level' == level + 0.5 * valve"]


def test_examples_left_out_are_foretold() -> None:
    walks = [{"before": {"steps": n}, "action": "walk", "after": {"steps": n + 2}} for n in (3, 8, 20)]
    report = FewShotDynamics(examples=[*walks, FOUND]).learn(HALL)
    assert (report.foretold, report.examples) == (3, 4)    # the only pickup is not


@pytest.mark.parametrize(("wrong", "says"), [
    ({"before": {"carying": "none"}, "action": "pickup"}, "did you mean 'carrying'"),
    ({"before": {"front": "kee"}, "action": "pickup"}, "did you mean 'key'"),
    ({"before": {"steps": 99}, "action": "walk"}, "from 0 to 50"),
    ({**FOUND, "after": {"carrying": "none"}}, "contradicts example 1"),
])
def test_a_wrong_example_is_named(wrong: dict, says: str) -> None:
    with pytest.raises(UserError, match=says):
        learn(FOUND, wrong)


def test_a_file_says_every_mistake_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_text("environment: hall\nexamples:\n- before: {front: key}\n- {action: walk, afterr: {}}\n")
    with pytest.raises(UserError, match=r"yaml:3: action.*\n.*yaml:4: afterr"):
        FewShotDynamics.load(path)
    path.write_text("examples:\n- {action: !!python/object/apply:os.getcwd []}\n")
    with pytest.raises(UserError, match="no YAML"):
        FewShotDynamics.load(path)


def test_a_file_s_unknown_names_and_contradictions_are_said_with_its_other_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_text("examples:\n- {before: {frnt: key}, action: walk}\n- {before: {steps: 1}, action: walk}\n"
                    "- {before: {steps: 1}, action: walk, after: {steps: 2}}\n- {actoin: walk}\n")
    with pytest.raises(UserError) as wrong:
        FewShotDynamics.load(path, HALL)
    said = str(wrong.value).splitlines()
    assert "yaml:2" in said[0]
    assert "did you mean 'front'" in said[0]
    assert "yaml:4: contradicts line 3" in said[1]
    assert "yaml:5" in said[2]


def test_a_step_that_ends_at_a_bound_agrees_with_a_law_that_overshoots() -> None:
    flows = [{"before": {"level": x}, "action": u, "after": {"level": max(round(0.9 * x + 1.5 * u, 6), 0.0)}}
             for x, u in ((2.0, 1.0), (5.0, 0.0), (5.0, -1.0), (0.5, -1.0), (8.0, 0.5))]
    assert learn(*flows, schema=TANK) == ["expect level' == max(0.9 * level + 1.5 * valve, 0)"]


def test_a_law_outlives_one_example_that_departs_from_it() -> None:
    flows = [{"before": {"level": x}, "action": u, "after": {"level": x + 0.5 * u}}
             for x, u in ((1.0, 1.0), (4.0, -0.5), (2.0, 0.25), (3.0, 0.5), (6.0, 1.0))]
    spilled = {"before": {"level": 9.0}, "action": 0.5, "after": {"level": 2.0}}
    assert any(rule.startswith("expect level' == level + 0.5 * valve") for rule in learn(*flows, spilled, schema=TANK))


def test_of_two_conditions_the_rarer_is_the_likelier_reason() -> None:
    """Both `carrying == key` and `lamp` separate what worked from what did not; keys are rare, lamps are not."""
    works = {"before": {"carrying": "key", "lamp": True, "steps": 1}, "action": "switch", "after": {"steps": 9}}
    fails = {"before": {"carrying": "none", "lamp": False, "steps": 1}, "action": "switch"}
    others = [{"before": {"carrying": "none", "lamp": True, "steps": n}, "action": "walk"} for n in range(4)]
    report = FewShotDynamics(examples=[works, fails, *others]).learn(HALL)
    assert report.rules[0].text == "expect steps' == steps + 8 if action == switch and carrying == key"


def test_the_cut_of_a_number_lies_between_where_it_works_and_where_not() -> None:
    tries = [{"before": {"steps": n, "lamp": False}, "action": "switch", "after": {"lamp": n > 20}} for n in (2, 40)]
    assert learn(*tries) == ["expect lamp' if action == switch and steps >= 22",
                             "expect same if action == switch and steps <= 21"]


def test_rewards_and_ends_are_rules_of_their_own() -> None:
    found = FOUND | {"reward": 1.0, "end": True}
    failed = FAILED | {"reward": 0.0, "end": False}
    rules = learn(found, failed)
    assert any(rule.startswith("reward +1 if ") for rule in rules)
    assert any(rule.startswith("end if ") for rule in rules)


def test_a_sentence_s_rule_that_an_example_refutes_is_shown_with_its_line() -> None:
    text = "expect steps' == steps + 1 if action == walk"
    walks = [Example(before={"steps": n}, action="walk", after={"steps": n + by}, line=n) for n, by in ((3, 1), (8, 2))]
    right, wrong = weigh(parse(text, HALL), text, walks, HALL)
    assert ([e.line for e in right], [e.line for e in wrong]) == ([3], [8])


def test_rules_from_examples_act_until_the_data_contradict_them() -> None:
    knowledge = KnowledgeBase(HALL)
    knowledge.tell(learn(FOUND, FAILED)[0], source="examples")
    entry = knowledge.entries[0]
    assert (entry.source, entry.status) == ("examples", "untested")
    assert knowledge.active() == [entry]
