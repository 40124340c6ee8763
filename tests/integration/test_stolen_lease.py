"""A driver that was stopped past its lease wakes up beside the one that took its thread over."""

import asyncio
import os
import signal
import sqlite3
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import aiosqlite
import pytest

from core.errors import LockedError
from core.redaction import Redactor
from core.storage.database import Database
from core.storage.thread_ids import short_id
from core.threads import ThreadRow
from graph.store.checkpoints import open_checkpoints
from graph.store.lease import Lease, fence_records
from graph.store.started_calls import SqliteStartedCalls
from graph.store.thread_store import ThreadStore
from llm_registry.records.call_log import CallLog, CallRow
from llm_registry.records.tracing import Trace
from llm_registry.records.wall_clock import WallClock

THREAD = "0f4b2d1e-7c1a-4a6b-9d3e-5a1f0c2b3d4e"
DRIVE = """
import asyncio, sys
from pathlib import Path
from core.storage.database import Database
from graph.store.checkpoints import CheckpointWriter, open_checkpoints
from graph.store.inbox import SqliteInbox
from graph.store.lease import Lease
from graph.store.thread_store import ThreadStore
from tests.steering.world import Heard, Speaker, build, context_of, works

async def main(database, thread):
    async with Lease(database, thread) as lease:
        try:
            async with open_checkpoints(database, driver=CheckpointWriter(thread, lease.generation)) as saver:
                graph = build(Speaker(speak=works(10_000), latency=0.01)).compile(checkpointer=saver)
                context = context_of(thread, SqliteInbox(database, thread), Heard())
                config = {"configurable": {"thread_id": thread}}
                async for _ in graph.astream({"task": "work"}, config, context=context, durability="sync"):
                    print("part", flush=True)
        finally:
            kept = await ThreadStore(database).set_status(thread, "interrupted", generation=lease.generation)
            print(f"recorded {kept}", flush=True)

asyncio.run(main(Database(Path(sys.argv[1])), sys.argv[2]))
"""


async def rows(database: Path, query: str) -> list[tuple[object, ...]]:
    async with aiosqlite.connect(database) as db, db.execute(query) as found:
        return [tuple(row) for row in await found.fetchall()]


async def test_the_stale_driver_writes_neither_checkpoints_nor_status(tmp_path: Path) -> None:
    database = tmp_path / "db"
    await ThreadStore(Database(database)).create(ThreadRow(
        thread_id=THREAD, task="work", repo=tmp_path, branch=f"rolecall/{short_id(THREAD)}", status="running",
        created=0, updated=0,
    ))  # fmt: skip
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DRIVE, str(database), THREAD, cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        while not database.is_file() or len(await written(database)) < 10:
            await asyncio.sleep(0.05)
        await stop_between_writes(child.pid, database)
        async with aiosqlite.connect(database) as db:  # as seen from another machine, a minute later
            await db.execute("UPDATE leases SET host = 'elsewhere', heartbeat = heartbeat - 100")
            await db.commit()
        async with Lease(Database(database), THREAD):
            await ThreadStore(Database(database)).set_status(THREAD, "running")
            before = await written(database)
            os.kill(child.pid, signal.SIGCONT)
            out, err = await child.communicate()
            assert await written(database) == before
    finally:
        if child.returncode is None:
            child.kill()
    assert b"LockedError" in err
    assert b"recorded False" in out
    assert await rows(database, "SELECT status FROM threads") == [("running",)]


async def stop_between_writes(pid: int, database: Path) -> None:
    """Stop a process where it holds no lock; stopped within a transaction it would keep everybody else out."""
    while True:
        os.kill(pid, signal.SIGSTOP)
        async with aiosqlite.connect(database, timeout=0.2) as db:
            with suppress(sqlite3.OperationalError):  # locked
                await db.execute("BEGIN IMMEDIATE")
                await db.rollback()
                return
        os.kill(pid, signal.SIGCONT)
        await asyncio.sleep(0.02)


async def test_the_stale_driver_records_nothing_new_and_leaves_as_locked(tmp_path: Path) -> None:
    call = CallRow(role="coder", spec="s", provider="p", outcome="ok", total_s=0.1, thread=THREAD)

    async def drive() -> None:
        async with Database(tmp_path / "db") as database, Lease(database, THREAD) as lease:
            await fence_records(database, THREAD, lease.generation)
            log, clock = CallLog(database), WallClock(database, THREAD)
            started = SqliteStartedCalls(database, THREAD)
            async with Trace(database, THREAD, redactor=Redactor()).run():
                await log.record(call)
                await Database(tmp_path / "db").write("DELETE FROM leases")  # its thread was deleted meanwhile
                await log.record(replace(call, thread="other"))
                for write in (clock.seconds(), started.begin("c1", "run")):
                    with pytest.raises(sqlite3.IntegrityError):
                        await write
                await log.record(call)

    with pytest.raises(LockedError, match="is gone"):
        await drive()
    assert await rows(tmp_path / "db", "SELECT thread FROM calls ORDER BY id") == [(THREAD,), ("other",)]
    assert await rows(tmp_path / "db", "SELECT outcome FROM spans") == [("IntegrityError",)]
    for table in ("run_spans", "started_calls"):
        assert await rows(tmp_path / "db", f"SELECT count(*) FROM {table}") == [(0,)]


async def written(database: Path) -> list[tuple[object, ...]]:
    tables = await rows(database, "SELECT name FROM sqlite_master WHERE name IN ('checkpoints', 'writes')")
    if len(tables) < 2:
        return []
    query = "SELECT checkpoint_ns, checkpoint_id, '' FROM {} UNION SELECT checkpoint_ns, checkpoint_id, task_id FROM {}"
    return sorted(await rows(database, query.format("checkpoints", "writes")))


async def test_who_only_reads_is_not_fenced_in(tmp_path: Path) -> None:
    async with open_checkpoints(Database(tmp_path / "db")) as saver:
        found = await saver.conn.execute_fetchall("SELECT count(*) FROM temp.sqlite_master WHERE type = 'trigger'")
    assert [tuple(row) for row in found] == [(0,)]
