"""Dynamics tasks: a handful of example transitions become rules that refine the world model.

task = FewShotDynamics(examples=[
    {"before": {"carrying": "none", "front": "key"}, "action": "pickup", "after": {"carrying": "key"}},
    {"before": {"carrying": "none", "front": "wall"}, "action": "pickup"},
])
print(task.teach(agent))      # each rule, how many examples are for it, and what they leave open
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ...errors import UserError
from ...memory.experience.record import Transitions
from ...world.knowledge import Told
from ...world.schema import Schema
from . import examples as ex
from .examples import Example
from .hypotheses import END, REWARD, SAME, Hypothesis, foretold, hypotheses
from .weighing import weigh

if TYPE_CHECKING:
    from ..agent import Agent


Fate = Literal["kept", "candidate", "refuted"]


@dataclass(frozen=True)
class Ruled:
    """A rule, how many of the examples that it speaks of are for it and against it, the guards that would do as well,
    and the lines of the examples that refute it."""

    text: str
    supported: int
    against: int
    open: tuple[str, ...] = ()
    lines: tuple[int, ...] = ()

    @property
    def fate(self) -> Fate:
        """A candidate may yet be changed by one example more: another guard would do, or only one is for it."""
        return "refuted" if self.against else "candidate" if self.open or self.supported < 2 else "kept"

    def __str__(self) -> str:
        against = f"{self.against} against" if self.against else "none against"
        where = f" (line {', '.join(map(str, self.lines))})" if self.lines else ""
        doubt = "".join(f"\n    or: if {guard}" for guard in self.open)
        return f"{self.text}    # {self.fate}: {self.supported} for, {against}{where}{doubt}"


@dataclass(frozen=True)
class Report:
    """The rules of a task, what became of its sentences, and how many of the `examples` the rules from the others
    foretold (leave-one-out). `read` are the rules that sentences were read as, weighed by the examples."""

    rules: tuple[Ruled, ...]
    told: tuple[Told, ...]
    foretold: int
    examples: int
    read: tuple[Ruled, ...] = ()

    def __str__(self) -> str:
        refused = [f"not understood: {t.sentence} ({t.reason})" for t in self.told if t.fate == "refused"]
        score = f"{self.foretold} of {self.examples} examples foretold by rules from the others"
        return "\n".join([*map(str, self.rules), *map(str, self.read), *refused, score])


class FewShotDynamics(BaseModel):
    """A world's dynamics by example: transitions by names, and `sentences` for the language model to read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    environment: str = ""
    """The name of the schema the examples are of; "" for any."""
    examples: list[Example] = Field(default_factory=list)
    sentences: list[str] = Field(default_factory=list)

    @staticmethod
    def load(path: str | Path, schema: Schema | None = None) -> FewShotDynamics:
        """A task from a YAML file. Raises `UserError` with every mistake and its line; with the `schema` of the world
        also those of names, values and contradictions."""
        file, examples = ex.read(Path(path), schema)
        return FewShotDynamics(environment=file.environment, examples=examples, sentences=file.sentences)

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
        """Tell the agent the rules, with the source "examples": they act unless the data contradict them. A rule that a
        sentence was read as is weighed by the examples, and retired where one refutes it."""
        report = self.learn(agent.schema)
        if report.rules:
            agent.tell("\n".join(rule.text for rule in report.rules), source="examples")
        told = agent.tell("\n".join(self.sentences), source="examples", ask=ask) if self.sentences else []
        read = []
        for entry in {e.id: e for t in told for e in t.entries}.values():
            right, wrong = weigh(entry.rule, entry.text, self.examples, agent.schema)
            lines = tuple(e.line for e in wrong if e.line)
            read.append(Ruled(entry.text, len(right), len(wrong), lines=lines))
            if wrong and entry.source == "examples":
                agent.mind.knowledge.retire(entry.id)
        agent.refresh()
        return replace(report, told=tuple(told), read=tuple(read))


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
