"""Who may touch the worktree: many readers of files, or one command, never both. Owns the waiting order.

A command can replace a directory with a symlink between our check and our use of it, so no file tool runs while
one does. Turns are taken around the work itself, never around a question to a person or to a model.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class WorktreeLock:
    """A reader-writer lock of one event loop, first come, first served. Implements `core.context.ReadWriteLock`."""

    def __init__(self) -> None:
        self._holders: dict[asyncio.Task[Any], bool] = {}
        """Who holds the lock, and whether exclusively."""
        self._waiting: deque[tuple[asyncio.Future[None], asyncio.Task[Any], bool]] = deque()

    def shared(self) -> AbstractAsyncContextManager[None]:
        """A shared turn: for tools that read or write files.

        Raises:
            RuntimeError: The task has a turn already; a second one could wait for the first for ever.
        """
        return self._turn(alone=False)

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        """An exclusive turn: for whatever runs code of the repository.

        Raises:
            RuntimeError: The task has a turn already.
        """
        return self._turn(alone=True)

    @asynccontextmanager
    async def _turn(self, *, alone: bool) -> AsyncIterator[None]:
        task = asyncio.current_task()
        assert task is not None
        if task in self._holders:
            raise RuntimeError("the worktree lock was requested while already held")
        if self._waiting or not self._is_free(alone=alone):
            await self._wait(task, alone=alone)
        else:
            self._holders[task] = alone
        try:
            yield
        finally:
            self._release(task)

    async def _wait(self, task: asyncio.Task[Any], *, alone: bool) -> None:
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (granted, task, alone)
        self._waiting.append(entry)
        try:
            await granted
        except asyncio.CancelledError:
            if entry in self._waiting:
                self._waiting.remove(entry)
            self._release(task)
            raise

    def _release(self, task: asyncio.Task[Any]) -> None:
        self._holders.pop(task, None)
        while self._waiting and self._is_free(alone=self._waiting[0][2]):
            granted, next_one, alone = self._waiting.popleft()
            self._holders[next_one] = alone
            if not granted.done():
                granted.set_result(None)

    def _is_free(self, *, alone: bool) -> bool:
        return not self._holders if alone else not any(self._holders.values())


async def run_in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a blocking function in a thread; when cancelled, wait until it has come to its end.

    A thread cannot be stopped, and one that still writes must not give its turn away.
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
