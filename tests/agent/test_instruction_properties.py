"""Instructions of any kind: what they may never do, and what changes nothing about what they mean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gedanken.agent.instructions import understand
from gedanken.agent.instructions.readings import canonical
from gedanken.agent.instructions.vocabulary import PHRASES
from gedanken.errors import UserError
from gedanken.world.families.minigrid import ACTIONS, OBJECTS, STATES, board_schema
from gedanken.world.rules.parse import parse

quick = settings(max_examples=100, deadline=None, derandomize=True)
SCHEMA = board_schema(8, 8, ACTIONS)
THINGS = {(6, 2): ("red", "ball", "none"), (2, 6): ("blue", "ball", "none"), (2, 2): ("green", "key", "none"),
          (6, 6): ("grey", "box", "none"), (0, 4): ("purple", "door", "closed"), (4, 0): ("yellow", "door", "closed")}
ROW = {f.name: np.zeros(f.shape, f.numpy_dtype) for f in SCHEMA.features}
ROW["object"][:] = OBJECTS.index("empty")
for edge in (np.s_[0, :], np.s_[-1, :], np.s_[:, 0], np.s_[:, -1]):
    ROW["object"][edge] = OBJECTS.index("wall")
for cell, (color, kind, state) in THINGS.items():
    ROW["object"][cell], ROW["color"][cell] = OBJECTS.index(kind), SCHEMA.named["color"].values.index(color)
    ROW["state"][cell] = STATES.index(state)
ROW["agent_x"], ROW["agent_y"] = np.asarray(4), np.asarray(4)

GO = ("go to", "walk over to", "reach", "Find", "head for")
PICK = ("pick up", "take", "grab", "fetch")
OPEN = ("open", "open up")
THEN = (", then ", " and then ", ". Then ", "; then ")
said = st.text(st.sampled_from("abcdefghij ,.;'0123456789-éß<>=\n{}[]()#\"\\"), max_size=60)
words = st.lists(st.sampled_from([p for phrases in PHRASES.values() for p in phrases] + [
    "red", "ball", "key", "door", "box", "purple", "2", "20", "open", "closed", "speed"]), max_size=9).map(" ".join)


def meant(text: str) -> list[str]:
    return [canonical(parse(line, SCHEMA)) for line in understand(text, SCHEMA, ROW).lines]


@st.composite
def acts(draw: st.DrawFn) -> tuple[str, str]:
    """An act in words, and the milestone that it is."""
    color, kind, _ = draw(st.sampled_from(list(THINGS.values())))
    verb = draw(st.sampled_from("go" if kind == "door" else ("go", "pick")) if kind != "door" else
                st.sampled_from(("go", "open")))
    ahead = f"front_object == {kind} and front_color == {color}"
    if verb == "go":
        return f"{draw(st.sampled_from(GO))} the {color} {kind}", f"front_object' == {kind} and front_color' == {color}"
    if verb == "pick":
        return (f"{draw(st.sampled_from(PICK))} the {color} {kind}",
                f"carrying_object == none and {ahead} and carrying_object' == {kind} and carrying_color' == {color}")
    return (f"{draw(st.sampled_from(OPEN))} the {color} {kind}",
            f"{ahead} and front_state != open and front_state' == open and same(agent_x) and same(agent_y) and "
            "same(direction)")


@quick
@given(st.lists(acts(), min_size=1, max_size=3), st.sampled_from(THEN))
def test_acts_in_order_mean_themselves(done: list[tuple[str, str]], then: str) -> None:
    text, goal = then.join(t for t, _ in done), " then ".join(g for _, g in done)
    assert meant(text) == [canonical(parse(f"achieve {goal}", SCHEMA))]


@quick
@given(st.lists(acts(), min_size=1, max_size=2), st.sampled_from((
    "please {}", "Could you please {}?", "I want you to {}", "hey, {}!", "{}, please", "kindly {}.")))
def test_politeness_and_letters_change_nothing(done: list[tuple[str, str]], frame: str) -> None:
    text = ", then ".join(t for t, _ in done)
    assert meant(frame.format(text)) == meant(text) == meant(text.upper())


@quick
@given(acts(), st.integers(0, 9), st.sampled_from(("zorblax", "twice", "except", "nearly", "instead", "half")))
def test_no_word_that_means_something_is_passed_over(act: tuple[str, str], at: int, word: str) -> None:
    pieces = act[0].split()
    pieces.insert(min(at, len(pieces)), word)
    with pytest.raises(UserError):
        understand(" ".join(pieces), SCHEMA, ROW)


@quick
@given(st.one_of(said, words))
def test_any_text_is_understood_or_refused_with_the_reason(text: str) -> None:
    try:
        lines = understand(text, SCHEMA, ROW).lines
    except UserError:
        return
    assert lines
    for line in lines:
        parse(line, SCHEMA)


@pytest.mark.parametrize(("text", "lines"), [
    ("When the purple door is open, go to the key.", ["achieve state[0, 4] == open then front_object' == key"]),
    ("Go to the key once the purple door is open.", ["achieve state[0, 4] == open then front_object' == key"]),
    ("Open the purple door and, when it is open, go to the key.",
     ["achieve front_object == door and front_color == purple and front_state != open and front_state' == open and "
      "same(agent_x) and same(agent_y) and same(direction) then state[0, 4] == open then front_object' == key"]),
    ("Keep all doors closed.", ["maintain state[0, 4] != open and state[4, 0] != open"]),
    ("Make sure no door is open.", ["avoid state[0, 4] == open or state[4, 0] == open"]),
    ("Do not pick up the key until the purple door is open.",
     ["achieve state[0, 4] == open while not carrying_object == key"]),
])
def test_states_of_things_are_conditions(text: str, lines: list[str]) -> None:
    assert meant(text) == [canonical(parse(line, SCHEMA)) for line in lines]


@pytest.mark.parametrize(("text", "reason"), [
    ("Keep the purple door open.", "is not open now"), ("Open all doors but the purple one.", "an exception"),
    ("Take anything but a ball.", "an exception"),
    ("Open the purple door and go to the key when it is open.", "may be"),
])
def test_what_cannot_be_kept_or_told_apart_is_said(text: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        understand(text, SCHEMA, ROW)
