"""Answers of a language model as they come, a line each, so that an evaluation that is interrupted loses nothing.

An answer is found again by what it was asked (model, messages, decoding), not by where it was needed: a changed task
asks anew what changed and nothing else, and two arms that put the same question put it once.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path

from ...errors import UserError
from ..gateway.asking import as_text
from ..gateway.gateway import Gateway
from .answering import Manner, Prediction, Query

log = logging.getLogger(__name__)


class Journal:
    """Answers in a JSONL file, or in memory where there is no path.

    Raises:
        UserError: the file cannot be read or written, or is none of ours.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._known: dict[str, tuple[str, str | None]] = {}
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            content = path.read_bytes() if path.exists() else b""
            if content and not content.endswith(b"\n"):
                path.write_bytes(content := content[: content.rfind(b"\n") + 1])  # a line that was being written
            path.open("a").close()
        except OSError as error:
            raise UserError(f"cannot keep answers in {path}: {error.strerror or error}") from error
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
            try:
                row = json.loads(line)
                self._known[row["key"]] = (str(row["answer"]), row["error"])
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(f"{path}:{number}: this is no line of answers; choose another file") from error

    def answers(self, queries: Sequence[Query], manner: Manner, gateway: Gateway) -> list[Prediction]:
        """Return one prediction a query, asking only what is not known; what was asked is written down before.

        Raises:
            ModelUnavailable: no model answers.
        """
        keys = [self.key(query, manner, gateway) for query in queries]
        missing = {key: query for key, query in zip(keys, queries, strict=True) if key not in self._known}
        for (key, query), prediction in zip(
            missing.items(), manner.answer(list(missing.values()), gateway), strict=True
        ):
            self._keep(key, query, prediction)
        return [self._prediction(query.input, key, manner) for query, key in zip(queries, keys, strict=True)]

    def knows(self, query: Query, manner: Manner, gateway: Gateway) -> bool:
        """Whether the answer is there."""
        return self.key(query, manner, gateway) in self._known

    @staticmethod
    def key(query: Query, manner: Manner, gateway: Gateway) -> str:
        """Return what a question is known by; the model's name stands for the model."""
        asked = [gateway.name, as_text(query.messages), manner.decoding_of(gateway), manner.max_tokens]
        asked += [manner.max_words, repr(manner.kind)]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:32]

    def _keep(self, key: str, query: Query, prediction: Prediction) -> None:
        self._known[key] = (prediction.answer, prediction.error)
        if self.path is None:
            return
        row = {"key": key, "input": query.input, "answer": prediction.answer, "error": prediction.error}
        try:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row, ensure_ascii=False) + "\n")
        except OSError as error:  # the figures are worth more than their record
            log.warning("cannot keep an answer in %s: %s", self.path, error)

    def _prediction(self, shown: str, key: str, manner: Manner) -> Prediction:
        answer, error = self._known[key]
        return Prediction(shown, None if error else manner.read(answer), answer, error)
