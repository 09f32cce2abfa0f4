"""Every call has a time limit, retries, a budget and a record."""

import asyncio
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from gedanken.errors import UserError
from gedanken.prompts import (
    AnswerIncomplete,
    BudgetSpent,
    Gateway,
    GatewayConfig,
    LocalChatModel,
    ModelTimeout,
    ModelUnavailable,
    ScriptedChatModel,
    translate,
)

KEY = "sesame-0123456789"


class Refused(Exception):
    def __init__(self, status_code: int) -> None:
        super().__init__(f"status {status_code}")
        self.status_code = status_code


def gateway(answers: Any, delay_s: float = 0.0, **config: Any) -> Gateway:
    return Gateway(ScriptedChatModel(answers=answers, delay_s=delay_s), GatewayConfig(backoff_s=0.01, **config))


def test_an_answer_is_returned_and_recorded() -> None:
    door = gateway(["yes"])
    assert door.ask([("system", "Be brief."), ("human", "Is it open?")], "test") == "yes"
    (call,) = door.calls
    assert (call.model, call.purpose, call.answer, call.error) == ("scripted", "test", "yes", None)
    assert call.prompt == "system: Be brief.\n\nhuman: Is it open?"
    assert call.tokens == 7
    assert call.seconds >= 0
    assert call.when.endswith("+00:00")


def test_without_a_model_only_new_text_fails() -> None:
    with pytest.raises(ModelUnavailable, match="everything but new text still works"):
        Gateway(None).ask("hello", "translate")


def test_a_time_limit_really_returns_and_the_late_answer_is_discarded() -> None:
    door = gateway(lambda messages: "late", delay_s=0.8, timeout_s=0.1)
    started = time.monotonic()
    with pytest.raises(ModelTimeout, match=r"no answer within 0\.1 s"):
        door.ask("hello", "test")
    assert time.monotonic() - started < 0.6
    time.sleep(0.9)
    assert [call.answer for call in door.calls] == [None]


def test_the_local_model_stops_by_itself_at_the_limit(local: LocalChatModel) -> None:
    local.invoke("warm")  # so that loading is not what the limit cuts
    door = Gateway(local, GatewayConfig(timeout_s=0.3))
    with pytest.raises(ModelTimeout):
        door.ask("Tell me a long story about doors and keys. " * 40, "test")
    deadline = time.monotonic() + 20  # a chunk of the prompt is read to its end
    while any(thread.name == "gedanken-model-call" for thread in threading.enumerate()):
        assert time.monotonic() < deadline


def test_passing_failures_are_asked_again() -> None:
    door = gateway([ConnectionError("gone"), Refused(429), "yes"])
    assert door.ask("hello", "test") == "yes"
    assert [call.error for call in door.calls] == ["ConnectionError: gone", "Refused: status 429", None]
    assert door.usage.calls == 3


def test_attempts_end() -> None:
    door = gateway([ConnectionError("gone")] * 5, attempts=2)
    with pytest.raises(ModelUnavailable, match=r"asked 2 times to test; ConnectionError: gone"):
        door.ask("hello", "test")
    assert len(door.calls) == 2


@pytest.mark.parametrize("failure", [Refused(401), TypeError("our own")])
def test_lasting_failures_are_not_asked_again(failure: Exception) -> None:
    door = gateway([failure, "yes"])
    with pytest.raises(ModelUnavailable, match="asked once"):
        door.ask("hello", "test")


def test_waiting_for_another_attempt_keeps_the_time_limit() -> None:
    door = Gateway(ScriptedChatModel(answers=[ConnectionError("gone")] * 3), GatewayConfig(timeout_s=0.2, backoff_s=9))
    started = time.monotonic()
    with pytest.raises(ModelUnavailable, match="asked once"):
        door.ask("hello", "test")
    assert time.monotonic() - started < 1


def test_a_budget_of_calls_and_of_tokens_holds() -> None:
    calls = gateway(["a", "b", "c"], max_calls=2)
    assert [calls.ask("x", "test"), calls.ask("x", "test")] == ["a", "b"]
    with pytest.raises(BudgetSpent, match="budget of 2 calls"):
        calls.ask("x", "test")
    tokens = gateway(["a" * 40, "b"], max_tokens=10)
    tokens.ask("x", "test")
    with pytest.raises(BudgetSpent, match="raise max_tokens"):
        tokens.ask("x", "test")
    assert tokens.usage.calls == 1


def test_threads_share_one_budget() -> None:
    door = gateway(lambda messages: "a", max_calls=5)
    spent: list[BaseException] = []

    def ask() -> None:
        try:
            door.ask("x", "test")
        except BudgetSpent as error:
            spent.append(error)

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (door.usage.calls, len(spent)) == (5, 7)


def test_calls_are_appended_to_a_file_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "calls.jsonl"
    for answer in ("один", "two\nlines"):
        gateway([answer], record_path=path).ask("x", "test")
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["answer"] for line in lines] == ["один", "two\nlines"]


def test_a_record_that_cannot_be_written_is_found_before_the_first_call(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot record calls in"):
        gateway(["a"], record_path=tmp_path)


def test_secrets_stay_out_of_records_files_and_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOMEONES_API_KEY", KEY)
    path = tmp_path / "calls.jsonl"
    failure = ConnectionError(f"key {KEY} refused, Bearer abcdefghijklmnop, sk-abcdefghijklmnopqrstu")
    door = gateway([f"your key is {KEY}", failure], record_path=path, attempts=1)
    assert KEY in door.ask(f"my key is {KEY}", "test")  # the caller's own answer is left as it is
    with pytest.raises(ModelUnavailable) as caught:
        door.ask("x", "test")
    everything = path.read_text() + str(door.calls) + str(caught.value)
    assert "[SOMEONES_API_KEY]" in everything
    for secret in (KEY, "abcdefghijklmnop"):
        assert secret not in everything
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_models_own_secret_field_is_redacted() -> None:
    class Hosted(ScriptedChatModel):
        api_key: SecretStr

    door = Gateway(Hosted(answers=["a"], api_key=SecretStr(KEY)))
    door.ask(KEY, "test")
    assert door.calls[0].prompt == "[api_key]"


def test_a_grammar_goes_only_to_models_that_take_one(local: LocalChatModel) -> None:
    assert gateway(["free text"]).ask("x", "test", grammar='root ::= "a"') == "free text"
    assert Gateway(local).ask("x", "test", grammar='root ::= "a"') == "a"


def test_an_answer_cut_in_the_middle_of_its_grammar_is_not_returned(local: LocalChatModel) -> None:
    with pytest.raises(AnswerIncomplete):
        Gateway(local).ask("x", "test", grammar='root ::= "one two three four five six seven"', max_tokens=2)


def test_a_broken_grammar_is_said_to_be_the_users(local: LocalChatModel) -> None:
    with pytest.raises(UserError, match="grammar"):
        Gateway(local).ask("x", "test", grammar="nonsense")


def test_scores_come_from_models_that_have_them(local: LocalChatModel) -> None:
    assert gateway([]).score("x", ["a"], "test") is None
    assert len(Gateway(local).score("x", ["a", "b"], "test") or []) == 2


def test_limits_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UserError, match="timeout_s, attempts must be positive"):
        GatewayConfig(timeout_s=0, attempts=0)


def test_many_are_answered_in_order_and_one_failure_loses_none() -> None:
    def answer(messages: list[Any]) -> str:
        text = messages[-1].text
        time.sleep(0.02 * (3 - int(text)))
        if text == "1":
            raise Refused(401)
        return f"answer {text}"

    answers = gateway(answer).ask_many(["0", "1", "2"], "test")
    assert answers[::2] == ["answer 0", "answer 2"]
    assert isinstance(answers[1], ModelUnavailable)
    assert "its key was refused" in str(answers[1])


def test_a_hosted_model_is_asked_side_by_side() -> None:
    started = time.monotonic()
    assert len(gateway(lambda messages: "a", delay_s=0.2).ask_many(["x"] * 8, "test")) == 8
    assert time.monotonic() - started < 0.8


def test_a_local_model_answers_a_batch_within_the_budget(local: LocalChatModel) -> None:
    door = Gateway(local, GatewayConfig(max_calls=2))
    answers = door.ask_many(["One?", "Two?", "Three?"], "test", 'root ::= "a"')
    assert answers[:2] == ["a", "a"]
    assert isinstance(answers[2], BudgetSpent)
    assert [call.answer for call in door.calls] == ["a", "a"]


def test_what_is_wrong_with_one_of_a_batch_stays_with_it(local: LocalChatModel) -> None:
    answers = Gateway(local).ask_many(["x", "word " * 9000], "test", 'root ::= "a"')
    assert answers[0] == "a"
    assert isinstance(answers[1], UserError)


def test_an_answer_streams_and_is_recorded_whole() -> None:
    door = gateway(["one two three"])
    pieces = list(door.stream("x", "test"))
    assert "".join(pieces) == "one two three" == door.calls[0].answer
    assert len(pieces) > 1


def test_a_stream_that_nobody_listens_to_is_recorded_as_far_as_it_came() -> None:
    door = gateway(["one two three"])
    pieces = door.stream("x", "test")
    assert next(pieces) == "one"
    pieces.close()
    assert [(call.answer, call.error) for call in door.calls] == [("one", None)]


def test_a_stream_ends_at_the_time_limit(local: LocalChatModel) -> None:
    door = Gateway(local, GatewayConfig(timeout_s=0.3))
    with pytest.raises(ModelTimeout):
        for _ in door.stream("Tell me a long story.", "test", max_tokens=500):
            pass
    assert "ModelTimeout" in (door.calls[0].error or "")


def test_a_failing_stream_is_said_and_recorded() -> None:
    door = gateway([Refused(500)])
    with pytest.raises(ModelUnavailable, match=r"it fails itself \(status 500\)") as caught:
        list(door.stream("x", "test"))
    assert caught.value.__context__ is None
    assert door.calls[0].error == "Refused: status 500"


def test_asking_asynchronously_leaves_the_loop_free() -> None:
    door = gateway(lambda messages: messages[-1].text, delay_s=0.2)

    async def ask() -> tuple[list[str], int]:
        tasks = [asyncio.create_task(door.aask(str(n), "test")) for n in range(10)]
        turns = 0
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0.01)
            turns += 1
        return [task.result() for task in tasks], turns

    answers, turns = asyncio.run(ask())
    assert answers == [str(n) for n in range(10)]
    assert turns >= 5
    assert asyncio.run(door.aask_many(["a", "b"], "test")) == ["a", "b"]
    assert asyncio.run(door.ascore("x", ["a"], "test")) is None


def test_a_provider_that_asks_to_wait_is_given_the_time() -> None:
    class Busy(Exception):
        status_code = 429

        def __init__(self, wait_s: str) -> None:
            super().__init__("busy")
            self.response = type("Response", (), {"headers": {"retry-after": wait_s}, "status_code": 429})()

    started = time.monotonic()
    assert gateway([Busy("0.3"), "yes"]).ask("x", "test") == "yes"
    assert time.monotonic() - started >= 0.3
    with pytest.raises(ModelUnavailable, match="it asks to wait 3600 s"):
        gateway([Busy("3600"), "yes"]).ask("x", "test")


def test_a_users_prompts_are_checked_before_the_first_call(tmp_path: Path) -> None:
    (tmp_path / "translat.txt").write_text("=== user\nhello")
    (tmp_path / "propose.txt").write_text("=== user\n{{shema}}")
    with pytest.raises(UserError) as caught:
        gateway([], prompts=tmp_path)
    assert "translat.txt: no prompt 'translat'; did you mean 'translate'?" in str(caught.value)
    assert "propose.txt:2: 'shema' is not declared" in str(caught.value)
    with pytest.raises(UserError, match="no folder of prompts"):
        gateway([], prompts=tmp_path / "nothing")


def test_a_users_prompt_is_what_is_asked(tmp_path: Path) -> None:
    header = "# version: 7\n# text schema: s\n# pairs examples: e\n# data sentence: s\n"
    (tmp_path / "translate.txt").write_text(header + "=== turns {{examples}}\n=== user\nMine: {{schema}} {{sentence}}")
    door = gateway(["expect x' == 1"], prompts=tmp_path)
    translate("odd", "schema", [], door, None)
    assert door.calls[0].prompt == 'human: Mine: schema "odd"'
    assert (door.calls[0].template or "").startswith("translate v7 ")
