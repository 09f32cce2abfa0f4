"""What goes wrong between us and a language model."""

from __future__ import annotations

from ..errors import GedankenError


class ModelUnavailable(GedankenError):
    """No model answers: everything but new text still works."""


class ModelTimeout(ModelUnavailable, TimeoutError):
    """The model did not answer within its time limit."""


class BudgetSpent(ModelUnavailable):
    """The calls or tokens granted to language models are used up."""


class AnswerIncomplete(GedankenError):
    """The model ran out of tokens in the middle of an answer that had to follow a grammar."""
