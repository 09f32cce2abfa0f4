"""The worlds that the sentences of `instructions.py` are said in, and when two goals said there are the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch

from gedanken.agent.instructions.readings import canonical
from gedanken.world.families.minigrid import ACTIONS, COLORS, OBJECTS, STATES, board_schema
from gedanken.world.rules.evaluate import Rows, truth
from gedanken.world.rules.milestones import is_event
from gedanken.world.rules.parse import parse
from gedanken.world.rules.syntax import Achieve, Avoid, Bounded, Combined, Logical, Maintain, Not, Rule
from gedanken.world.schema import Feature, Schema

Row = dict[str, np.ndarray]
_STATES = 2_000
_LINKS = re.compile(r"([(){}]| or | then | also | else | while )")
_ATOM = re.compile(r"(?P<prefix>front_|carrying_|)(?P<array>object|color|state|x|y)(?P<prime>'?)"
                   r"(?P<index>\[[^\]]*\])? == (?P<value>\w+)")


def board() -> tuple[Schema, Row]:
    """Two balls, two doors, a key, a box, lava and a goal, seen from the middle."""
    schema = board_schema(9, 9, ACTIONS)
    row = {f.name: np.zeros(f.shape, f.numpy_dtype) for f in schema.features}
    row["object"][:] = OBJECTS.index("empty")
    for edge in (np.s_[0, :], np.s_[-1, :], np.s_[:, 0], np.s_[:, -1]):
        row["object"][edge] = OBJECTS.index("wall")
    for x, y, color, thing, state in (
        (6, 2, "red", "ball", "none"), (2, 6, "blue", "ball", "none"), (2, 2, "green", "key", "none"),
        (6, 6, "grey", "box", "none"), (0, 4, "purple", "door", "closed"), (4, 0, "yellow", "door", "locked"),
        (7, 7, "red", "lava", "none"), (1, 7, "green", "goal", "none"),
    ):  # fmt: skip
        row["object"][x, y], row["color"][x, y] = OBJECTS.index(thing), COLORS.index(color)
        row["state"][x, y] = STATES.index(state)
    row["agent_x"], row["agent_y"] = np.int32(4), np.int32(4)
    return schema, {k: np.asarray(v) for k, v in row.items()}


def rover() -> tuple[Schema, Row]:
    """A rover on a field, with a battery, a lamp and modes."""
    features = (
        Feature("x", low=0, high=10, unit="m", description="how far east the rover is"),
        Feature("y", low=0, high=10, unit="m", description="how far north the rover is"),
        Feature("battery", low=0, high=100, unit="%", description="the charge of the battery"),
        Feature("temperature", low=-40, high=90, unit="°C", description="the temperature of the motor"),
        Feature("speed", low=-3, high=3, unit="m/s", description="how fast it drives, forwards if positive"),
        Feature("lamp", "boolean", description="whether the lamp is on"),
        Feature("mode", "category", values=("drive", "idle", "charge"), description="what the rover is about"),
    )
    schema = Schema("rover", features, (Feature("power", low=-1, high=1),), lambda o, e: o, lambda a: a)
    now = {"x": 2.0, "y": 3.0, "battery": 90.0, "temperature": 20.0, "speed": 1.5, "lamp": False, "mode": 0}
    return schema, {k: np.asarray(v) for k, v in now.items()}


def numbers(name: str) -> tuple[Schema, Row]:
    env = gymnasium.make(name)
    observation, _ = env.reset(seed=0)
    schema = Schema.from_env(env)
    return schema, schema.observe(observation, env)


WORLDS: dict[str, tuple[Schema, Row]] = {
    "board": board(), "rover": rover(), "cartpole": numbers("CartPole-v1"),
    "car": numbers("MountainCarContinuous-v0"), "pendulum": numbers("Pendulum-v1"),
}  # fmt: skip


def signature(lines: Sequence[str], schema: Schema, row: Row) -> frozenset[str]:
    """What tells the goals of rule lines, said in the state `row`, from others: where a limit holds, what stands in
    which order."""
    conditions = _Conditions(schema, row, None if schema.grid else _sample(schema))
    return frozenset(part for line in lines for part in _parts(parse(line, schema), conditions))


@dataclass(frozen=True)
class _Conditions:
    """A condition as text that is the same where it means the same: the states it holds in, or on boards what it
    says."""

    schema: Schema
    row: Row
    sample: dict[str, torch.Tensor] | None

    def __call__(self, condition: Any) -> str:
        if self.sample is not None and not is_event(condition, self.schema):
            return str(hash(truth(condition, Rows(self.schema, self.sample)).numpy().tobytes()))
        if isinstance(condition, Not):
            return f"not {self(condition.operand)}"
        text = canonical(Rule(statement=Maintain(condition=condition)))
        return _meant(text.removeprefix("maintain "), self.row) if self.sample is None else text


def _meant(text: str, row: Row) -> str:
    """A condition's canonical text with descriptions as the places of what fits them in the state told in: 'the key' is
    'the green key' where there is but one."""
    pieces = _LINKS.split(text)
    return "".join(piece.strip("()") if i % 2 else _segment(piece, row) for i, piece in enumerate(pieces))


def _segment(text: str, row: Row) -> str:
    groups: dict[tuple[str, ...], dict[str, str]] = {}
    rest = []
    for atom in text.split(" and "):
        found = _ATOM.fullmatch(atom.strip())
        if found and found["value"] not in ("none", "empty") and not (found["array"] == "state" and found["prime"]):
            key = (found["prefix"], found["prime"], found["index"] or "")
            groups.setdefault(key, {})[found["array"]] = found["value"]
        else:
            rest.append(atom)
    places = {key: _fitting(wanted, row) for key, wanted in groups.items() if wanted.keys() & {"object", "color"}}
    if ("carrying_", "'", "") in places and ("front_", "", "") in places:    # what is taken is what was ahead
        places["carrying_", "'", ""] &= places["front_", "", ""]
    return " and ".join(sorted([*rest, *(f"{''.join(key)} is {sorted(found)}" for key, found in places.items())]))


def _fitting(wanted: dict[str, str], row: Row) -> set[tuple[int, int]]:
    fits = row["object"] > OBJECTS.index("floor")
    if "object" in wanted:
        fits &= row["object"] == OBJECTS.index(wanted["object"])
    if "state" in wanted:
        fits &= row["state"] == STATES.index(wanted["state"])
    if "color" in wanted:
        fits &= row["color"] == COLORS.index(wanted["color"])
    return {(x, y) for x, y in np.argwhere(fits).tolist()
            if wanted.get("x", str(x)) == str(x) and wanted.get("y", str(y)) == str(y)}


def _parts(rule: Rule, said: _Conditions) -> set[str]:
    match rule.statement:
        case Avoid(condition=condition):
            return {f"keep {said(Not(operand=condition))}"}
        case Maintain(condition=Logical(operator="and", operands=operands)):
            return {f"keep {said(o)}" for o in operands}
        case Maintain(condition=condition):
            return {f"keep {said(condition)}"}
        case Achieve(milestones=(Bounded(part=part, within=None, keeping=keeping),), within=within) if keeping:
            inner = part.parts if isinstance(part, Combined) and part.operator == "then" else (part,)
            rest = rule.model_copy(update={"statement": Achieve(milestones=inner, within=within)})
            return {f"keep {said(keeping)}", *_parts(rest, said)}
        case Achieve(milestones=milestones, within=within):
            return {f"{_ordered(Combined(operator='then', parts=milestones), said)} within {within}"}
    return {canonical(rule)}


def _ordered(node: Any, said: _Conditions) -> str:
    match node:
        case Combined(operator=operator, parts=parts):
            flat = [p for part in parts for p in (
                part.parts if isinstance(part, Combined) and part.operator == operator else (part,))]  # fmt: skip
            texts = [_ordered(p, said) for p in flat]
            texts = texts if operator == "then" else sorted(set(texts))
            if len(texts) == 1:
                return texts[0]
            return "{" + f" {operator} ".join(texts) + "}"
        case Bounded(part=part, within=within, keeping=keeping):
            return f"{{{_ordered(part, said)}}} within {within} while {'' if keeping is None else said(keeping)}"
    return said(node)


def _sample(schema: Schema) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(0)
    columns: dict[str, np.ndarray] = {}
    for f in schema.features:
        low, high = max(f.low, -4.0) if f.low < -1e9 else f.low, min(f.high, 4.0) if f.high > 1e9 else f.high
        if f.kind in ("category", "boolean"):
            columns[f.name] = rng.integers(0, f.cardinality or 2, _STATES)
        else:
            columns[f.name] = rng.uniform(low, high, _STATES).round(0 if f.kind == "integer" else 6)
    return schema.batch(columns)
