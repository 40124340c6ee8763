"""Who may touch the worktree at one time."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from tools.files.worktree_lock import WorktreeLock, run_in_thread

Take = Callable[[], AbstractAsyncContextManager[None]]


class Bench:
    """Tasks that hold a turn until they are told to end, and the order in which they got it."""

    def __init__(self) -> None:
        self.turns = WorktreeLock()
        self.got: list[str] = []
        self.ends: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self, name: str, take: Take) -> None:
        self.ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._hold(name, take))
        await asyncio.sleep(0.001)

    async def _hold(self, name: str, take: Take) -> None:
        async with take():
            self.got.append(name)
            await self.ends[name].wait()

    async def end(self, name: str) -> None:
        self.ends[name].set()
        await self.tasks[name]
        await asyncio.sleep(0.001)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    for task in made.tasks.values():
        task.cancel()
    await asyncio.gather(*made.tasks.values(), return_exceptions=True)


async def test_files_are_read_side_by_side_and_a_command_runs_alone(bench) -> None:
    await bench.start("read 1", bench.turns.shared)
    await bench.start("read 2", bench.turns.shared)
    await bench.start("command", bench.turns.exclusive)
    await bench.start("read 3", bench.turns.shared)
    assert bench.got == ["read 1", "read 2"]
    await bench.end("read 1")
    assert bench.got == ["read 1", "read 2"]
    await bench.end("read 2")
    assert bench.got == ["read 1", "read 2", "command"]
    await bench.end("command")
    assert bench.got[-1] == "read 3"


async def test_commands_run_one_after_another(bench) -> None:
    for name in ("a", "b", "c"):
        await bench.start(name, bench.turns.exclusive)
    for name in ("a", "b", "c"):
        assert bench.got[-1] == name
        await bench.end(name)


async def test_who_is_cancelled_while_waiting_leaves_the_way_free(bench) -> None:
    await bench.start("read 1", bench.turns.shared)
    await bench.start("command", bench.turns.exclusive)
    await bench.start("read 2", bench.turns.shared)
    bench.tasks["command"].cancel()
    await asyncio.sleep(0.001)
    assert bench.got == ["read 1", "read 2"]


async def test_who_is_cancelled_at_the_moment_of_his_turn_gives_it_back(bench) -> None:
    await bench.start("first", bench.turns.exclusive)
    await bench.start("second", bench.turns.exclusive)
    await bench.start("third", bench.turns.exclusive)
    bench.ends["first"].set()
    # The first ends in the next pass of the loop and hands over; the second is cancelled before it wakes up.
    await asyncio.sleep(0)
    assert bench.got == ["first"]
    bench.tasks["second"].cancel()
    await asyncio.sleep(0.001)
    assert bench.got == ["first", "third"]


async def test_a_turn_inside_a_turn_is_an_error_and_not_a_deadlock(bench) -> None:
    async with bench.turns.shared():
        with pytest.raises(RuntimeError, match="while already held"):
            async with bench.turns.exclusive():
                pass
    async with bench.turns.exclusive():
        pass


async def test_a_failure_ends_the_turn(bench) -> None:
    @asynccontextmanager
    async def failing() -> AsyncIterator[None]:
        async with bench.turns.exclusive():
            raise OSError
        yield

    with pytest.raises(OSError):
        async with failing():
            pass
    await bench.start("next", bench.turns.exclusive)
    assert bench.got == ["next"]


async def test_a_thread_that_still_works_is_waited_for() -> None:
    begun, go, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go.wait(5)
        ended.set()

    task = asyncio.create_task(run_in_thread(work))
    await asyncio.to_thread(begun.wait, 5)
    task.cancel()
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.sleep(0.01)
    assert not task.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
