"""The command `supervise`: the supervisor in a separate process, for threads running in other processes."""

import argparse
import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import ThreadError, UsageError
from core.storage.thread_ids import short_id
from rolecall.invocation import Invocation
from rolecall.output.display import Display, Screen
from rolecall.output.warnings import warn
from rolecall.service.lookup import (
    ThreadRequest,
    as_it_stands,
    found,
    is_driven,
    record_of,
    settings_for,
    store_of,
    top_of,
)
from rolecall.thread_options import asked, repo_of

if TYPE_CHECKING:
    from core.config.settings import Settings
    from core.threads import ThreadRow

_LOOK_FOR_THREADS_S = 2.0


def supervise(options: argparse.Namespace, invocation: Invocation) -> int:
    """Watch threads until they end or are no longer running, or until Ctrl-C."""
    if options.all == bool(options.threads):
        raise UsageError("give the threads to supervise, or --all")
    if options.all and options.wait:
        raise UsageError("--all waits for threads anyway; leave out --wait")
    return asyncio.run(_supervise(options, invocation))


async def _supervise(options: argparse.Namespace, invocation: Invocation) -> int:
    repo = repo_of(options)
    top = await top_of(repo)
    loaded = await settings_for(asked(options), top, warn)
    named = [(await found(ThreadRequest(repo=repo, thread=word), invocation.about))[1] for word in options.threads]
    invocation.resumable = False
    watch = _Round(top, loaded.settings, wait=options.wait)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, watch.stop.set)
    try:
        await (watch.all() if options.all else watch.threads([row.thread_id for row in named]))
    except ThreadError:
        invocation.next_command = invocation.on_thread("supervise", "--wait")
        raise
    return 0


class _Round:
    """Supervises threads in parallel."""

    def __init__(self, top: Path, settings: "Settings", *, wait: bool) -> None:
        self.stop = asyncio.Event()
        self._top, self._settings, self._wait = top, settings, wait

    async def threads(self, wanted: list[str]) -> None:
        """Supervise these until none is running; the fault of one leaves the others as they are.

        Raises:
            RolecallError: The error of the first one that could not be supervised, once all have ended.
        """
        ended = await asyncio.gather(*map(self._named, wanted), return_exceptions=True)
        faults = [fault for fault in ended if isinstance(fault, BaseException)]
        for thread, fault in zip(wanted, ended, strict=True):
            if isinstance(fault, Exception) and fault is not faults[0]:
                _tell(thread, fault)
        if faults:
            raise faults[0]

    async def all(self) -> None:
        """Supervise all running threads until told to stop; one that cannot be supervised is reported and skipped."""
        from graph.supervisor.supervise import rest

        store = await store_of(self._top)
        under_way: dict[str, asyncio.Task[bool]] = {}
        async with asyncio.TaskGroup() as group:
            while not self.stop.is_set():
                for row in await store.list():
                    if (
                        row.thread_id not in under_way
                        and not row.finished
                        and await is_driven(self._top, row.thread_id)
                    ):
                        under_way[row.thread_id] = group.create_task(self._guarded(row.thread_id))
                # What could not be supervised stays there: the same error is not reported repeatedly.
                under_way = {name: task for name, task in under_way.items() if not (task.done() and task.result())}
                await rest(self.stop, _LOOK_FOR_THREADS_S)

    async def _guarded(self, thread: str) -> bool:
        """Supervise one thread; returns whether that went well."""
        try:
            await self._one(thread)
        except Exception as fault:  # noqa: BLE001 - told, whatever it is: the other threads go on
            _tell(thread, fault)
            return False
        return True

    async def _named(self, thread: str) -> None:
        short, row = short_id(thread), await self._row(thread)
        if not (self._wait or row.finished or await is_driven(self._top, thread)):
            raise ThreadError(
                f"{short} is not running ({row.status}), so there is nothing to supervise",
                hint=f"run `rolecall resume {short}`, or wait for it with `rolecall supervise --wait {short}`",
            )
        await self._one(thread)

    async def _one(self, thread: str) -> None:
        from core.storage.database import database_of
        from graph.runner import open_graph
        from graph.store.event_log import EventLog
        from graph.supervisor.supervise import supervise as watch_over
        from llm_registry.registry import open_registry

        short, database = short_id(thread), database_of(self._top)
        print(f"supervising {short}", file=sys.stderr)
        display = Display(Screen(plain=True))
        async with AsyncExitStack() as stack:
            log = await asyncio.to_thread(EventLog, thread, record_of(self._top, thread), display.listen)
            events = stack.enter_context(log)
            opening = open_registry(self._settings, thread_id=thread, database=database, events=events)
            models = await stack.enter_async_context(opening)
            graph = await stack.enter_async_context(open_graph(self._settings, database))
            stop = asyncio.Event()
            leaving = asyncio.create_task(self._leave(thread, stop), name=f"leave {short}")
            stack.callback(leaving.cancel)
            await watch_over(
                thread,
                database=database,
                graph=graph,
                models=models,
                settings=self._settings,
                events=events,
                stop=stop,
            )
            if leaving.done():
                leaving.result()
        row = await self._row(thread)
        stopped = f"is no longer running ({row.status})"
        print(f"{short} {'no longer needs supervision' if row.finished else stopped}", file=sys.stderr)

    async def _row(self, thread: str) -> "ThreadRow":
        return await as_it_stands(await (await store_of(self._top)).find(thread), self._top)

    async def _leave(self, thread: str, stop: asyncio.Event) -> None:
        """Set `stop` once nobody runs the thread, or all is to stop."""
        from graph.supervisor.supervise import rest

        try:
            while not self.stop.is_set() and (self._wait or await is_driven(self._top, thread)):
                await rest(self.stop, _LOOK_FOR_THREADS_S)
        finally:
            stop.set()


def _tell(thread: str, fault: Exception) -> None:
    print(f"warning: {short_id(thread)} is not supervised: {fault}", file=sys.stderr)
