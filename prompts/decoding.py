"""A causal language model as the chat models here use it: encode, generate under a grammar, score.

Weights are loaded once a process and shared. Decoding is our own loop and not transformers' `generate`, so that a
time limit, a stop text or a closed stream ends it between two tokens, and so that sampling draws from an explicit
`torch.Generator`. A prompt is always read in chunks of 128 tokens; what was read of the last prompts is kept, so
that a question that begins like an earlier one (same schema, same examples) is answered sooner, and bit for bit
the same as without.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from ..errors import GedankenError, UserError
from .failures import ModelTimeout
from .prefixes import PrefixCache
from .weights import LOCAL, resolve

PLAIN_CHAT = (
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)
SCORE_BATCH = 8
_loading = threading.Lock()


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


def load(name: str, device: str | None = None) -> Decoder:
    """Return the decoder of a model ("local", a folder, or a hub name), loaded once a process.

    Raises:
        GedankenError: the model cannot be found or loaded.
    """
    with _loading:
        return _load(name, device)


@lru_cache(maxsize=4)
def _load(name: str, device: str | None) -> Decoder:
    place = resolve(name)
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        with _quiet():
            tokenizer = AutoTokenizer.from_pretrained(place, local_files_only=name == LOCAL)
            model = AutoModelForCausalLM.from_pretrained(place, dtype="auto", local_files_only=name == LOCAL)
    except (OSError, ValueError, ImportError) as error:
        raise GedankenError(
            f"cannot load the language model '{name}': {str(error).strip()}; give a folder that holds a causal model, "
            "its name on the Hugging Face hub, or 'local' for the embedded one"
        ) from error
    if tokenizer.chat_template is None:
        tokenizer.chat_template = PLAIN_CHAT
    return Decoder(model.to(device) if device else model, tokenizer)


@contextmanager
def _quiet() -> Iterator[None]:
    """Spare the user a progress bar for what takes a fraction of a second."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


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

    def generate(self, prompt: list[int], how: Decoding, grammar: Any = None) -> Iterator[Piece]:
        """Yield the answer piece by piece; `grammar` is a compiled grammar (see `grammars`) that it must obey.

        Raises:
            UserError: the prompt and the answer do not fit the model's context.
            ModelTimeout: the deadline passed.
        """
        if len(prompt) + how.max_tokens > self.context:
            raise UserError(
                f"the prompt has {len(prompt)} tokens and the answer may have {how.max_tokens}, but the model reads "
                f"{self.context} in all: shorten the prompt or lower max_tokens"
            )
        rng = torch.Generator().manual_seed(how.seed)
        matcher = grammar.matcher() if grammar is not None else None
        logits, cache = self.prefixes.read(prompt, how.deadline)
        ids: list[int] = []
        shown, held = "", max((len(stop) for stop in how.stop), default=1) - 1
        finish = "length"
        while len(ids) < how.max_tokens:
            if how.deadline is not None and time.monotonic() > how.deadline:
                raise ModelTimeout(f"the model was stopped by its time limit after {len(ids)} tokens")
            token = self._choose(matcher.mask(logits) if matcher else logits, how.temperature, rng)
            if token in self.ends:
                finish = "stop"
                break
            ids.append(token)
            text = self._text(ids)
            cuts = [at for stop in how.stop if (at := text.find(stop, len(shown))) >= 0]  # none begins in what is shown
            if cuts:
                yield Piece(text[len(shown) : min(cuts)], len(ids), "stop")
                return
            if matcher and matcher.accept(token):
                finish = "stop"
                break
            ready = text[: len(text) - held]
            if len(ready) > len(shown) and not ready.endswith("\ufffd"):
                yield Piece(ready[len(shown) :], len(ids))
                shown = ready
            if len(ids) < how.max_tokens:
                logits, cache = self.prefixes.step(token, cache)
        yield Piece(self._text(ids)[len(shown) :], len(ids), finish)

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

    def _choose(self, logits: torch.Tensor, temperature: float, rng: torch.Generator) -> int:
        if temperature <= 0:
            return int(logits.argmax())
        return int(torch.multinomial((logits / temperature).softmax(-1), 1, generator=rng))

    def _text(self, ids: list[int]) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def _defuse(self, text: str) -> str:
        """Split control tokens written in a text, so that data cannot end its turn and speak as another role."""
        for token in self.special:
            if len(token) > 1:
                text = text.replace(token, f"{token[0]} {token[1:]}")
        return text


def fresh_seed() -> int:
    """Return a seed from the operating system's entropy; torch's global state is left alone."""
    return torch.Generator().seed() % 2**31
