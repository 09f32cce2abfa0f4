"""LangChain's `batch` for a model that answers several prompts at once: each has a run of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManager, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import get_config_list

BATCH_TOKENS = 16_384
"""0.75 GB of keys and values for the embedded model."""


def answer_together(
    model: BaseChatModel,
    answer: Callable[..., list[AIMessage | Exception]],
    inputs: Sequence[LanguageModelInput],
    config: RunnableConfig | list[RunnableConfig] | None,
    stop: list[str] | None = None,
    **kwargs: Any,
) -> list[AIMessage | Exception]:
    """Return `answer(prompts, stop, **kwargs)` on the messages of all inputs, and tell their callbacks."""
    prompts = [model._convert_input(each).to_messages() for each in inputs]
    params = model._get_invocation_params(stop=stop, **kwargs)
    runs: list[CallbackManagerForLLMRun] = []
    for prompt, own in zip(prompts, get_config_list(config, len(inputs)), strict=True):
        manager = CallbackManager.configure(
            own.get("callbacks"), model.callbacks, model.verbose,
            own.get("tags"), model.tags, own.get("metadata"), model.metadata,
        )  # fmt: skip
        runs += manager.on_chat_model_start(
            model._serialized, [prompt], invocation_params=params, options={"stop": stop}, name=own.get("run_name"),
            run_id=own.get("run_id"), batch_size=len(inputs),
        )  # fmt: skip
    try:
        answers = answer(prompts, stop, **kwargs)
    except BaseException as error:
        for run in runs:
            run.on_llm_error(error)
        raise
    for run, each in zip(runs, answers, strict=True):
        if isinstance(each, Exception):
            run.on_llm_error(each)
        else:
            each.id = each.id or f"run-{run.run_id}-0"
            run.on_llm_end(LLMResult(generations=[[ChatGeneration(message=each)]]))
    return answers


def groups(lengths: Sequence[int], size: int, tokens: int = BATCH_TOKENS) -> Iterator[list[int]]:
    """Which prompts to read side by side, by their number: of like lengths, for the less to pad, at most `size` of them
    and `tokens` in all, padding included."""
    group: list[int] = []
    for n in sorted(range(len(lengths)), key=lambda n: lengths[n]):
        if group and (len(group) == size or lengths[n] * (len(group) + 1) > tokens):
            yield group
            group = []
        group.append(n)
    if group:
        yield group


def whole_message(chunk: AIMessageChunk) -> AIMessage:
    """The message that a whole chunk is."""
    return AIMessage(
        content=chunk.content,
        tool_calls=chunk.tool_calls,
        invalid_tool_calls=chunk.invalid_tool_calls,
        usage_metadata=chunk.usage_metadata,
        response_metadata=chunk.response_metadata,
    )
