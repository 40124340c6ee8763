"""Runs the stream of a graph that users and the supervisor may pause or interrupt; leases are handled elsewhere.

A pause stops at the next step; a model call in flight is cancelled immediately, because it can be repeated; anything
else has until a deadline. An urgent message cancels the model call in flight and continues from the last checkpoint.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphDrained
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import RunControl

from core.context import Context, InboxItem
from core.errors import Exit, RolecallError
from graph.drive.in_flight import ActivityTracker
from graph.store.inbox import SqliteInbox

POLL_S = 0.2
GRACE_S = 0.3
"""Time a model call in flight gets to finish by itself when a pause arrives."""
DEADLINE_S = 30.0
"""Time a tool gets to finish by itself; then it is cancelled, and called again on resume if it is repeatable."""

_SIGNALS = frozenset({"SIGTERM", "SIGHUP"})
"""Authors of pauses that end a run with 143."""

Graph = CompiledStateGraph[Any, Context, Any, Any]


class PausedError(RolecallError):
    """The run stopped on request; it can be resumed from there."""

    code = "paused"
    exit_code = Exit.INTERRUPTED


@dataclass(frozen=True, slots=True)
class _Halt:
    reason: str
    deadline_s: float
    by_system: bool = False
    """A system signal asked for it, not a person."""


async def interruptible_stream(
    graph: Graph,
    inp: Any,
    config: RunnableConfig,
    *,
    context: Context,
    inbox: SqliteInbox,
    since: int | None = None,
) -> AsyncGenerator[Any, None]:
    """Stream the parts of a run (`tasks` and `updates`, subgraphs included, format v2).

    Args:
        graph: Compiled with a checkpointer.
        inp: The input, a `Command`, or `None` to continue from the last checkpoint.
        config: With the thread id.
        context: Its events should be an `ActivityTracker` that the model registry also emits to; without one, a
            pause waits for the end of a step even when only a model call is in flight, and urgent messages wait too.
        inbox: Where orders arrive.
        since: Orders up to this id were answered by starting the run; by default all there are at this call.

    Raises:
        PausedError: A pause ended the run.
    """
    streaming = _Streaming(graph, config, context, inbox)
    streaming.seen = await inbox.last_id() if since is None else since
    try:
        async for part in streaming.parts(inp):
            yield part
    finally:
        await streaming.close()


class _Streaming:
    """One run of a graph, split into several streams by urgent messages."""

    def __init__(self, graph: Graph, config: RunnableConfig, context: Context, inbox: SqliteInbox) -> None:
        self._graph, self._config, self._context = graph, config, context
        self._inbox = inbox
        self._activity = context.events if isinstance(context.events, ActivityTracker) else None
        self._queue: asyncio.Queue[Any] = asyncio.Queue()
        self._pump: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._control = RunControl()
        self._halt: _Halt | None = None
        self._again = False
        self.seen = 0
        """Id of the last inbox row processed."""

    async def parts(self, inp: Any) -> AsyncIterator[Any]:
        """Yield parts until the run ends or is paused."""
        self._watcher = asyncio.create_task(self._watch(), name="orders")
        while True:
            self._again, self._control = False, RunControl()
            if self._activity is not None:
                self._activity.reset()  # what a question or a stop cut off never said that it ended
            self._pump = asyncio.create_task(self._run(inp), name="graph")
            while (part := await self._queue.get()) is not _END:
                yield part
            if not await self._goes_on():
                return
            if self._halt is not None:
                raise self._paused()
            inp = await self._entry(inp)

    async def close(self) -> None:
        """End what is still running; errors of an abandoned stream are dropped."""
        for task in (self._watcher, self._pump):
            if task is not None and not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            if task is not None and task is self._watcher and not task.cancelled():
                task.result()

    async def _run(self, inp: Any) -> None:
        try:
            stream = self._graph.astream(
                inp,
                self._config,
                context=self._context,
                stream_mode=["tasks", "updates"],
                subgraphs=True,
                version="v2",
                durability="sync",
                control=self._control,
            )
            async for part in stream:
                self._queue.put_nowait(part)
        finally:
            self._queue.put_nowait(_END)

    async def _goes_on(self) -> bool:
        """Whether another stream must follow the one that just ended."""
        assert self._pump is not None
        try:
            await self._pump
        except GraphDrained as drained:
            raise self._paused() from drained
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            if self._halt is not None:
                raise self._paused() from None
            if self._again:
                return True
            raise
        return False

    async def _entry(self, inp: Any) -> Any:
        """What continues a cancelled stream: the last checkpoint, if there is one yet."""
        return None if (await self._graph.aget_state(self._config)).created_at else inp

    def _paused(self) -> PausedError:
        reason = self._halt.reason if self._halt else "the run was asked to stop"
        error = PausedError(reason, hint=f"resume it with `rolecall resume {self._context.thread_id}`")
        if self._halt and self._halt.by_system:
            error.exit_code = Exit.TERMINATED
        return error

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            try:
                items = await self._inbox.after(self.seen)
            except sqlite3.OperationalError as error:
                self._context.events.emit("warning", message=f"the inbox could not be read, trying again: {error}")
                continue
            self.seen = items[-1].id if items else self.seen
            if (halt := self._halt_in(items)) is not None:
                self._halt = halt
                await self._bring_to_halt(halt)
                return
            urgent = [item.id for item in items if item.payload.get("urgent")]
            if urgent:
                self._break_in(urgent[-1])

    def _halt_in(self, items: list[InboxItem]) -> _Halt | None:
        orders = [item for item in items if item.kind in ("pause", "resume")]
        if not orders or orders[-1].kind == "resume":
            return None
        order = orders[-1]
        words = f": {order.text}" if order.text else ""
        deadline_s, by_system = _seconds(order.payload.get("deadline_s")), order.author in _SIGNALS
        return _Halt(f"paused by {order.author}{words}", deadline_s, by_system)

    async def _bring_to_halt(self, halt: _Halt) -> None:
        self._control.request_drain(halt.reason)
        clock = asyncio.get_running_loop()
        begin = clock.time()
        while self._pump is not None and not self._pump.done():
            waited = clock.time() - begin
            if waited > halt.deadline_s or (waited > GRACE_S and self._calling()):
                self._pump.cancel()
                return
            await asyncio.wait({self._pump}, timeout=0.1)

    def _break_in(self, urgent: int) -> None:
        if self._pump is None or self._activity is None or not self._calling():
            return  # the next model call sees it; a tool would only run twice
        if self._activity.delivered >= urgent:
            return
        self._again = True
        self._pump.cancel()

    def _calling(self) -> bool:
        return self._activity is not None and self._activity.calling


_END = object()


def _seconds(value: Any) -> float:
    """A deadline as some program wrote it; an invalid one gives the default, because a pause must never fail."""
    return float(value) if isinstance(value, int | float) and value >= 0 else DEADLINE_S
