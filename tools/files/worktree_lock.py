"""Who may touch the worktree: many readers of files, or one command, never both. Owns the waiting order.

A command can replace a directory with a symlink between our check and our use of it, so no file tool runs while
one does. Turns are taken around the work itself, never around a question to a person or to a model.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class WorktreeLock:
    """A reader-writer lock of one event loop, first come, first served. Implements `core.context.ReadWriteLock`."""

    def __init__(self) -> None:
        self._holders: set[asyncio.Task[Any] | None] = set()
        self._gate = asyncio.Lock()
        """Where all wait in their order. Whoever wants to be alone keeps it closed, also while others still hold."""
        self._free = asyncio.Event()
        self._free.set()

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """A shared turn: for tools that read or write files.

        Raises:
            RuntimeError: The task already has a turn; a second one could wait for the first forever.
        """
        self._refuse_second()
        async with self._gate:
            pass
        with self._holding():
            yield

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """An exclusive turn: for whatever runs code of the repository.

        Raises:
            RuntimeError: The task has a turn already.
        """
        self._refuse_second()
        async with self._gate:
            await self._free.wait()
            with self._holding():
                yield

    def _refuse_second(self) -> None:
        if asyncio.current_task() in self._holders:
            raise RuntimeError("the worktree lock was requested while already held")

    @contextmanager
    def _holding(self) -> Iterator[None]:
        task = asyncio.current_task()
        self._holders.add(task)
        self._free.clear()
        try:
            yield
        finally:
            self._holders.remove(task)
            if not self._holders:
                self._free.set()


async def run_in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a blocking function in a thread; when cancelled, wait until it has finished.

    A thread cannot be stopped, and one that is still writing must not give up its turn.
    """
    working = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        while not working.done():
            try:
                await asyncio.wait({working})
            except asyncio.CancelledError:
                continue
        raise
