"""Hosted models through LangChain's own packages, against a server that speaks their wire formats."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gedanken.errors import UserError
from gedanken.prompts import BudgetSpent, Gateway, GatewayConfig, ModelTimeout, ModelUnavailable, Price, chat_model

from .hosting import Reply, Server, serving

pytest.importorskip("langchain_openai")
pytest.importorskip("langchain_anthropic")
KEY = "sk-test-0123456789abcdefghij"
SAID = ("memory.db", "rules.json", "rules.txt", "journal.jsonl")  # keep what the person said


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.port}/v1")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", f"http://127.0.0.1:{server.port}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        yield server


@pytest.fixture(params=["openai:gpt-some", "anthropic:claude-some"])
def spec(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def door(spec: str, timeout_s: float = 5.0, **config: Any) -> Gateway:
    return Gateway(chat_model(spec, timeout_s), GatewayConfig(timeout_s=timeout_s, backoff_s=0.01, **config))


def test_a_hosted_model_answers_counts_and_costs(server: Server, spec: str) -> None:
    asked = door(spec, prices={spec: Price(input=2.0, output=10.0)}, max_money=100e-6)
    assert asked.ask([("system", "Be brief."), ("human", "Is it open?")], "test") == "yes"
    assert asked.calls[0].tokens == 14
    assert asked.usage.money == pytest.approx(11 * 2e-6 + 3 * 10e-6)
    asked.ask("x", "test")
    with pytest.raises(BudgetSpent):
        asked.ask("x", "test")
    assert len(server.requests) == 2
    assert KEY in server.keys[0]


def test_it_streams_and_answers_many(server: Server, spec: str) -> None:
    server.replies = [Reply("one two three")]
    asked = door(spec)
    pieces = list(asked.stream("x", "test"))
    assert "".join(pieces) == "one two three" == asked.calls[0].answer
    assert len([piece for piece in pieces if piece]) > 1
    assert asked.ask_many(["a", "b", "c"], "test") == ["one two three"] * 3


@pytest.mark.parametrize(
    ("status", "words", "times"),
    [
        (400, "it does not take this request", 1),
        (401, "its key was refused: check the key in the environment", 1),
        (404, "there is no such model", 1),
        (429, "too many requests, or its quota is used up", 3),
        (500, "it fails itself", 3),
        (529, "it fails itself", 3),
    ],
)
def test_a_refusal_is_said_in_our_words(server: Server, spec: str, status: int, words: str, times: int) -> None:
    server.replies = [Reply(status=status)]
    asked = door(spec)
    with pytest.raises(ModelUnavailable, match=words) as caught:
        asked.ask("x", "test")
    assert f"status {status}" in str(caught.value)
    assert len(server.requests) == times  # the provider's own client does not retry on top
    assert asked.usage.tokens == 0
    everything = str(caught.value) + str(asked.calls)
    assert KEY not in everything
    assert "sk-live" not in everything


def test_a_provider_that_asks_to_wait_is_given_the_time(server: Server, spec: str) -> None:
    server.replies = [Reply(status=429, headers={"Retry-After": "0.4"}), Reply("later")]
    started = time.monotonic()
    assert door(spec).ask("x", "test") == "later"
    assert time.monotonic() - started >= 0.4
    server.replies = [Reply(status=429, headers={"Retry-After": "60"})]
    with pytest.raises(ModelUnavailable, match="it asks to wait 60 s"):
        door(spec).ask("x", "test")


def test_a_passing_failure_is_asked_again(server: Server, spec: str) -> None:
    server.replies = [Reply(status=500), Reply(status=503), Reply("at last")]
    assert door(spec).ask("x", "test") == "at last"


def test_a_silent_provider_ends_at_the_time_limit(server: Server, spec: str) -> None:
    server.replies = [Reply(delay_s=1.5)]
    started = time.monotonic()
    with pytest.raises(ModelTimeout):
        door(spec, timeout_s=0.3).ask("x", "test")
    assert time.monotonic() - started < 1.2


@pytest.mark.parametrize("body", [b"<html>Welcome</html>", b"{}", b"", b'{"choices": 3, "content": 3}', b"\xff\xfe"])
def test_garbage_is_no_answer(server: Server, spec: str, body: bytes) -> None:
    server.replies = [Reply(body=body)]
    with pytest.raises(ModelUnavailable, match="its answer is not one that can be read"):
        door(spec).ask("x", "test")
    assert len(server.requests) == 1


def test_a_server_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch, server: Server, spec: str) -> None:
    for name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(ModelUnavailable, match="asked 3 times"):
        door(spec).ask("x", "test")


def test_a_missing_key_is_named_and_an_empty_one_too(monkeypatch: pytest.MonkeyPatch, spec: str) -> None:
    name = f"{spec.partition(':')[0].upper()}_API_KEY"
    monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match=f"needs a key: set {name}"):
        chat_model(spec)
    monkeypatch.setenv(name, "  ")
    with pytest.raises(UserError, match=f"needs a key: set {name}"):
        chat_model(spec)


def test_a_missing_package_and_an_unknown_provider_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"did you mean 'anthropic'"):
        chat_model("antropic:claude-some")
    with pytest.raises(UserError, match="langchain-mistralai"):
        chat_model("mistralai:mistral-some")


def test_a_key_is_nowhere_but_in_the_request(
    server: Server, spec: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import gymnasium

    from gedanken import Agent

    server.replies = [Reply(f"expect what? {KEY}"), Reply(status=401)]
    caplog.set_level(logging.DEBUG, "gedanken")
    agent = Agent(gymnasium.make("CartPole-v1"), llm=spec, model="none", memory=tmp_path / "memory.db")
    agent.tell(f"Never go far, says {KEY}.")
    agent.tell("Never go near.")
    agent.save(tmp_path)
    shown = repr(agent.mind.knowledge.gateway) + repr(agent.config) + caplog.text
    agent.close()
    for path in [*tmp_path.iterdir()]:
        if path.name not in SAID:
            assert KEY.encode() not in path.read_bytes(), path
    assert KEY not in shown
    assert "_api_key]" in (tmp_path / "calls.jsonl").read_text().lower()
