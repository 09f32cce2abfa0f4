"""A causal language model as the chat models here use it: encode, generate under a grammar, score.

Decoding is our own loop and not transformers' `generate`, so that a time limit, a stop text or a closed stream ends it
between two tokens, and so that sampling draws from an explicit `torch.Generator`. A prompt is always read in chunks of
128 tokens; what was read of the last prompts is kept, so that a question that begins like an earlier one (same schema,
same examples) is answered sooner, and bit for bit the same as without.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch

from ...errors import GedankenError, UserError
from ..failures import ModelTimeout
from .prefixes import PrefixCache
from .writing import Decoding, Piece, Writing

if TYPE_CHECKING:
    from .grammars import Grammar

SCORE_BATCH = 8


class Decoder:
    """A causal model with its tokenizer; safe to share between threads."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.context: int = getattr(model.config, "max_position_embeddings", None) or 4096
        self.vocabulary: int = model.config.get_text_config().vocab_size
        ends = model.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        self.ends: list[int] = sorted({end for end in (*ends, tokenizer.eos_token_id) if end is not None})
        self.special = sorted(tokenizer.all_special_tokens, key=len, reverse=True)
        self.prefixes = PrefixCache(model)

    def encode(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """Return the token ids of a chat, ready for the answer; control tokens inside a message are only text."""
        plain = [{**message, "content": self._defuse(message["content"])} for message in messages]
        text = self.tokenizer.apply_chat_template(plain, tokenize=False, add_generation_prompt=True)
        ids: list[int] = self.tokenizer(text, add_special_tokens=False).input_ids
        return ids

    def count(self, text: str) -> int:
        """Return the number of tokens of a text."""
        return len(self.tokenizer(text, add_special_tokens=False).input_ids)

    def generate(self, prompt: list[int], how: Decoding, grammar: Grammar | None = None) -> Iterator[Piece]:
        """Yield the answer piece by piece; `grammar` is a compiled grammar (see `grammars`) that it must obey.

        Raises:
            UserError: the prompt and the answer do not fit the model's context.
            ModelTimeout: the deadline passed.
        """
        self._check_length(prompt, how)
        writing = Writing(self.tokenizer, self.ends, how, grammar)
        logits, cache = self.prefixes.read(prompt, how.deadline)
        while True:
            _check_time(writing)
            piece = writing.go_on(logits)
            if piece.text or piece.finish:
                yield piece
            if piece.finish:
                return
            logits, cache = self.prefixes.step(writing.ids[-1], cache)

    def generate_together(
        self, prompts: Sequence[list[int]], how: Decoding, grammar: Grammar | None = None
    ) -> list[Piece | GedankenError]:
        """Return the whole answer to each prompt, or why there is none; all are read in one padded batch, and written
        side by side.

        The answers are those of `generate`, as far as rounding allows: a batch adds up in another order, so that a
        near tie between two tokens may fall the other way.
        """
        answers: list[Piece | GedankenError] = [Piece("", 0)] * len(prompts)
        for n, prompt in enumerate(prompts):
            try:
                self._check_length(prompt, how)
            except UserError as error:
                answers[n] = error
        rows = [n for n, answer in enumerate(answers) if isinstance(answer, Piece)]
        writings = {n: Writing(self.tokenizer, self.ends, how, grammar) for n in rows}
        try:
            batch = self.prefixes.read_together([prompts[n] for n in rows], how.deadline)
            while rows:
                for writing in (writings[n] for n in rows):
                    _check_time(writing)
                for n, logits in zip(rows, batch.logits, strict=True):
                    piece, so_far = writings[n].go_on(logits), answers[n]
                    assert isinstance(so_far, Piece)
                    answers[n] = Piece(so_far.text + piece.text, piece.tokens, piece.finish)
                still = [at for at, n in enumerate(rows) if writings[n].finish is None]
                rows = [rows[at] for at in still]
                if rows:
                    batch.step([writings[n].ids[-1] for n in rows], still)
        except ModelTimeout as error:
            for n in rows:
                answers[n] = error
        return answers

    def score(self, prompt: list[int], continuations: Sequence[str], deadline: float | None = None) -> list[float]:
        """Return the mean log-probability per token of each continuation, its end of turn included.

        Raises:
            UserError: a continuation does not fit the model's context.
            ModelTimeout: the deadline passed.
        """
        encoded = [
            [*self.tokenizer(self._defuse(text), add_special_tokens=False).input_ids, self.ends[-1]]
            for text in continuations
        ]
        longest = max(map(len, encoded), default=0)
        if len(prompt) + longest > self.context:
            raise UserError(f"the prompt and a continuation have {len(prompt) + longest} tokens of {self.context}")
        scores: list[float] = []
        for start in range(0, len(encoded), SCORE_BATCH):
            scores += self._score(prompt, encoded[start : start + SCORE_BATCH], deadline)
        return scores

    @torch.inference_mode()
    def _score(self, prompt: list[int], rows: list[list[int]], deadline: float | None) -> list[float]:
        if deadline is not None and time.monotonic() > deadline:
            raise ModelTimeout("the model was stopped by its time limit while scoring")
        width = max(map(len, rows))
        padded = torch.tensor([row + [self.ends[-1]] * (width - len(row)) for row in rows])  # [N, L]
        first, cache = self.prefixes.read(prompt, deadline)  # [V]
        logits = first.expand(len(rows), 1, -1)
        if width > 1:  # padding stands on the right, where causal attention never looks back from
            cache.batch_repeat_interleave(len(rows))
            fed = padded[:, :-1].to(self.model.device)
            rest = self.model(input_ids=fed, past_key_values=cache, use_cache=True).logits.float().cpu()
            logits = torch.cat([logits, rest], dim=1)  # [N, L, V]
        chosen = logits.log_softmax(-1).gather(-1, padded.unsqueeze(-1)).squeeze(-1)  # [N, L]
        return [float(chosen[n, : len(row)].mean()) for n, row in enumerate(rows)]

    def _check_length(self, prompt: list[int], how: Decoding) -> None:
        if len(prompt) + how.max_tokens > self.context:
            raise UserError(
                f"the prompt has {len(prompt)} tokens and the answer may have {how.max_tokens}, but the model reads "
                f"{self.context} in all: shorten the prompt or lower max_tokens"
            )

    def _defuse(self, text: str) -> str:
        """Split control tokens written in a text, so that data cannot end its turn and speak as another role."""
        for token in self.special:
            if len(token) > 1:
                text = text.replace(token, f"{token[0]} {token[1:]}")
        return text


def _check_time(writing: Writing) -> None:
    deadline = writing.how.deadline
    if deadline is not None and time.monotonic() > deadline:
        raise ModelTimeout(f"the model was stopped by its time limit after {len(writing.ids)} tokens")


def fresh_seed() -> int:
    """Return a seed from the operating system's entropy; torch's global state is left alone."""
    return torch.Generator().seed() % 2**31
