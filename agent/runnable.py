"""The agent as a LangChain `Runnable`: `agent.invoke("pick up the key")`, in chains and in LangGraph's nodes.

An instruction is a goal for one run: it is understood as anything told is, pursued instead of the standing goals, and
forgotten afterwards. What is not understood as a goal is asked about, and nothing is done. An agent has one body: runs
take turns, a batch is played in order, and a stream that is left half read ends when another run begins.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Generator, Iterator
from typing import TYPE_CHECKING, Any, cast

from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import get_config_list

from ..errors import UserError
from .errand import Event, Reply, run, task_of

if TYPE_CHECKING:
    from .agent import Agent


class Instructed(Runnable[Any, Any]):
    """An agent that takes instructions. Input: a text, a message, or a `Task`; output: a `Reply`; a stream gives a
    `Moment` a step, and the `Reply` last."""

    _turn: threading.RLock
    _under_way: Generator[Event, None, None] | None

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Reply:
        """Follow an instruction for one episode. Raises `UserError` for a task that cannot be one."""
        return cast(Reply, self._call_with_config(self._whole, input, config, **kwargs))

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Reply:
        """`invoke` in a thread: the loop goes on meanwhile."""

        async def whole(given: Any) -> Reply:
            return await asyncio.to_thread(self._whole, given)

        return cast(Reply, await self._acall_with_config(whole, input, config, **kwargs))

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Event]:
        """`invoke`, step by step."""
        yield from self._transform_stream_with_config(iter([input]), self._parts, config, **kwargs)

    async def astream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> AsyncIterator[Event]:
        """`stream`, each step in a thread."""

        async def given() -> AsyncIterator[Any]:
            yield input

        async for event in self._atransform_stream_with_config(given(), self._aparts, config, **kwargs):
            yield event

    def batch(
        self, inputs: list[Any], config: Any = None, *, return_exceptions: bool = False, **kwargs: Any | None
    ) -> list[Any]:
        """`invoke` for each input, in order."""
        replies: list[Any] = []
        for given, one in zip(inputs, get_config_list(config, len(inputs)), strict=True):
            try:
                replies.append(self.invoke(given, one, **kwargs))
            except Exception as error:
                if not return_exceptions:
                    raise
                replies.append(error)
        return replies

    async def abatch(
        self, inputs: list[Any], config: Any = None, *, return_exceptions: bool = False, **kwargs: Any | None
    ) -> list[Any]:
        """`batch` in a thread."""
        return await asyncio.to_thread(self.batch, inputs, config, return_exceptions=return_exceptions, **kwargs)

    # --- one run --------------------------------------------------------------------------------------------------

    def _whole(self, given: Any) -> Reply:
        with self._turn:
            *_, reply = self._begin(given)
        return cast(Reply, reply)

    def _parts(self, inputs: Iterator[Any]) -> Iterator[Event]:
        *_, given = inputs
        events = self._begin(given)
        try:
            while (event := self._next(events)) is not None:
                yield event
        finally:
            self._end(events)

    async def _aparts(self, inputs: AsyncIterator[Any]) -> AsyncIterator[Event]:
        given = [one async for one in inputs][-1]
        events = await asyncio.to_thread(self._begin, given)
        try:
            while (event := await asyncio.to_thread(self._next, events)) is not None:
                yield event
        finally:
            await asyncio.to_thread(self._end, events)

    def _begin(self, given: Any) -> Generator[Event, None, None]:
        events = run(cast("Agent", self), task_of(given))
        with self._turn:
            if self._under_way is not None:
                self._under_way.close()
            self._under_way = events
        return events

    def _next(self, events: Generator[Event, None, None]) -> Event | None:
        with self._turn:
            if events is not self._under_way:
                raise UserError("another run of this agent began and ended this stream; read it to its end first")
            return next(events, None)

    def _end(self, events: Generator[Event, None, None]) -> None:
        with self._turn:
            events.close()
