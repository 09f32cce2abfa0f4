"""Dynamics tasks: a handful of example transitions become rules that refine the world model.

task = FewShotDynamics(examples=[
    {"before": {"carrying": "none", "front": "key"}, "action": "pickup", "after": {"carrying": "key"}},
    {"before": {"carrying": "none", "front": "wall"}, "action": "pickup"},
])
print(task.teach(agent))      # each rule, how many examples are for it, and what they leave open
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...errors import UserError
from ...memory.record import Transitions
from ...world.knowledge import Told
from ...world.schema import Schema
from . import examples as ex
from .examples import Example
from .hypotheses import END, REWARD, SAME, Hypothesis, foretold, hypotheses

if TYPE_CHECKING:
    from ..agent import Agent


@dataclass(frozen=True)
class Ruled:
    """A rule, how many of the examples that it speaks of are for it and against it, and the guards that would do as
    well."""

    text: str
    supported: int
    against: int
    open: tuple[str, ...] = ()

    def __str__(self) -> str:
        against = f"{self.against} against" if self.against else "none against"
        doubt = "".join(f"\n    or: if {guard}" for guard in self.open)
        return f"{self.text}    # {self.supported} for, {against}{doubt}"


@dataclass(frozen=True)
class Report:
    """The rules of a task, what became of its sentences, and how many of the `examples` the rules from the others
    foretold (leave-one-out)."""

    rules: tuple[Ruled, ...]
    told: tuple[Told, ...]
    foretold: int
    examples: int

    def __str__(self) -> str:
        refused = [f"not understood: {t.sentence} ({t.reason})" for t in self.told if t.fate == "refused"]
        score = f"{self.foretold} of {self.examples} examples foretold by rules from the others"
        return "\n".join([*map(str, self.rules), *refused, score])


class FewShotDynamics(BaseModel):
    """A world's dynamics by example: transitions by names, and `sentences` for the language model to read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    environment: str = ""
    """The name of the schema the examples are of; "" for any."""
    examples: list[Example] = Field(default_factory=list)
    sentences: list[str] = Field(default_factory=list)

    @staticmethod
    def load(path: str | Path) -> FewShotDynamics:
        """A task from a YAML file. Raises `UserError` with every mistake and its line."""
        data, examples = ex.read(Path(path))
        try:
            return FewShotDynamics.model_validate({**data, "examples": examples})
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise UserError(f"{path}: {wrong}") from error

    @staticmethod
    def of(transitions: Transitions, schema: Schema) -> FewShotDynamics:
        """A task from transitions: the agent's own memory, or another's."""
        return FewShotDynamics(environment=schema.name, examples=ex.of(transitions, schema))

    def learn(self, schema: Schema) -> Report:
        """What the examples say of a world, without telling anyone. Raises `UserError` for examples of another world,
        with unknown names, or that contradict each other."""
        if self.environment and self.environment != schema.name:
            raise UserError(f"the examples are of '{self.environment}', the agent's world is '{schema.name}'")
        ex.check(self.examples, schema)
        found, n = hypotheses(schema, self.examples), len(self.examples)
        return Report(tuple(_joined(found)), (), int(foretold(schema, self.examples).sum()), n)

    def teach(self, agent: Agent, ask: Callable[..., int | None] | None = None) -> Report:
        """Tell the agent the rules, with the source "examples": they act unless the data contradict them."""
        report = self.learn(agent.schema)
        if report.rules:
            agent.tell("\n".join(rule.text for rule in report.rules), source="examples")
        told = agent.tell("\n".join(self.sentences), source="examples", ask=ask) if self.sentences else []
        return Report(report.rules, tuple(told), report.foretold, report.examples)


def _joined(found: list[Hypothesis]) -> list[Ruled]:
    """What holds under the same guard, as one rule; rewards and ends are rules of their own."""
    rules = []
    for alone, guard in dict.fromkeys((_alone(h), h.guard) for h in found):
        same = [h for h in found if (_alone(h), h.guard) == (alone, guard)]
        wrong = np.any([h.covers & h.wrong for h in same], 0)
        right = np.all([h.covers & h.right for h in same], 0)
        said = (f"expect {alone}" if alone == SAME else alone) or "expect " + " and ".join(h.claim for h in same)
        text = f"{said} if {guard}" if guard else said
        rules.append(Ruled(text, int(right.sum()), int(wrong.sum()), same[0].open))
    return rules



def _alone(h: Hypothesis) -> str:
    """The claim of a rule that stands alone, "" of one that is joined."""
    return h.claim if h.target in (SAME, REWARD, END) else ""
