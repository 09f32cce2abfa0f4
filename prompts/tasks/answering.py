"""How answers of a wanted type are had from a language model: written under a grammar, written and mended, or chosen
by likelihood.

A model that takes a grammar cannot answer out of the type. One that takes none is told its mistake and asked once
more. One that tells likelihoods compares the labels: what a small model cannot write it can often still tell apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from ...errors import GedankenError, UserError
from ..counting import counter
from ..failures import AnswerIncomplete, ModelUnavailable
from ..gateway.gateway import Gateway
from .outputs import Kind, Value, choices, direction, grammar_of, is_choice, read

Decoding = Literal["auto", "answer", "score", "calibrated"]
PURPOSE = "few-shot task"
BLANK = "N/A"


@dataclass(frozen=True)
class Query:
    """What is asked for one input: the messages, and the same with an input without content in its place."""

    input: str
    messages: list[BaseMessage]
    blank: list[BaseMessage]


@dataclass(frozen=True)
class Prediction:
    """The answer to one input: `output` typed, or None with an `error` that says why it cannot be used."""

    input: str
    output: Value | None
    answer: str
    error: str | None = None


@dataclass(frozen=True)
class Manner:
    """The type of an answer, its length, and how it is decoded; see `FewShotTask`."""

    kind: Kind
    decoding: Decoding = "auto"
    max_tokens: int = 64
    max_words: int | None = None

    def decoding_of(self, gateway: Gateway) -> Decoding:
        """Return the decoding for a model, never "auto".

        Raises:
            UserError: likelihoods are asked for, and the model tells none.
        """
        if self.decoding == "auto":
            return "score" if is_choice(self.kind) and gateway.can_score else "answer"
        if self.decoding != "answer" and not gateway.can_score and gateway.model is not None:
            raise UserError(
                f"decoding '{self.decoding}' compares likelihoods, and the language model '{gateway.name}' tells none: "
                "use decoding 'answer', or the local model"
            )
        return self.decoding

    def answer(self, queries: Sequence[Query], gateway: Gateway) -> list[Prediction]:
        """Return one prediction a query.

        Raises:
            ModelUnavailable: no model answers.
        """
        decoding = self.decoding_of(gateway)
        if decoding != "answer":
            return [self._choose(query, gateway, decoding == "calibrated") for query in queries]
        predictions = self._write([query.messages for query in queries], queries, gateway)
        if "grammar" in gateway.options:
            return predictions
        wrong = [n for n, prediction in enumerate(predictions) if prediction.error]
        mended = self._write(
            [self._mending(queries[n], predictions[n]) for n in wrong], [queries[n] for n in wrong], gateway
        )
        for n, prediction in zip(wrong, mended, strict=True):
            predictions[n] = prediction
        return predictions

    def _write(
        self, prompts: Sequence[list[BaseMessage]], queries: Sequence[Query], gateway: Gateway
    ) -> list[Prediction]:
        # A limit of words is no grammar: at its end a small model only writes on without spaces. It is cut (`read`).
        answers = gateway.ask_many(
            prompts,
            PURPOSE,
            grammar_of(self.kind),
            max_tokens=self.max_tokens,
            temperature=0.0,
            stop=None if self.max_words is None else ["\n"],
        )
        predictions = []
        for query, answer in zip(queries, answers, strict=True):
            if isinstance(answer, AnswerIncomplete):
                predictions.append(Prediction(query.input, None, "", str(answer)))
            elif isinstance(answer, GedankenError):
                raise answer
            else:
                predictions.append(self._read(query, answer))
        return predictions

    def read(self, answer: str) -> Value:
        """Return the typed value of an answer. Raises ValueError, which says what was expected."""
        return read(self.kind, answer, self.max_words)

    def _read(self, query: Query, answer: str) -> Prediction:
        try:
            return Prediction(query.input, self.read(answer), answer)
        except ValueError as error:
            return Prediction(query.input, None, answer, str(error))

    def _mending(self, query: Query, wrong: Prediction) -> list[BaseMessage]:
        said = f"That cannot be used: {wrong.error}. {direction(self.kind, self.max_words)}"
        return [*query.messages, AIMessage(wrong.answer), HumanMessage(said)]

    def _choose(self, query: Query, gateway: Gateway, calibrated: bool) -> Prediction:
        """argmax over labels y of log p(y | x), calibrated: log p(y | x) - log p(y | blank) (Zhao et al. 2021)."""
        labels = choices(self.kind)
        count = counter(gateway.model)
        tokens = [count(label) + 1 for label in labels]  # the end of the turn is one
        likelihood = _scores(query.messages, labels, tokens, gateway)
        if calibrated:
            blank = _scores(query.blank, labels, tokens, gateway)
            likelihood = [given - prior for given, prior in zip(likelihood, blank, strict=True)]
        best = labels[max(range(len(labels)), key=likelihood.__getitem__)]
        return self._read(query, best)


def _scores(messages: list[BaseMessage], labels: list[str], tokens: list[int], gateway: Gateway) -> list[float]:
    """Return the log-probability of each label, its end of turn included."""
    means = gateway.score(messages, labels, PURPOSE)
    if means is None:
        raise ModelUnavailable("no language model is configured that tells likelihoods")
    return [mean * length for mean, length in zip(means, tokens, strict=True)]
