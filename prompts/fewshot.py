"""Few-shot text tasks: an instruction, demonstrations chosen for each input, and a typed output.

task = FewShotTask(
    instruction="Which feature does the sentence speak of?",
    demonstrations=[("It gets too hot.", "temperature"), ("The cell is empty.", "battery")],
    output=["temperature", "battery"],
)
task.run(["Charge it soon."], gateway)            # ["battery"]
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from ..errors import GedankenError
from .calls import Gateway
from .failures import AnswerIncomplete
from .outputs import Kind, Value, direction, grammar_of, read, write
from .selection import Demonstration, Selection, Selector


@dataclass(frozen=True)
class Prediction:
    """The answer to one input: `output` typed, or None with an `error` that says why it cannot be used."""

    input: str
    output: Value | None
    answer: str
    error: str | None = None


class FewShotTask(BaseModel):
    """A text task given by a few examples; demonstrations and output type are checked when it is made.

    Raises:
        pydantic.ValidationError: naming every demonstration whose output is not of the task's type.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid", frozen=True)

    instruction: str = Field(min_length=1)
    demonstrations: list[Demonstration] = Field(default_factory=list)
    """(input, output) pairs."""
    output: Kind = "text"
    """ "text", "int", "float", "bool", or a list of labels."""
    selection: Selection = "fixed"
    count: int = Field(default=4, ge=0)
    """Demonstrations shown for an input, at most."""
    budget_chars: int | None = Field(default=None, ge=0)
    """Length of all demonstrations shown for an input, at most."""
    diversity: float = Field(default=0.5, ge=0, le=1)
    """Of the selection "diverse": 0 is nearest, 1 is unlike each other."""
    seed: int = 0
    max_tokens: int = Field(default=64, gt=0)
    similarity: Any = Field(default=None, exclude=True)
    """A LangChain retriever or embeddings, for "nearest" and "diverse"."""

    _selector: Selector = PrivateAttr()

    @model_validator(mode="after")
    def _check(self) -> FewShotTask:
        mistakes = []
        if isinstance(self.output, list):
            if len({label.casefold() for label in self.output}) < len(self.output) or not self.output:
                mistakes.append("the labels of 'output' are empty, or two are the same")
            mistakes += [f"label {label!r} is not one plain line" for label in self.output if not _is_plain(label)]
        for number, demonstration in enumerate(self.demonstrations, 1):
            try:
                if read(self.output, write(demonstration.output)) != demonstration.output:
                    mistakes.append(f"demonstration {number}: write {demonstration.output!r} as the task's type")
            except ValueError as error:
                mistakes.append(f"demonstration {number} ({demonstration.input[:40]!r}): {error}")
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self

    def model_post_init(self, context: Any) -> None:
        """Make the selector; UserError where the selection lacks its similarity."""
        self._selector = Selector(
            self.demonstrations,
            self.selection,
            self.count,
            self.budget_chars,
            self.seed,
            self.similarity,
            self.diversity,
        )

    def select(self, query: str) -> list[Demonstration]:
        """Return the demonstrations shown for an input, the best last; never the input itself."""
        return self._selector.select(query)

    def preview(self, query: str) -> list[BaseMessage]:
        """Return the messages that are sent for an input, without sending them."""
        messages: list[BaseMessage] = [SystemMessage(f"{self.instruction.strip()}\n{direction(self.output)}")]
        for demonstration in self.select(query):
            messages += [HumanMessage(demonstration.input), AIMessage(write(demonstration.output))]
        return [*messages, HumanMessage(query)]

    def predict(self, inputs: Iterable[str], gateway: Gateway) -> list[Prediction]:
        """Return one prediction an input; an answer that cannot be used is recorded in its `error`.

        Raises:
            ModelUnavailable: no model answers.
        """
        return [self._predict(query, gateway) for query in inputs]

    def run(self, inputs: Iterable[str], gateway: Gateway) -> list[Value]:
        """Return one typed output an input.

        Raises:
            GedankenError: an answer cannot be used; every such input is named.
            ModelUnavailable: no model answers.
        """
        predictions = self.predict(inputs, gateway)
        wrong = [f"{p.input[:60]!r}: {p.error}" for p in predictions if p.error]
        if wrong:
            raise GedankenError(f"{len(wrong)} of {len(predictions)} answers cannot be used:\n" + "\n".join(wrong))
        return [p.output for p in predictions if p.output is not None]

    def _predict(self, query: str, gateway: Gateway) -> Prediction:
        messages, grammar = self.preview(query), grammar_of(self.output)
        try:
            answer = gateway.ask(messages, "few-shot task", grammar, max_tokens=self.max_tokens, temperature=0.0)
        except AnswerIncomplete as error:
            return Prediction(query, None, "", str(error))
        try:
            return Prediction(query, read(self.output, answer), answer)
        except ValueError as error:
            return Prediction(query, None, answer, str(error))


def _is_plain(label: str) -> bool:
    return bool(label.strip()) and label == label.strip() and label.isprintable()
