"""Few-shot text tasks: an instruction, demonstrations chosen for each input, and a typed output.

task = FewShotTask(
    instruction="Which feature does the sentence speak of?",
    demonstrations=[("It gets too hot.", "temperature"), ("The cell is empty.", "battery")],
    output=["temperature", "battery"],
)
task.run(["Charge it soon."], gateway)            # ["battery"]
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationInfo, field_validator, model_validator

from ..errors import GedankenError
from .counting import counter
from .gateway.gateway import Gateway
from .tasks.answering import BLANK, Decoding, Manner, Prediction, Query
from .tasks.metrics import check_metrics
from .tasks.outputs import Kind, Value, direction, is_choice, is_json, kind_of, read, render, write
from .tasks.selection import Demonstration, Order, Selection, Selector


class FewShotTask(BaseModel):
    """A text task given by a few examples; demonstrations and types are checked when it is made.

    Raises:
        pydantic.ValidationError: naming every demonstration whose input or output is not of the task's types.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid", frozen=True)

    instruction: str = Field(min_length=1)
    input: Any = "text"
    """As `output`; a record is shown as a line a field."""
    output: Any = "text"
    """ "text", "int", "float", "bool", a list of labels, or a type for pydantic: a model (a record), `list[str]`."""
    demonstrations: list[Demonstration] = Field(default_factory=list)
    """(input, output) pairs; inputs are kept as the text that is shown."""
    selection: Selection = "fixed"
    count: int = Field(default=4, ge=0)
    """Demonstrations shown for an input, at most; 0 is zero-shot."""
    order: Order = "best_last"
    """Where the best demonstration stands: last, next to the query, or first."""
    budget_chars: int | None = Field(default=None, ge=0)
    """Length of all demonstrations shown for an input, at most."""
    budget_tokens: int | None = Field(default=None, ge=0)
    """The same in tokens, as the model counts them (estimated, 4 characters each, where there is none)."""
    diversity: float = Field(default=0.5, ge=0, le=1)
    """Of the selection "diverse": 0 is nearest, 1 is unlike each other."""
    seed: int = 0
    decoding: Decoding = "auto"
    """How a choice is made: "answer" writes it, "score" takes the label of the highest likelihood, "calibrated" the
    one that gained most likelihood over an input without content (Zhao et al. 2021); "auto" scores where it can."""
    max_tokens: int = Field(default=64, gt=0)
    max_words: int | None = Field(default=None, gt=0)
    """Of an output of "text": it is cut to the whole sentences of its first line that so many words hold."""
    metrics: list[str] = Field(default_factory=list)
    """What `evaluate` measures; empty for those of the output's type."""
    similarity: Any = Field(default=None, exclude=True, repr=False)
    """A LangChain retriever or embeddings, for "nearest" and "diverse"."""

    _selector: Selector = PrivateAttr()

    @field_validator("input", "output")
    @classmethod
    def _check_kind(cls, given: Any) -> Kind:
        return kind_of(given)

    @field_validator("demonstrations")
    @classmethod
    def _check_demonstrations(cls, given: list[Demonstration], info: ValidationInfo) -> list[Demonstration]:
        if not {"input", "output"} <= info.data.keys():
            return given  # the type itself is wrong, and named already
        return checked(given, info.data["input"], info.data["output"])

    @model_validator(mode="after")
    def _check(self) -> FewShotTask:
        mistakes = []
        if self.budget_chars is not None and self.budget_tokens is not None:
            mistakes.append("give budget_chars or budget_tokens, not both")
        if self.decoding in ("score", "calibrated") and not is_choice(self.output):
            mistakes.append(f"decoding '{self.decoding}' is for labels and bool; others are written ('answer')")
        if self.max_words is not None and self.output != "text":
            mistakes.append("max_words is for an output of 'text'")
        mistakes += check_metrics(self.metrics, self.output)
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self

    def model_post_init(self, context: Any) -> None:
        """Make the selector; UserError where the selection lacks its similarity."""
        self._selector = Selector(
            self.demonstrations,
            self.selection,
            self.count,
            self.budget_chars if self.budget_tokens is None else self.budget_tokens,
            len if self.budget_tokens is None else counter(None),
            self.seed,
            self.similarity,
            self.diversity,
            self.order,
            partial(write, self.output),
            partial(read, self.output),
        )

    def with_settings(self, **settings: Any) -> FewShotTask:
        """Return the task with other settings, checked like a new one."""
        return FewShotTask(**{name: getattr(self, name) for name in type(self).model_fields} | settings)

    def select(self, query: Any, gateway: Gateway | None = None) -> list[Demonstration]:
        """Return the demonstrations shown for an input, in order; never the input itself or a near copy.

        Args:
            query: the input.
            gateway: whose model counts the tokens of `budget_tokens`.

        Raises:
            ValueError: the input is not of the task's type.
        """
        if self.budget_tokens is None or gateway is None:
            return self._selector.select(render(self.input, query))
        return self._selector.select(render(self.input, query), counter(gateway.model))

    def preview(self, query: Any, gateway: Gateway | None = None) -> list[BaseMessage]:
        """Return the messages that are sent for an input, without sending them; as `select`."""
        return self.query(query, gateway).messages

    def query(self, query: Any, gateway: Gateway | None = None) -> Query:
        """Return all that is asked for an input; as `select`."""
        shown = render(self.input, query)
        system = f"{self.instruction.strip()}\n{direction(self.output, self.max_words)}"
        messages: list[BaseMessage] = [SystemMessage(system)]
        for demonstration in self.select(query, gateway):
            messages += [HumanMessage(demonstration.input), AIMessage(write(self.output, demonstration.output))]
        return Query(shown, [*messages, HumanMessage(shown)], [*messages, HumanMessage(BLANK)])

    @property
    def manner(self) -> Manner:
        """How answers are had."""
        return Manner(self.output, self.decoding, self.max_tokens, self.max_words)

    def predict(self, inputs: Iterable[Any], gateway: Gateway) -> list[Prediction]:
        """Return one prediction an input; an answer that cannot be used is recorded in its `error`.

        Raises:
            ModelUnavailable: no model answers.
            UserError: `decoding` compares likelihoods, and the model tells none.
            ValueError: an input is not of the task's type.
        """
        return self.manner.answer([self.query(query, gateway) for query in inputs], gateway)

    def run(self, inputs: Iterable[Any], gateway: Gateway) -> list[Value]:
        """Return one typed output an input.

        Raises:
            GedankenError: an answer cannot be used; every such input is named.
            ModelUnavailable: no model answers.
        """
        predictions = self.predict(inputs, gateway)
        wrong = [f"{p.input[:60]!r}: {p.error}" for p in predictions if p.error]
        if wrong:
            raise GedankenError(f"{len(wrong)} of {len(predictions)} answers cannot be used:\n" + "\n".join(wrong))
        return [p.output for p in predictions]


def checked(given: Sequence[Demonstration], input_kind: Kind, output_kind: Kind) -> list[Demonstration]:
    """Return demonstrations with their inputs as they are shown.

    Raises:
        ValueError: naming every one that is not of the types.
    """
    kept, mistakes = [], []
    for number, demonstration in enumerate(given, 1):
        try:
            kept.append(check_one(demonstration, input_kind, output_kind))
        except ValueError as error:
            mistakes.append(f"demonstration {number}{error}")
    if mistakes:
        raise ValueError("; ".join(mistakes))
    return kept


def check_one(demonstration: Demonstration, input_kind: Kind, output_kind: Kind) -> Demonstration:
    """Return a demonstration with its input as it is shown.

    Raises:
        ValueError: it is not of the types; the text goes on from what the demonstration is called.
    """
    try:
        shown = render(input_kind, demonstration.input)
    except ValueError as error:
        raise ValueError(f", input: {error}") from error
    try:
        value = read(output_kind, write(output_kind, demonstration.output))
    except ValueError as error:
        raise ValueError(f" ({shown[:40]!r}): {error}") from error
    if not is_json(output_kind) and value != demonstration.output:
        raise ValueError(f": write {demonstration.output!r} as the task's type")
    return Demonstration(shown, demonstration.output)
