"""Grammars that a language model's answer must obey, compiled by xgrammar for a model's vocabulary.

A grammar is text in GBNF (`root ::= "yes" | "no"`), or a JSON schema. Compiling takes from milliseconds to a
second, so compiled grammars are kept with the decoder's model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ...errors import UserError

if TYPE_CHECKING:
    import torch

    from .decoding import Decoder


def quoted(text: str) -> str:
    """Return a GBNF terminal that matches exactly this text."""
    return json.dumps(text, ensure_ascii=False)


def one_of(texts: Iterable[str]) -> str:
    """Return a grammar whose language is these texts."""
    return "root ::= " + " | ".join(quoted(text) for text in texts)


def from_schema(schema: Mapping[str, Any]) -> str:
    """Return the grammar of the compact JSON of a JSON schema.

    Raises:
        UserError: the schema cannot be turned into a grammar.
    """
    return _from_schema(json.dumps(schema))


@lru_cache(maxsize=64)
def _from_schema(schema: str) -> str:
    import xgrammar

    try:
        return str(xgrammar.Grammar.from_json_schema(schema, any_whitespace=False))
    except (RuntimeError, ValueError) as error:
        raise UserError(f"the JSON schema cannot be made a grammar: {_first_line(error)}") from error


@lru_cache(maxsize=64)
def compile_grammar(decoder: Decoder, text: str) -> Grammar:
    """Compile a GBNF grammar, whose first rule is `root`, for a decoder's vocabulary.

    Raises:
        UserError: the text is not a grammar.
    """
    try:
        return Grammar(_compiler(decoder).compile_grammar(text))
    except (RuntimeError, ValueError) as error:
        raise UserError(f"the grammar cannot be compiled: {_first_line(error)}") from error


def compile_schema(decoder: Decoder, schema: Mapping[str, Any]) -> Grammar:
    """Compile a JSON schema, for answers that are compact JSON of that schema.

    Raises:
        UserError: the schema cannot be turned into a grammar.
    """
    return _compile_schema(decoder, json.dumps(schema))


@lru_cache(maxsize=64)
def _compile_schema(decoder: Decoder, schema: str) -> Grammar:
    try:
        return Grammar(_compiler(decoder).compile_json_schema(schema, any_whitespace=False))
    except (RuntimeError, ValueError) as error:
        raise UserError(f"the JSON schema cannot be made a grammar: {_first_line(error)}") from error


@lru_cache(maxsize=4)
def _compiler(decoder: Decoder) -> Any:
    import xgrammar

    info = xgrammar.TokenizerInfo.from_huggingface(
        decoder.tokenizer, vocab_size=decoder.vocabulary, stop_token_ids=decoder.ends
    )
    return xgrammar.GrammarCompiler(info, max_threads=1)


def _first_line(error: Exception) -> str:
    return re.sub(r"^\[[^\]]*\]\s*\S+:\d+:\s*", "", str(error).strip()).splitlines()[0]


class Grammar:
    """A compiled grammar; `matcher()` follows one answer through it."""

    def __init__(self, compiled: Any) -> None:
        self.compiled = compiled

    def matcher(self) -> Matcher:
        """Return a matcher at the beginning of an answer."""
        return Matcher(self.compiled)


class Matcher:
    """Where one answer stands in its grammar."""

    def __init__(self, compiled: Any) -> None:
        import xgrammar

        self._matcher = xgrammar.GrammarMatcher(compiled)
        self._mask = xgrammar.allocate_token_bitmask(1, compiled.tokenizer_info.vocab_size)

    def mask(self, logits: torch.Tensor) -> torch.Tensor:
        """Return a copy of the logits `[V]`, -inf where the grammar does not go on with that token."""
        import xgrammar

        self._matcher.fill_next_token_bitmask(self._mask)
        masked = logits.clone().unsqueeze(0)
        xgrammar.apply_token_bitmask_inplace(masked, self._mask)
        return masked[0]

    def accept(self, token: int) -> bool:
        """Take one token; return whether the answer can only end here."""
        self._matcher.accept_token(token)
        return bool(self._matcher.is_terminated())
