"""What a hosted model's tokens cost: a table that the user gives, as a mapping or a small file. We know no price.

    # prices.toml, per million tokens, all in one currency of your choice
    ["openai:gpt-4o-mini"]
    input = 0.15
    output = 0.60
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import UserError, nearest

MILLION = 1_000_000


@dataclass(frozen=True)
class Price:
    """What a million tokens cost: of prompts (`input`) and of answers (`output`), in any one currency."""

    input: float
    output: float

    def __post_init__(self) -> None:
        if wrong := [name for name in ("input", "output") if not _is_amount(getattr(self, name))]:
            raise UserError(f"Price: {' and '.join(wrong)} must be a number of at least 0")

    def of(self, prompt_tokens: int, answer_tokens: int) -> float:
        """The cost of one call."""
        return (self.input * prompt_tokens + self.output * answer_tokens) / MILLION


Prices = Mapping[str, Price] | str | Path


def price_for(model: Any, name: str, prices: Prices | None, is_needed: bool) -> Price | None:
    """The price of a model by its name, or by '<provider>:<name>'; a model of this machine is free unless the table
    says otherwise. None where it is not known.

    Raises:
        UserError: the file cannot be read, with every mistake in it; or the price is needed and not known.
    """
    table = read_prices(prices) if isinstance(prices, str | Path) else prices or {}
    named = {key.partition(":")[2]: price for key, price in table.items()} | dict(table)
    if name in named:
        return named[name]
    if model is None or getattr(model, "is_free", False):
        return Price(0.0, 0.0)
    if is_needed:
        raise UserError(
            f"money is limited (max_money), and what '{name}' costs is not known{nearest(name, named)}; give it as "
            f"GatewayConfig(prices={{'{name}': Price(input=..., output=...)}}), per million tokens, or name a file "
            "of prices there"
        )
    return None


def read_prices(path: str | Path) -> dict[str, Price]:
    """Read a table of prices.

    Raises:
        UserError: the file cannot be read; every mistake in it is named.
    """
    try:
        data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{path}: not a table of prices: {getattr(error, 'strerror', None) or error}") from error
    mistakes = [mistake for model, entry in data.items() for mistake in _mistakes(model, entry)]
    if mistakes:
        raise UserError("\n".join(f"{path}: {mistake}" for mistake in mistakes))
    return {model: Price(**entry) for model, entry in data.items()}


def _mistakes(model: str, entry: Any) -> list[str]:
    known = ("input", "output")
    if not isinstance(entry, dict):
        return [f"'{model}' stands outside a table; write [\"provider:model\"], then input = ... and output = ..."]
    found = [f"[{model}] has no '{name}'" for name in known if name not in entry]
    found += [f"[{model}] knows no '{name}'{nearest(name, known)}" for name in entry if name not in known]
    return found + [
        f"[{model}] {name} = {entry[name]!r} is not a number of at least 0"
        for name in known
        if name in entry and not _is_amount(entry[name])
    ]


def _is_amount(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf
