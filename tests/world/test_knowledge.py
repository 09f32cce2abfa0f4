"""The knowledge base: what becomes of what is told and proposed, which rules act, and what survives a restart."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gedanken.errors import UserError
from gedanken.memory.experience.record import Transitions
from gedanken.prompts import Gateway, GatewayConfig, Reading, ScriptedChatModel
from gedanken.world import rulebook
from gedanken.world.knowledge import KnowledgeBase
from gedanken.world.models.persistence import Persistence
from gedanken.world.rules.parse import RuleError, parse
from gedanken.world.schema import Feature, Schema
from gedanken.world.telling import units
from gedanken.world.translator import examples

SCHEMA = Schema(
    "house",
    (
        Feature("door", "category", values=("open", "closed", "locked")),
        Feature("hand", "category", values=("none", "key")),
        Feature("room", "integer", low=0, high=3), Feature("heat", low=0, high=100),
    ),
    (Feature("action", "category", values=("wait", "push", "go")),),
    lambda observation, env: {},
    lambda row: int(row[0]),
)
OPENS = "expect door' == open if action == push and door == closed"
STAYS = "expect same if action == push and door == locked and hand == none"
NO_LAVA = "forbid go if door == locked"


@pytest.fixture
def kb() -> KnowledgeBase:
    return KnowledgeBase(SCHEMA)


def pushes(opened: int, stuck: int) -> Transitions:
    """Pushes at a closed door, of which some open it."""
    n = opened + stuck
    now = {"door": np.ones(n, np.int16), "hand": np.zeros(n, np.int16), "room": np.zeros(n, np.int32),
           "heat": np.zeros(n, np.float32)}
    next = now | {"door": np.where(np.arange(n) < opened, 0, 1).astype(np.int16)}
    no = np.zeros(n, bool)
    action, reward, episode = np.ones((n, 1), np.int64), np.zeros(n, np.float32), np.zeros(n, np.int64)
    return Transitions(now, action, reward, no, no, next, episode, np.arange(n))


def house(n: int = 600) -> Transitions:
    """Random steps: a push opens a closed door, and a locked one with the key."""
    rng = np.random.default_rng(0)
    now = {"door": rng.integers(0, 3, n).astype(np.int16), "hand": rng.integers(0, 2, n).astype(np.int16),
           "room": rng.integers(0, 4, n).astype(np.int32), "heat": rng.random(n).astype(np.float32)}
    action = rng.integers(0, 3, n)
    opens = (action == 1) & ((now["door"] == 1) | (now["door"] == 2) & (now["hand"] == 1))
    next = now | {"door": np.where(opens, 0, now["door"]).astype(np.int16)}
    no = np.zeros(n, bool)
    return Transitions(now, action[:, None], np.zeros(n, np.float32), no, no, next, np.zeros(n, np.int64), np.arange(n))


class Scoring(ScriptedChatModel):
    """A script with the log-probabilities of its answers."""

    scores: dict[str, float] = {}  # noqa: RUF012 (a pydantic field)

    def score(self, messages: Any, continuations: Sequence[str]) -> list[float]:
        return [self.scores.get(text, -5.0) for text in continuations]


def with_model(*answers: str | Exception, **scores: float) -> KnowledgeBase:
    model = Scoring(answers=list(answers), scores=scores)
    return KnowledgeBase(SCHEMA, Gateway(model, GatewayConfig(attempts=1)))


def texts(kb: KnowledgeBase) -> list[str]:
    return [e.text for e in kb.active()]


# --- telling ----------------------------------------------------------------------------------------------------------


def test_rule_lines_act_as_they_are_told(kb: KnowledgeBase) -> None:
    (told,) = kb.tell("expect door'==open  if action==push and door==closed   # of course")
    assert (told.sentence, told.fate, told.reason) == (OPENS, "rule", "")
    (entry,) = told.entries
    assert (entry.id, entry.text, entry.sentence, entry.source, entry.status) == ("r1", OPENS, "", "user", "untested")
    assert texts(kb) == [OPENS]


def test_every_mistake_is_reported_at_once_and_nothing_is_taken(kb: KnowledgeBase) -> None:
    with pytest.raises(RuleError) as error:
        kb.tell(f"{OPENS}\nA sentence.\n    expect dor' == open\n\navoid heat >\n", source="manual")
    assert [e.line for e in error.value.errors] == [3, 5]
    assert "manual:3:12" in str(error.value)
    assert "did you mean 'door'?" in str(error.value)
    assert kb.entries == []


def test_a_sentence_without_a_model_is_refused(kb: KnowledgeBase) -> None:
    (told,) = kb.tell("A locked door stays shut.")
    assert (told.fate, told.reason, told.entries) == ("refused", "no language model; write it as a rule line", ())


def test_a_manual_carries_the_rule_lines_of_its_sentences(kb: KnowledgeBase) -> None:
    told = kb.tell(f"""
        # How the house works.
        A push opens a door
        that is closed.
            {OPENS}
            # without the key
            {STAYS}

        1. Never walk into a locked door!
            {NO_LAVA}
        2. It is warm. It is
           cosy, too.
        achieve room == 3
        """, source="manual")
    assert [(t.sentence, len(t.entries), t.fate) for t in told] == [
        ("A push opens a door that is closed.", 2, "rule"), ("Never walk into a locked door!", 1, "rule"),
        ("It is warm.", 0, "refused"), ("It is cosy, too.", 0, "refused"), ("achieve room == 3", 1, "rule"),
    ]
    assert {e.source for e in kb.entries} == {"manual"}
    assert kb.entries[1].sentence == told[0].sentence
    assert [e.text for e in kb.goals()] == ["achieve room == 3"]


@pytest.mark.parametrize(("text", "expected"), [
    ("", []),
    ("# only a comment", []),
    ("---\n    achieve room == 3", [("", 1)]),
    ("Avoid the lava. Then rest", [("Avoid the lava.", 0), ("Then rest", 0)]),
    ("avoid heat > 3\nGo on", [("", 1), ("Go on", 0)]),
    ("Doors\n    avoid heat > 3\nGo on", [("Doors", 1), ("Go on", 0)]),
    ("One\n# two\nThree", [("One", 0), ("Three", 0)]),
    ("hot: avoid heat > 3\n    cold: avoid heat < 1", [("", 1), ("", 1)]),
])
def test_units_of_a_text(text: str, expected: list) -> None:
    assert [(u.sentence, len(u.rules)) for u in units(text, SCHEMA, "user")] == expected


def test_a_rule_is_kept_once_and_a_person_makes_it_theirs(kb: KnowledgeBase) -> None:
    kb.tell(OPENS, source="miner")
    assert texts(kb) == []
    (told,) = kb.tell(f"opening: {OPENS}", source="user")
    (entry,) = kb.entries
    assert told.entries == (entry,)
    assert (entry.id, entry.source, entry.text) == ("r1", "user", f"opening: {OPENS}")
    kb.tell(OPENS, source="model")
    assert kb.entries == [entry]


def test_a_taken_name_is_refused_with_its_place(kb: KnowledgeBase) -> None:
    kb.tell(f"opening: {OPENS}")
    with pytest.raises(RuleError, match=r"user:2:1: the name 'opening' is taken.* by r1"):
        kb.tell(f"{NO_LAVA}\nopening: {STAYS}")
    assert len(kb.entries) == 1
    kb.retire("opening")
    kb.tell(f"opening: {STAYS}")
    assert kb.entry("opening").id == "r2"
    with pytest.raises(UserError, match="taken by r2"):
        kb.revive("r1")


def test_a_doubtful_rule_is_taken_with_a_warning(kb: KnowledgeBase) -> None:
    (told,) = kb.tell("expect door' == open if room > 7")
    assert told.entries
    assert "never fires" in told.reason


# --- the language model -----------------------------------------------------------------------------------------------


def test_a_confident_reading_is_taken() -> None:
    kb = with_model(OPENS, **{OPENS: -0.05})
    (told,) = kb.tell("A push opens a closed door.")
    assert told.fate == "understood"
    assert told.readings == ((OPENS, pytest.approx(0.95, abs=0.01)),)
    assert (kb.entries[0].sentence, kb.entries[0].source) == ("A push opens a closed door.", "user")


def test_an_unsure_reading_is_refused_or_asked_about() -> None:
    (told,) = with_model(OPENS).tell("A push opens a closed door.")
    assert (told.fate, told.entries) == ("refused", ())
    assert told.readings[0][0] == OPENS
    assert "1% sure" in told.reason
    asked: list[tuple[str, list[Reading]]] = []

    def ask(choice: int | None) -> Callable[[str, Sequence[Reading]], int | None]:
        return lambda sentence, readings: asked.append((sentence, list(readings))) or choice

    kb = with_model(OPENS, OPENS, OPENS)
    assert [t.fate for t in kb.tell("A push opens it.", ask=ask(None))] == ["refused"]
    with pytest.raises(UserError, match="no reading 5"):
        kb.tell("A push opens it.", ask=ask(5))
    assert [t.fate for t in kb.tell("A push opens it.", ask=ask(0))] == ["asked"]
    assert asked[0][0] == "A push opens it."
    assert asked[0][1][0].text == OPENS
    assert texts(kb) == [OPENS]


def test_nothing_is_invented_where_no_reading_fits_the_world() -> None:
    kb = with_model("expect lava' == hot", **{"expect lava' == hot": 0.0})
    (told,) = kb.tell("Lava is hot.")
    assert (told.fate, told.readings) == ("refused", ())
    assert kb.entries == []


def test_a_silent_model_is_asked_once_and_rule_lines_are_taken_all_the_same() -> None:
    kb = with_model(ConnectionError("no route"))
    told = kb.tell(f"One thing. Another thing.\n{OPENS}")
    assert [t.fate for t in told] == ["refused", "refused", "rule"]
    assert "does not answer" in told[1].reason
    assert kb.gateway is not None
    assert len(kb.gateway.calls) == 1


def test_examples_show_the_language_in_the_words_of_the_world() -> None:
    pairs = examples(SCHEMA)
    assert len(pairs) >= 5
    kb = KnowledgeBase(SCHEMA)
    kb.tell("\n".join(line for _, line in pairs))
    assert [e.text for e in kb.entries] == [line for _, line in pairs]
    seen: list[str] = []
    model = ScriptedChatModel(answers=lambda messages: seen.append(str(messages)) or OPENS)
    kb = KnowledgeBase(SCHEMA, Gateway(model))
    kb.tell(f"The key is cold.\n    {STAYS}")
    kb.tell("The key is hot.")
    assert "The key is cold." in seen[0]
    assert STAYS in seen[0]


# --- evidence and what acts -------------------------------------------------------------------------------------------


def test_checking_sets_statuses_and_is_idempotent(kb: KnowledgeBase) -> None:
    kb.tell(f"{OPENS}\n{STAYS}\n{NO_LAVA}")
    for _ in range(2):
        kb.check(pushes(30, 1))
        assert [(e.status, e.evidence.hits, e.evidence.violations) for e in kb.entries] == [
            ("supported", 30, 1), ("untested", 0, 0), ("untested", 0, 0)]
    kb.check(pushes(0, 30))
    assert kb.entries[0].status == "contradicted"
    assert texts(kb) == [STAYS, NO_LAVA]
    kb.check(pushes(30, 0))
    assert texts(kb) == [OPENS, STAYS, NO_LAVA]


def test_a_machine_acts_only_where_supported_and_never_on_behaviour(kb: KnowledgeBase) -> None:
    kb.tell(f"{OPENS}\n{NO_LAVA}\navoid heat > 50", source="model")
    assert texts(kb) == []
    kb.check(pushes(30, 0))
    assert texts(kb) == [OPENS]
    assert kb.limits() == []
    kb.tell(NO_LAVA)
    assert texts(kb) == [OPENS, NO_LAVA]


def test_a_proposed_hard_rule_with_sure_exceptions_does_not_act(kb: KnowledgeBase) -> None:
    kb.tell(OPENS, source="miner")
    kb.check(pushes(940, 60).take(np.random.default_rng(0).permutation(1000)))
    assert kb.entries[0].status == "supported"
    assert texts(kb) == []
    kb.tell(OPENS)
    assert texts(kb) == [OPENS]


def test_a_told_rule_that_begins_to_fail_stops_acting_and_comes_back(kb: KnowledgeBase) -> None:
    kb.tell(OPENS)
    parts = [pushes(200, 0), pushes(0, 60), pushes(100, 0)]
    seen = []
    for k in (1, 2, 3):
        kb.check(Transitions.join(parts[:k]))
        seen.append((kb.entries[0].status, kb.entries[0].is_drifting, texts(kb)))
    assert seen == [("supported", False, [OPENS]), ("contradicted", True, []), ("supported", False, [OPENS])]


def test_an_exception_is_proposed_as_a_repair(kb: KnowledgeBase) -> None:
    kb.tell("expect door' == open if action == push")
    kb.check(house(1000))
    exception = kb.entries[0].evidence.exception
    assert exception is not None
    assert exception.condition == "door == locked"
    added = kb.propose(house(1000))
    assert "expect door' == open if action == push and door != locked" in [e.text for e in added]
    assert kb.propose(house(1000)) == []


def test_what_stands_in_other_words_is_not_proposed(kb: KnowledgeBase, monkeypatch: pytest.MonkeyPatch) -> None:
    kb.tell("expect door' == open if door == closed and action == push")
    again = parse("expect door' == open if action == push and door == closed", SCHEMA)
    monkeypatch.setattr("gedanken.world.knowledge.mine", lambda *_: [again])
    assert kb.propose(pushes(30, 0)) == []


def test_a_model_shows_the_effect_of_each_rule(kb: KnowledgeBase, tmp_path: Path) -> None:
    kb.tell(OPENS)
    kb.tell("expect door' == locked if action == wait", source="miner")
    kb.check(house(300), Persistence(SCHEMA))
    good, bad = kb.entries
    assert good.effect is not None
    assert good.effect > 0.1
    assert not good.is_harmful
    assert bad.is_harmful
    kb.save(tmp_path)
    other = KnowledgeBase(SCHEMA)
    other.load(tmp_path)
    assert [(e.effect, e.weight, e.evidence) for e in other.entries] == [
        (e.effect, e.weight, e.evidence) for e in kb.entries]


def test_logic_examines_the_standing_rules(kb: KnowledgeBase) -> None:
    kb.tell("expect door' == open if action == push\nexpect door' == locked if action == push and heat > 50")
    (finding,) = kb.examine()
    assert finding.kind == "contradiction"
    assert finding.rules == ("r1", "r2")


def test_the_kinds_of_rules_go_to_their_places(kb: KnowledgeBase) -> None:
    kb.tell(f"achieve room == 3\navoid heat > 50\nmaintain heat < 60\nprefer heat < 20\n{NO_LAVA}\n{OPENS}")
    assert [len(group) for group in (kb.goals(), kb.limits(), kb.preferences(), kb.corrections())] == [1, 2, 1, 2]
    assert [e.rule for e in kb.corrections()] == list(kb.compiled().rules)


def test_compiled_is_kept_until_something_changes(kb: KnowledgeBase) -> None:
    kb.tell(OPENS)
    first = kb.compiled()
    kb.tell("avoid heat > 50")
    kb.check(pushes(1, 0))
    assert kb.compiled() is first
    kb.check(pushes(30, 0))
    second = kb.compiled()
    assert second is not first
    kb.retire("r1")
    assert not kb.compiled()
    kb.revive("r1")
    assert len(kb.compiled().rules) == 1


@pytest.mark.parametrize("order", [1, -1])
def test_a_person_goes_before_a_machine(kb: KnowledgeBase, order: int) -> None:
    machine = "expect door' == locked if action == push and door == closed and room == 0 and hand == none"
    for text, source in [(machine, "model"), (OPENS, "user")][::order]:
        kb.tell(text, source=source)  # type: ignore[arg-type]
    entry = next(e for e in kb.entries if e.source == "model")
    kb._entries[entry.id] = entry.model_copy(update={"status": "supported"})
    model = kb.refine(Persistence(SCHEMA))
    start = SCHEMA.batch([{"door": 1, "hand": 0, "room": 0, "heat": 0.0}])
    _, out = model.step(model.observe(model.initial(1), None, start), torch.tensor([[1]]))
    assert len(model.rules.rules) == 2
    assert SCHEMA.base["door"].values[out.mode["door"][0]] == "open"


def test_retired_rules_stay_so_until_a_person_says_otherwise(kb: KnowledgeBase) -> None:
    kb.tell(f"opening: {OPENS}")
    assert kb.retire("opening").status == "retired"
    kb.check(pushes(30, 0))
    kb.tell(OPENS, source="miner")
    assert texts(kb) == []
    assert kb.revive("r1").status == "untested"
    kb.retire("r1")
    kb.tell(OPENS)
    assert len(texts(kb)) == 1
    with pytest.raises(UserError, match=r"no rule 'openin'; did you mean 'opening'\?"):
        kb.retire("openin")


# --- proposals --------------------------------------------------------------------------------------------------------


def test_the_miner_proposes_what_the_data_show(kb: KnowledgeBase) -> None:
    kb.tell(OPENS)
    new = kb.propose(house())
    found = "expect door' == open if action == push and hand == key"
    assert found in [e.text for e in new]
    assert {e.source for e in new} == {"miner"}
    assert OPENS not in [e.text for e in new]
    assert found in texts(kb)
    assert kb.propose(house()) == []


def test_the_model_proposes_from_quoted_surprises() -> None:
    seen: list[str] = []
    right = "expect door' == open if door == locked and hand == key and action == push"
    wrong = "expect door' == locked if action == push and door == closed"
    answer = f"{right}\n{wrong}\nforbid push if heat > 99"
    model = ScriptedChatModel(answers=lambda messages: seen.append(str(messages)) or answer)
    kb = KnowledgeBase(SCHEMA, Gateway(model))
    new = {e.text: e for e in kb.propose(house(), np.arange(600.0))}
    assert "-> " in seen[0]
    assert new[right].source == "model"
    assert right in texts(kb)
    assert wrong not in new
    assert "forbid push if heat > 99" not in texts(kb)


def test_proposing_survives_a_silent_model_and_an_empty_memory() -> None:
    kb = with_model(ConnectionError("no route"))
    assert [e for e in kb.propose(house()) if e.source == "miner"]
    assert with_model().propose(pushes(0, 0)) == []


# --- persistence ------------------------------------------------------------------------------------------------------


def test_everything_survives_a_restart(kb: KnowledgeBase, tmp_path: Path) -> None:
    kb.tell(f"A push opens a door.\n    {OPENS}\n    {STAYS}\n\nhot: avoid heat > 50", source="manual")
    kb.tell(NO_LAVA)
    kb.propose(house())
    kb.check(house())
    kb.retire("r2")
    kb.save(tmp_path)
    other = KnowledgeBase(SCHEMA)
    other.load(tmp_path)
    assert other.entries == kb.entries
    assert other.tell("prefer heat < 20")[0].entries[0].id == f"r{len(kb.entries) + 1}"
    before = (tmp_path / "rules.txt").read_text(), (tmp_path / "rules.json").read_text()
    other = KnowledgeBase(SCHEMA)
    other.load(tmp_path)
    other.save(tmp_path)
    assert (tmp_path / "rules.txt").read_text() == before[0]
    assert json.loads((tmp_path / "rules.json").read_text())["entries"] == json.loads(before[1])["entries"]


def test_the_file_reads_well(kb: KnowledgeBase, tmp_path: Path) -> None:
    kb.tell(f"A push opens a door.\n    {OPENS}\n    {STAYS}\n\n{NO_LAVA}")
    kb.tell("avoid heat > 50", source="miner")
    kb.save(tmp_path)
    lines = (tmp_path / "rules.txt").read_text().splitlines()
    assert lines[0].startswith("#")
    assert lines[2:] == ["", "# A push opens a door.", OPENS, STAYS, "", NO_LAVA, "",
                         "# found in the data: acts while the data support it", "avoid heat > 50"]


def test_a_person_edits_the_file(kb: KnowledgeBase, tmp_path: Path) -> None:
    kb.tell(f"{OPENS}\n{STAYS}")
    kb.tell("expect room' == 1 if room == 0 and action == go", source="miner")
    kb.check(pushes(30, 0))
    kb.save(tmp_path)
    file = tmp_path / "rules.txt"
    edited = file.read_text().replace("room' == 1", "room' == 2").replace(STAYS + "\n", "")
    edited = edited.replace(OPENS, f"opening: {OPENS}  # tried it")
    file.write_text(f"# my own words\n\n{edited}\n# the goal\nachieve room == 3\n")
    other = KnowledgeBase(SCHEMA)
    other.load(tmp_path)
    assert [(e.id, e.source, e.status) for e in other.entries] == [
        ("r1", "user", "supported"), ("r2", "user", "retired"), ("r3", "miner", "retired"),
        ("r4", "user", "untested"), ("r5", "user", "untested")]
    assert other.entry("opening").evidence.hits == 30
    other.save(tmp_path)
    text = file.read_text()
    assert text.startswith("# my own words\n\n")
    assert f"opening: {OPENS}  # tried it\n" in text
    assert text.endswith("# the goal\nachieve room == 3\n")
    assert STAYS not in text


def test_every_mistake_in_the_file_is_reported(kb: KnowledgeBase, tmp_path: Path) -> None:
    (tmp_path / "rules.txt").write_text(f"{OPENS}\nexpect dor' == open\n\navoid heat >\n")
    with pytest.raises(RuleError) as error:
        kb.load(tmp_path)
    assert [e.line for e in error.value.errors] == [2, 4]
    assert f"{tmp_path / 'rules.txt'}:2" in str(error.value)


def test_a_crash_between_the_two_files_loses_and_retires_nothing(
    kb: KnowledgeBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kb.tell(OPENS)
    kb.save(tmp_path)
    kb.tell(STAYS, source="miner")
    whole = rulebook.write_text

    def killed(path: Path, text: str) -> None:
        if path.suffix == ".txt":
            raise KeyboardInterrupt
        whole(path, text)

    monkeypatch.setattr(rulebook, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        kb.save(tmp_path)
    other = KnowledgeBase(SCHEMA)
    other.load(tmp_path)
    assert other.entries == kb.entries
    assert texts(other) == [OPENS]


def test_one_file_is_enough(kb: KnowledgeBase, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no rules\.txt"):
        kb.load(tmp_path)
    kb.tell(OPENS)
    kb.save(tmp_path)
    (tmp_path / "rules.json").unlink()
    kb.load(tmp_path)
    assert texts(kb) == [OPENS]
    kb.save(tmp_path)
    (tmp_path / "rules.txt").unlink()
    kb.load(tmp_path)
    assert texts(kb) == [OPENS]
    (tmp_path / "rules.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        kb.load(tmp_path)


def test_rules_of_another_world_are_reported(tmp_path: Path, kb: KnowledgeBase) -> None:
    kb.tell(f"{OPENS}\navoid heat > 3")
    kb.save(tmp_path)
    cold = KnowledgeBase(Schema("cold", SCHEMA.features[:3], SCHEMA.actions, SCHEMA.perceive, SCHEMA.act))
    with pytest.raises(RuleError, match="unknown feature 'heat'"):
        cold.load(tmp_path)


# --- the example ------------------------------------------------------------------------------------------------------


def test_the_manual_of_doorkey_agrees_with_doorkey() -> None:
    gymnasium = pytest.importorskip("gymnasium")
    pytest.importorskip("minigrid")
    env = gymnasium.make("MiniGrid-DoorKey-5x5-v0")
    kb = KnowledgeBase(Schema.from_env(env))
    manual = Path(__file__).parents[2] / "examples" / "doorkey" / "manual.txt"
    told = kb.tell(manual.read_text(), source="manual")
    assert len(told) <= 5
    assert {t.fate for t in told} == {"rule"}
    assert [t.reason for t in told if t.reason] == []
    kb.check(_walks(env, kb.schema, 20))
    assert [e.status for e in kb.entries] == ["supported"] * 7, [(e.text, str(e.evidence)) for e in kb.entries]


def _walks(env: Any, schema: Schema, episodes: int) -> Transitions:
    """Episodes in which the agent fetches the key, opens the door (trying it before, too) and walks to the goal."""
    rows: list[tuple] = []

    def do(name: str) -> None:
        nonlocal now
        action = schema.actions[0].values.index(name)
        observation, reward, terminated, truncated, _ = env.step(action)
        after = schema.observe(observation, env)
        rows.append((now, action, reward, terminated, truncated, after, episode))
        now = after

    def face(cell: tuple[int, int]) -> None:
        """Walk until the agent looks at a cell."""
        for name in _route(env.unwrapped, cell) or ():
            do(name)

    for episode in range(episodes):
        now = schema.observe(env.reset(seed=episode)[0], env)
        place = {cell.type: (i % 5, i // 5) for i, cell in enumerate(env.unwrapped.grid.grid) if cell is not None}
        if _route(env.unwrapped, place["door"]) is not None:
            face(place["door"])
        do("toggle")
        face(place["key"])
        do("pickup")
        face(place["door"])
        do("toggle")
        do("forward")
        face(place["goal"])
        do("forward")
    column = {i: [row[i] for row in rows] for i in range(1, 7)}
    states = [{k: np.stack([row[i][k] for row in rows]) for k in rows[0][0]} for i in (0, 5)]
    return Transitions(states[0], np.array(column[1])[:, None], np.array(column[2], np.float32), np.array(column[3]),
                       np.array(column[4]), states[1], np.array(column[6]), np.arange(len(rows)))


def _route(world: Any, cell: tuple[int, int]) -> list[str] | None:
    """The shortest way to look at a cell, by breadth-first search over poses."""
    steps = ((1, 0), (0, 1), (-1, 0), (0, -1))
    start = (*map(int, world.agent_pos), int(world.agent_dir))
    ways: dict[tuple[int, int, int], list[str]] = {start: []}
    for x, y, d in (queue := [start]):
        dx, dy = steps[d]
        if (x + dx, y + dy) == cell:
            return ways[x, y, d]
        ahead = world.grid.get(x + dx, y + dy)
        moves = [("left", (x, y, (d - 1) % 4)), ("right", (x, y, (d + 1) % 4))]
        if ahead is None or (ahead.type == "door" and ahead.is_open):
            moves.append(("forward", (x + dx, y + dy, d)))
        for name, pose in moves:
            if pose not in ways:
                ways[pose] = [*ways[x, y, d], name]
                queue.append(pose)
    return None
