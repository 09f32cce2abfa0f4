"""Prices, and budgets in tokens and money."""

from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel

from gedanken.errors import GedankenError, UserError
from gedanken.prompts import BudgetSpent, Gateway, GatewayConfig, Price, ScriptedChatModel

CHEAP = Price(input=1.0, output=4.0)


def door(answers: Any, **config: Any) -> Gateway:
    return Gateway(ScriptedChatModel(answers=answers), GatewayConfig(backoff_s=0.01, **config))


def test_a_call_costs_what_the_table_says() -> None:
    asked = door(["a" * 40], prices={"openai:scripted": CHEAP})
    asked.ask("x" * 400, "test")
    assert asked.calls[0].money == pytest.approx(100 * 1.0e-6 + 10 * 4.0e-6)
    assert asked.usage.money == asked.calls[0].money


def test_a_budget_of_money_ends_calls() -> None:
    asked = door(["a" * 40] * 3, prices={"scripted": CHEAP}, max_money=20e-6)
    asked.ask("x", "test")
    with pytest.raises(BudgetSpent, match="raise max_money"):
        asked.ask("x", "test") and asked.ask("x", "test") and asked.ask("x", "test")
    assert 20e-6 <= asked.usage.money < 100e-6


def test_a_hosted_model_of_unknown_price_is_refused_where_money_is_limited() -> None:
    hosted = FakeListChatModel(responses=["a"])
    with pytest.raises(UserError, match=r"what 'FakeListChatModel' costs is not known.*Price\(input="):
        Gateway(hosted, GatewayConfig(max_money=1.0))
    unlimited = Gateway(hosted)
    unlimited.ask("x", "test")
    assert unlimited.calls[0].money is None


def test_models_of_this_machine_are_free() -> None:
    asked = door(["a"], max_money=0.01)
    asked.ask("x", "test")
    assert asked.calls[0].money == 0.0


def test_calls_side_by_side_do_not_pass_on_the_last_token() -> None:
    asked = door(lambda messages: "a", max_tokens=10, parallel=8)
    answers = asked.ask_many(["x" * 40] * 8, "test")
    assert sum(isinstance(answer, str) for answer in answers) == 1
    assert all(isinstance(answer, BudgetSpent) for answer in answers if isinstance(answer, GedankenError))


def test_what_a_provider_refuses_costs_nothing() -> None:
    class Refused(Exception):
        status_code = 429

    asked = door([Refused("slow down"), "a"], prices={"scripted": CHEAP})
    asked.ask("x" * 400, "test")
    assert [call.tokens for call in asked.calls] == [0, 101]


def test_a_file_of_prices_is_read(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text('["acme:scripted"]\ninput = 2\noutput = 8.0\n')
    asked = door(["a"], prices=path)
    asked.ask("x" * 4_000_000, "test")
    assert asked.usage.money == pytest.approx(2.0, abs=1e-4)


def test_every_mistake_in_a_file_of_prices_is_named(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text('loose = 3\n["a:b"]\ninput = -1\noutpt = 2\n["c:d"]\ninput = true\noutput = nan\n')
    with pytest.raises(UserError) as caught:
        door([], prices=path)
    text = str(caught.value)
    assert text.count(str(path)) == len(text.splitlines()) == 6
    assert "'loose' stands outside a table" in text
    assert "[a:b] knows no 'outpt'; did you mean 'output'?" in text
    assert "[c:d] output = nan is not a number" in text


def test_a_file_that_is_no_table_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text("[[[")
    with pytest.raises(UserError, match="line 1"):
        door([], prices=str(path))


@pytest.mark.parametrize("amount", [-1.0, float("nan"), float("inf")])
def test_a_price_is_a_number(amount: float) -> None:
    with pytest.raises(UserError, match="input must be a number"):
        Price(input=amount, output=1.0)


def test_a_budget_that_is_no_number_is_refused() -> None:
    with pytest.raises(UserError, match="max_money must be positive"):
        GatewayConfig(max_money=float("nan"))
