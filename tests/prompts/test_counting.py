"""Counting tokens: with the model's own tokenizer where it has one, never over the network."""

from __future__ import annotations

from gedanken.prompts import LocalChatModel, ScriptedChatModel
from gedanken.prompts.counting import counter


class Counting(ScriptedChatModel):
    fails: bool = False
    times: int = 0

    def get_num_tokens(self, text: str) -> int:
        self.times += 1
        if self.fails:
            raise OSError("no such tokenizer file")
        return len(text.split())


def test_a_model_counts_for_itself() -> None:
    assert counter(Counting())("one two three") == 3
    text = "expect door' == open if action == toggle"
    assert counter(LocalChatModel())(text) == LocalChatModel().get_num_tokens(text)


def test_without_a_tokenizer_characters_are_counted() -> None:
    assert counter(None)("12345678") == 2
    assert counter(ScriptedChatModel())("12345678") == 2    # LangChain's default would fetch another model's
    broken = Counting(fails=True)
    count = counter(broken)
    assert (count("12345678"), count("1234"), broken.times) == (2, 1, 1)
