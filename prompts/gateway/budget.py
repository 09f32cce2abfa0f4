"""What calls to a language model may cost, and what they did cost."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from ..failures import BudgetSpent
from .prices import Price


@dataclass(frozen=True)
class Usage:
    """What a gateway has used up. Cached answers cost nothing, and are counted apart."""

    calls: int = 0
    tokens: int = 0
    money: float = 0.0
    """In the currency of the prices; calls of a model without a price add nothing."""
    cached: int = 0


class Budget:
    """Grants calls until something is spent. Safe to share between threads.

    A call under way counts by its prompt, so that calls side by side do not all pass on the last token; what is granted
    can be exceeded by the answers under way, never by another call.
    """

    def __init__(
        self, max_calls: int | None, max_tokens: int | None, max_money: float | None, price: Price | None
    ) -> None:
        self.max_calls, self.max_tokens, self.max_money, self.price = max_calls, max_tokens, max_money, price
        self._used = Usage()
        self._under_way = 0  # tokens of prompts
        self._lock = threading.Lock()

    @property
    def usage(self) -> Usage:
        """What is used up so far."""
        with self._lock:
            return self._used

    def begin(self, prompt_tokens: int) -> None:
        """Grant one call, which must be ended.

        Raises:
            BudgetSpent: saying what is spent.
        """
        with self._lock:
            used, waiting = self._used, self._under_way
            pending = self.money(waiting, 0) or 0.0
            for spent, granted, unit in (
                (used.calls, self.max_calls, "calls"),
                (used.tokens + waiting, self.max_tokens, "tokens"),
                (used.money + pending, self.max_money, "money"),
            ):
                if granted is not None and spent >= granted:
                    raise BudgetSpent(
                        f"the budget of {granted:,} {unit} to language models is spent ({round(spent, 6):,} used): "
                        f"raise max_{unit}; everything but new text still works"
                    )
            self._used = replace(used, calls=used.calls + 1)
            self._under_way += prompt_tokens

    def end(self, reserved: int, prompt_tokens: int, answer_tokens: int) -> float | None:
        """Book what a call used in truth; returns what it cost, None where that is not known."""
        money = self.money(prompt_tokens, answer_tokens)
        with self._lock:
            self._under_way -= reserved
            used = self._used
            tokens = used.tokens + prompt_tokens + answer_tokens
            self._used = replace(used, tokens=tokens, money=used.money + (money or 0.0))
        return money

    def cached(self) -> None:
        """Count an answer that cost nothing."""
        with self._lock:
            self._used = replace(self._used, cached=self._used.cached + 1)

    def money(self, prompt_tokens: int, answer_tokens: int) -> float | None:
        """What so many tokens cost; None where the price is not known."""
        return None if self.price is None else self.price.of(prompt_tokens, answer_tokens)
