"""Choosing a chat model by text."""

import pytest

from gedanken.errors import UserError
from gedanken.prompts import LocalChatModel, ScriptedChatModel, chat_model


def test_a_spec_names_a_chat_model() -> None:
    assert chat_model(None) is None
    local = chat_model("local")
    assert isinstance(local, LocalChatModel)
    assert local.model == "local"
    other = chat_model("local:HuggingFaceTB/SmolLM2-360M-Instruct")
    assert isinstance(other, LocalChatModel)
    assert other.model == "HuggingFaceTB/SmolLM2-360M-Instruct"
    scripted = ScriptedChatModel()
    assert chat_model(scripted) is scripted


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("lokal", "did you mean 'local'"),
        ("gpt-4o", "'<provider>:<model>'"),
        ("", "names no chat model"),
        ("local:", "names no chat model"),
        (":x", "names no chat model"),
        (3, "not int"),
    ],
)
def test_a_text_that_names_none_is_answered_with_the_forms(spec: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        chat_model(spec)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "langchain.chat_models", None)
    with pytest.raises(UserError, match=r"pip install langchain langchain-openai"):
        chat_model("openai:gpt-4o-mini")
    with pytest.raises(UserError, match="did you mean 'openai'"):
        chat_model("opanai:gpt-4o-mini")
