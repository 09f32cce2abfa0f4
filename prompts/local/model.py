"""A chat model that runs in this process: offline by default, on a CPU, decoded under a grammar where one is given.

It is a LangChain `BaseChatModel` like any other; `batch` reads its prompts side by side. Beyond the common interface it
takes a `grammar` (GBNF text) as a call option, and offers `score`, the likelihood of given answers, `read`, what a
sentence means as rule lines, and `propose`, which rules are behind what surprised.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.globals import get_llm_cache
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import Field

from ...errors import UserError
from . import toolcalls
from .together import answer_together, groups, whole_message
from .weights import LOCAL, weights_stamp

if TYPE_CHECKING:
    from ..reader.items import Item
    from ..reader.reader import Say
    from ..translation import Reading
    from .decoding import Decoder
    from .writing import Decoding, Piece


class LocalChatModel(BaseChatModel):
    """A causal language model of this machine as a LangChain chat model.

    The weights are loaded on first use, and shared by every instance of the same model in the process. Call options
    (`invoke(messages, seed=3)`, or `bind`): `grammar`, `max_tokens`, `temperature`, `seed`, `timeout`. One seed gives
    one answer, bit for bit on one machine; without a seed a sampled answer differs every time.
    """

    is_free: ClassVar[bool] = True
    call_options: ClassVar[frozenset[str]] = frozenset({"grammar", "max_tokens", "temperature", "seed", "timeout"})

    model: str = "local"
    """ "local" (the embedded SmolLM2-135M-Instruct), a folder, or a name on the Hugging Face hub."""
    max_tokens: int = Field(default=256, gt=0)
    temperature: float = Field(default=0.0, ge=0)
    """0 takes the likeliest token each time."""
    stop: list[str] | None = None
    seed: int | None = None
    timeout: float | None = Field(default=None, gt=0)
    """Seconds for one answer; when they pass, `ModelTimeout` is raised between two tokens."""
    batch_size: int = Field(default=8, gt=0)
    """Prompts that are read side by side, at most."""
    device: str | None = None
    """Where torch shall compute; None leaves the weights where they are loaded."""
    dtype: str | None = None
    """Of the weights, as torch names it ("bfloat16"); None leaves them as they were saved."""
    quantization: dict[str, Any] | None = None
    """`{"quant_method": "torchao", ...}`: any that transformers has, with the settings of its configuration class."""
    device_map: str | dict[str, Any] | None = None
    """Where the parts of a large model shall be, as accelerate takes it ("auto")."""

    @property
    def _llm_type(self) -> str:
        return "gedanken-local"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        names = ("model", "max_tokens", "temperature", "stop", "seed", "timeout", "dtype", "quantization")
        return {name: getattr(self, name) for name in names} | {"weights": weights_stamp(self.model)}

    def score(
        self, prompt_messages: LanguageModelInput, continuations: Sequence[str], timeout: float | None = None
    ) -> list[float]:
        """Return the mean log-probability per token of each continuation as the answer to the prompt (<= 0).

        The end of the turn counts as a token, so that half an answer is not taken for a likely one. `timeout` is in
        seconds; None is that of the model.

        Raises:
            GedankenError: the model cannot be loaded, or the text does not fit its context.
        """
        decoder, deadline = self._decoder(), self._deadline({} if timeout is None else {"timeout": timeout})
        messages = self._convert_input(prompt_messages).to_messages()
        return decoder.score(decoder.encode(toolcalls.plain_messages(messages)), continuations, deadline)

    @property
    def can_read(self) -> bool:
        """Whether `read` is there: of the embedded model, with which a trained reader is shipped."""
        return self.model == LOCAL

    def read(self, sentence: str, items: Sequence[Item], say: Say, also: Sequence[str] = ()) -> list[Reading]:
        """Return what a sentence may mean in a world of these items, the likeliest first, with calibrated confidence.
        `say` puts rule lines into plain words, which are compared with the sentence; what it cannot is left out. The
        rule lines `also` are weighed as readings, too.

        Raises:
            GedankenError: the reader's weights are not installed.
        """
        from ..reader.reader import load_reader
        from ..translation import Reading

        found = load_reader().read(sentence, items, say, also)
        return [Reading("\n".join(heard.lines), heard.confidence) for heard in found]

    @property
    def can_propose(self) -> bool:
        """Whether `propose` is there: of the embedded model, where the weights trained for it are installed."""
        from ..reader import proposer

        return self.model == LOCAL and proposer.PROPOSER.is_file()

    def propose(self, surprise: str, items: Sequence[Item]) -> list[Reading]:
        """Return rule lines that may be behind a surprise in words (`world.surprises`), the likeliest first, with the
        probability that the network gives each.

        Raises:
            GedankenError: the weights are not installed.
        """
        from ..reader.proposer import proposed
        from ..translation import Reading

        found = proposed(surprise, items)
        return [Reading("\n".join(lines), math.exp(min(log_prob, 0.0))) for lines, log_prob in found]

    def get_num_tokens(self, text: str) -> int:
        """Return the number of tokens of a text."""
        return self._decoder().count(text)

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Offer tools to the model; its answer is then JSON by construction, and parsed into tool calls.

        `tool_choice`: a tool's name, "any" (or "required", True) for one of them, "none", or "auto" (or None) to leave
        the model the choice between a tool and plain text.

        Raises:
            UserError: `tool_choice` names no tool.
        """
        converted = [convert_to_openai_tool(tool) for tool in tools]
        toolcalls.check_choice(converted, tool_choice)
        return self.bind(tools=converted, tool_choice=tool_choice, **kwargs)

    def batch(
        self,
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[AIMessage]:
        """Answer prompts `batch_size` at a time, in one padded forward pass a token; the answers are those of `invoke`,
        but for near ties that rounding decides."""
        if len(inputs) < 2 or self.batch_size < 2 or self.cache or get_llm_cache() is not None:
            return super().batch(inputs, config, return_exceptions=return_exceptions, **kwargs)
        answers = answer_together(self, self._answers, inputs, config, **kwargs)
        if failures := [] if return_exceptions else [a for a in answers if isinstance(a, BaseException)]:
            raise failures[0]
        return answers  # type: ignore[return-value]

    async def abatch(
        self,
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[AIMessage]:
        """`batch`, in a thread."""
        return await asyncio.to_thread(self.batch, inputs, config, return_exceptions=return_exceptions, **kwargs)

    def _answers(
        self, prompts: list[list[BaseMessage]], stop: list[str] | None = None, **kwargs: Any
    ) -> list[AIMessage | Exception]:
        """A whole message for each prompt, or why there is none."""
        how, decoder = self._decoding(stop, kwargs), self._decoder()
        offered = toolcalls.offer(kwargs.get("tools") or [], kwargs.get("tool_choice"))
        grammar = self._grammar(decoder, kwargs.get("grammar"), offered)
        encoded = [decoder.encode(toolcalls.plain_messages(messages, offered)) for messages in prompts]
        answers: list[AIMessage | Exception | None] = [None] * len(prompts)
        for group in groups([len(ids) + how.max_tokens for ids in encoded], self.batch_size):
            pieces = decoder.generate_together([encoded[n] for n in group], how, grammar)
            for n, piece in zip(group, pieces, strict=True):
                answers[n] = piece if isinstance(piece, Exception) else whole_message(
                    self._message(piece.text, piece, offered, len(encoded[n]), how.seed)
                )
        return [answer for answer in answers if answer is not None]

    def _message(
        self, text: str, last: Piece, offered: toolcalls.Offer | None, prompt_tokens: int, seed: int
    ) -> AIMessageChunk:
        """The last chunk of an answer: `text` is all of it where tools are offered, for a tool call is whole or
        nothing."""
        message = AIMessageChunk(content=text) if offered is None else toolcalls.parse(text)
        message.response_metadata = {"model_name": self.model, "finish_reason": last.finish, "seed": seed}
        message.usage_metadata = UsageMetadata(
            input_tokens=prompt_tokens, output_tokens=last.tokens, total_tokens=prompt_tokens + last.tokens
        )
        message.chunk_position = "last"
        return message

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        chunks = list(self._stream(messages, stop, run_manager, **kwargs))
        whole = chunks[0]
        for chunk in chunks[1:]:
            whole += chunk
        assert isinstance(whole.message, AIMessageChunk)
        answer = whole_message(whole.message)
        return ChatResult(generations=[ChatGeneration(message=answer, generation_info=whole.generation_info)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        how = self._decoding(stop, kwargs)
        decoder = self._decoder()
        tools, choice = kwargs.get("tools") or [], kwargs.get("tool_choice")
        offered = toolcalls.offer(tools, choice)
        prompt = decoder.encode(toolcalls.plain_messages(messages, offered))
        grammar = self._grammar(decoder, kwargs.get("grammar"), offered)
        collected: list[str] = []
        for piece in decoder.generate(prompt, how, grammar):
            collected.append(piece.text)
            if piece.finish is not None:
                text = piece.text if offered is None else "".join(collected)
                message = self._message(text, piece, offered, len(prompt), how.seed)
            elif offered is None:
                message = AIMessageChunk(content=piece.text)
            else:
                continue
            chunk = ChatGenerationChunk(message=message)
            if run_manager:
                run_manager.on_llm_new_token(str(message.content), chunk=chunk)
            yield chunk

    def _decoder(self) -> Decoder:
        from .loading import load

        return load(self.model, self.device, self.dtype, self.quantization, self.device_map)

    def _decoding(self, stop: list[str] | None, options: dict[str, Any]) -> Decoding:
        """Merge a call's options with the fields."""
        from .decoding import fresh_seed
        from .writing import Decoding

        unknown = set(options) - self.call_options - {"tools", "tool_choice", "ls_structured_output_format", "stream"}
        if unknown:
            raise UserError(
                f"LocalChatModel has no call option {', '.join(map(repr, sorted(unknown)))}; "
                f"it has {', '.join(sorted(self.call_options))}"
            )
        seed = options.get("seed", self.seed)
        return Decoding(
            max_tokens=options.get("max_tokens", self.max_tokens),
            temperature=options.get("temperature", self.temperature),
            seed=fresh_seed() if seed is None else seed,
            stop=tuple(stop if stop is not None else self.stop or ()),
            deadline=self._deadline(options),
        )

    def _deadline(self, options: dict[str, Any]) -> float | None:
        timeout = options.get("timeout", self.timeout)
        return None if timeout is None else time.monotonic() + timeout

    def _grammar(self, decoder: Decoder, grammar: str | None, offered: toolcalls.Offer | None) -> Any:
        from .grammars import compile_grammar, compile_schema

        if grammar is not None and offered is not None:
            raise UserError("a call takes a grammar or tools, not both")
        if offered is not None:
            return compile_schema(decoder, offered.schema)
        return compile_grammar(decoder, grammar) if grammar is not None else None
