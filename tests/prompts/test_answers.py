"""Answers that would be the same again are kept in any LangChain cache."""

from typing import Any

import pytest
from langchain_core.caches import BaseCache, InMemoryCache

from gedanken.prompts import Gateway, GatewayConfig, LocalChatModel, ScriptedChatModel


def door(answers: Any, cache: BaseCache, name: str = "scripted", **config: Any) -> Gateway:
    return Gateway(ScriptedChatModel(answers=answers, model=name), GatewayConfig(**config), cache)


def test_a_likeliest_answer_is_asked_for_once_and_recorded_as_cached() -> None:
    cache = InMemoryCache()
    first = door(["one", "two"], cache, max_calls=1)
    assert [first.ask("x", "test", temperature=0.0) for _ in range(3)] == ["one"] * 3
    assert [(call.cached, call.tokens, call.money) for call in first.calls[1:]] == [(True, 0, 0.0)] * 2
    assert (first.usage.calls, first.usage.cached) == (1, 2)
    assert door([], cache).ask("x", "another process", temperature=0.0) == "one"


def test_the_key_is_model_and_prompt_and_options() -> None:
    cache = InMemoryCache()
    asked = door(["one", "two", "three", "four"], cache)
    assert asked.ask("x", "test", temperature=0.0) == "one"
    assert asked.ask([("system", "x")], "test", temperature=0.0) == "two"
    assert asked.ask("x", "test", temperature=0.0, stop=["y"]) == "three"
    assert asked.ask("x", "test", 'root ::= "a"', temperature=0.0) == "four"
    assert door(["other"], cache, name="other").ask("x", "test", temperature=0.0) == "other"


def test_two_models_that_differ_in_a_setting_of_their_own_share_no_answer() -> None:
    class Adapted(ScriptedChatModel):
        adapter: str

    cache = InMemoryCache()
    for adapter in ("a", "b"):
        asked = Gateway(Adapted(answers=[adapter], adapter=adapter), cache=cache)
        assert asked.ask("x", "test", temperature=0.0) == adapter


def test_a_sampled_answer_without_a_seed_is_not_kept() -> None:
    asked = door(["one", "two", "three", "four"], InMemoryCache())
    assert [asked.ask("x", "test") for _ in range(2)] == ["one", "two"]
    # The scripted model takes no seed, so that one makes no two answers alike.
    assert [asked.ask("x", "test", temperature=0.7, seed=1) for _ in range(2)] == ["three", "four"]


def test_a_seeded_answer_is_kept_of_a_model_that_takes_seeds(local: LocalChatModel) -> None:
    asked = Gateway(local, cache=InMemoryCache())
    seeds = [1, 2, 1]
    answers = [asked.ask("Say a word.", "test", temperature=1.0, seed=seed, max_tokens=3) for seed in seeds]
    assert answers[0] == answers[2]
    assert [call.cached for call in asked.calls] == [False, False, True]


def test_many_and_streamed_answers_are_kept_too() -> None:
    asked = door(["one", "two", "three"], InMemoryCache(), parallel=1)
    assert asked.ask_many(["a", "b"], "test", temperature=0.0) == ["one", "two"]
    assert asked.ask_many(["b", "c", "a"], "test", temperature=0.0) == ["two", "three", "one"]
    assert list(asked.stream("c", "test", temperature=0.0)) == ["three"]


def test_an_answer_with_a_secret_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOMEONES_API_KEY", "sesame-0123456789")
    cache = InMemoryCache()
    asked = door(["it is sesame-0123456789", "no", "yes"], cache)
    assert [asked.ask("x", "test", temperature=0.0) for _ in range(3)][1:] == ["no", "no"]
    assert "sesame" not in str(cache._cache)


def test_two_prompts_that_differ_in_a_secret_share_no_answer() -> None:
    asked = door(["one", "two"], InMemoryCache())
    keys = [f"read sk-{letter * 20}" for letter in "ab"]
    assert [asked.ask(key, "test", temperature=0.0) for key in keys] == ["one", "two"]


def test_a_model_that_answers_at_a_temperature_of_its_own_is_asked_anew() -> None:
    class Warm(ScriptedChatModel):
        temperature: float = 0.7

    asked = Gateway(Warm(answers=["one", "two"]), cache=InMemoryCache())
    assert [asked.ask("x", "test", temperature=0.0) for _ in range(2)] == ["one", "two"]


def test_a_broken_cache_is_passed_by(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(InMemoryCache):
        def lookup(self, prompt: str, llm_string: str) -> Any:
            raise OSError("disk")

        update = lookup  # type: ignore[assignment]

    assert door(["one"], Broken()).ask("x", "test", temperature=0.0) == "one"
    assert "cannot look into the cache" in caplog.text
