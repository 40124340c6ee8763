import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import aiosqlite
import pytest

from core.errors import Exit, LockedError
from core.storage.database import Database
from graph.store.lease import Lease, live_holder

HOLD = (
    "import asyncio, sys; from pathlib import Path\n"
    "from core.storage.database import Database; from graph.store.lease import Lease\n"
    "async def main():\n"
    "    async with Lease(Database(Path(sys.argv[1])), 't'):\n"
    "        print('held', flush=True)\n"
    "        await asyncio.sleep(60)\n"
    "asyncio.run(main())"
)


async def hold(database: Path) -> asyncio.subprocess.Process:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLD, str(database), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    assert await child.stdout.readline() == b"held\n"
    return child


async def change(database: Path, assignment: str, *values: object) -> None:
    async with aiosqlite.connect(database) as db:
        await db.execute(f"UPDATE leases SET {assignment}", values)
        await db.commit()


async def test_a_living_process_keeps_others_out_until_it_is_killed(tmp_path: Path) -> None:
    database = tmp_path / "db"
    child = await hold(database)
    with pytest.raises(LockedError, match=f"process {child.pid} on .* since 20") as caught:
        async with Lease(Database(database), "t"):
            pass
    assert caught.value.exit_code == Exit.LOCKED == 75
    held = await live_holder(Database(database), "t")
    assert held is not None
    assert held.pid == child.pid

    child.send_signal(signal.SIGKILL)
    await child.wait()

    assert await live_holder(Database(database), "t") is None
    async with Lease(Database(database), "t") as lease:
        assert lease.generation == 2


async def test_another_thread_is_free(tmp_path: Path) -> None:
    async with Lease(Database(tmp_path / "db"), "a"), Lease(Database(tmp_path / "db"), "b") as other:
        assert other.generation == 1


async def test_the_same_process_cannot_drive_a_thread_twice(tmp_path: Path) -> None:
    async with Lease(Database(tmp_path / "db"), "t"):
        with pytest.raises(LockedError, match=str(os.getpid())):
            async with Lease(Database(tmp_path / "db"), "t"):
                pass
    async with Lease(Database(tmp_path / "db"), "t") as again:
        assert again.generation == 2


async def test_a_pid_that_was_given_out_again_holds_nothing(tmp_path: Path) -> None:
    async with Lease(Database(tmp_path / "db"), "t"):
        pass
    await change(tmp_path / "db", "released = 0, process_started = process_started - 100")
    async with Lease(Database(tmp_path / "db"), "t") as lease:
        assert lease.generation == 2


@pytest.mark.parametrize(("age_s", "free"), [(59.0, False), (61.0, True)])
async def test_elsewhere_the_heartbeat_decides(tmp_path: Path, age_s: float, free: bool) -> None:
    async with Lease(Database(tmp_path / "db"), "t"):
        pass
    await change(tmp_path / "db", "released = 0, host = 'far away', heartbeat = ?", time.time() - age_s)
    if free:
        async with Lease(Database(tmp_path / "db"), "t") as lease:
            assert lease.generation == 2
    else:
        with pytest.raises(LockedError, match="on far since"):
            async with Lease(Database(tmp_path / "db"), "t"):
                pass


async def test_who_was_taken_over_stops(tmp_path: Path) -> None:
    stopped: list[bool] = []

    async def drive() -> None:
        async with Lease(Database(tmp_path / "db"), "t", heartbeat_s=0.05):
            try:  # the heartbeat may see the change before this task goes on
                await change(tmp_path / "db", "generation = generation + 1, pid = 1, host = 'elsewhere'")
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                stopped.append(True)
                raise

    with pytest.raises(LockedError, match="has been running in process 1 on elsewhere"):
        await drive()
    assert stopped


async def test_the_heartbeat_beats(tmp_path: Path) -> None:
    async with Lease(Database(tmp_path / "db"), "t", heartbeat_s=0.05):
        before = after = await live_holder(Database(tmp_path / "db"), "t")
        assert before is not None
        while after is not None and after.heartbeat == before.heartbeat:
            after = await live_holder(Database(tmp_path / "db"), "t")
    assert after is not None
    assert after.heartbeat > before.heartbeat


async def test_of_many_that_start_at_once_one_wins(tmp_path: Path) -> None:
    children = await asyncio.gather(
        *(
            asyncio.create_subprocess_exec(
                sys.executable, "-c", HOLD.replace("sleep(60)", "sleep(3)"), str(tmp_path / "db"),
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )
            for _ in range(4)
        )
    )  # fmt: skip
    outputs = [await child.communicate() for child in children]
    assert sum(out == b"held\n" for out, _ in outputs) == 1
    assert sum(b"LockedError" in error for _, error in outputs) == 3
