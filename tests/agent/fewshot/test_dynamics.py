"""A handful of transitions become rules: the shortest that fit, what stays open is said, wrong examples are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from gedanken.agent.fewshot import FewShotDynamics
from gedanken.errors import UserError
from gedanken.world.knowledge import KnowledgeBase
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
                                              "if action == pickup and front == key"]
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
    with pytest.raises(UserError, match=r"line 3: action.*line 4: afterr"):
        FewShotDynamics.load(path)
    path.write_text("examples:\n- {action: !!python/object/apply:os.getcwd []}\n")
    with pytest.raises(UserError, match="cannot be read"):
        FewShotDynamics.load(path)


def test_rules_from_examples_act_until_the_data_contradict_them() -> None:
    knowledge = KnowledgeBase(HALL)
    knowledge.tell(learn(FOUND, FAILED)[0], source="examples")
    entry = knowledge.entries[0]
    assert (entry.source, entry.status) == ("examples", "untested")
    assert knowledge.active() == [entry]
