"""One answer as it is written, token by token: what is chosen, what can be shown of it already, and where it ends."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from .grammars import Grammar


@dataclass(frozen=True)
class Decoding:
    """How to decode one answer; `seed` draws the samples where `temperature` > 0, `deadline` is monotonic time."""

    max_tokens: int = 256
    temperature: float = 0.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    deadline: float | None = None


@dataclass(frozen=True)
class Piece:
    """Some new text of an answer, the tokens so far, and on the last piece why it ended: "stop" or "length"."""

    text: str
    tokens: int
    finish: str | None = None


class Writing:
    """An answer under way.

    Args:
        tokenizer: turns tokens to text.
        ends: the tokens that end a turn.
        how: how to decode.
        grammar: what the answer must obey.
    """

    def __init__(self, tokenizer: Any, ends: Collection[int], how: Decoding, grammar: Grammar | None = None) -> None:
        self.how = how
        self.ids: list[int] = []
        self.finish: str | None = None
        self._tokenizer, self._ends = tokenizer, ends
        self._rng = torch.Generator().manual_seed(how.seed)
        self._matcher = grammar.matcher() if grammar is not None else None
        self._shown = ""
        self._held = max((len(stop) for stop in how.stop), default=1) - 1  # may be the beginning of a stop text

    def go_on(self, logits: torch.Tensor) -> Piece:
        """Take the next token from its logits `[V]`; the text that became certain by it, and whether that was all."""
        token = self._choose(self._matcher.mask(logits) if self._matcher else logits)
        if token in self._ends:
            return self._end(self._text(), "stop")
        self.ids.append(token)
        text = self._text()
        cuts = [at for stop in self.how.stop if (at := text.find(stop, len(self._shown))) >= 0]  # none began before
        if cuts:
            return self._end(text[: min(cuts)], "stop")
        if self._matcher and self._matcher.accept(token):
            return self._end(text, "stop")
        if len(self.ids) >= self.how.max_tokens:
            return self._end(text, "length")
        ready = text[: len(text) - self._held]
        if len(ready) <= len(self._shown) or ready.endswith("\ufffd"):  # a character that takes several tokens
            return Piece("", len(self.ids))
        new, self._shown = ready[len(self._shown) :], ready
        return Piece(new, len(self.ids))

    def _end(self, text: str, finish: str) -> Piece:
        self.finish = finish
        return Piece(text[len(self._shown) :], len(self.ids), finish)

    def _choose(self, logits: torch.Tensor) -> int:
        if self.how.temperature <= 0:
            return int(logits.argmax())
        return int(torch.multinomial((logits / self.how.temperature).softmax(-1), 1, generator=self._rng))

    def _text(self) -> str:
        return str(self._tokenizer.decode(self.ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))
