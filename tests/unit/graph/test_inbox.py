import asyncio
import sys
from pathlib import Path

import aiosqlite

from core.storage.database import Database
from graph.store.inbox import SqliteInbox


async def test_rows_come_back_in_order_behind_the_cursor(tmp_path: Path) -> None:
    inbox = SqliteInbox(Database(tmp_path / "db"), "a")
    ids = [await inbox.put("a", kind="guidance", author="user", text=str(n)) for n in range(3)]
    await inbox.put("b", kind="guidance", author="user", text="for another thread")

    assert ids == sorted(ids)
    assert [item.text for item in await inbox.after(0)] == ["0", "1", "2"]
    assert [item.text for item in await inbox.after(ids[0])] == ["1", "2"]
    assert await inbox.last_id() == ids[-1]


async def test_reading_marks_nothing(tmp_path: Path) -> None:
    inbox = SqliteInbox(Database(tmp_path / "db"), "a")
    await inbox.put("a", kind="replan", author="api", text="x", payload={"urgent": True, "steps": ["s1"]})

    first, second = await inbox.after(0), await inbox.after(0)

    assert first == second
    assert first[0].payload == {"urgent": True, "steps": ["s1"]}


async def test_a_kept_connection_sees_rows_of_other_processes(tmp_path: Path) -> None:
    database = tmp_path / "db"
    program = (
        "import asyncio, sys; from pathlib import Path\n"
        "from core.storage.database import Database; from graph.store.inbox import SqliteInbox\n"
        "async def main():\n"
        "    inbox = SqliteInbox(Database(Path(sys.argv[1])), 'a')\n"
        "    for n in range(20): await inbox.put('a', kind='guidance', author=sys.argv[2], text=str(n))\n"
        "asyncio.run(main())"
    )
    async with Database(database) as kept:
        inbox = SqliteInbox(kept, "a")
        writers = [
            await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(database), name)
            for name in ("one", "two")
        ]
        seen: list[int] = []
        while any(writer.returncode is None for writer in writers) or len(seen) < 40:
            seen += [item.id for item in await inbox.after(seen[-1] if seen else 0)]
            await asyncio.wait({asyncio.create_task(writer.wait()) for writer in writers}, timeout=0.01)
        items = await inbox.after(0)

    assert seen == [item.id for item in items]
    for name in ("one", "two"):
        assert [int(item.text) for item in items if item.author == name] == list(range(20))


async def test_ids_are_never_used_twice(tmp_path: Path) -> None:
    """A cursor in an old checkpoint must never point before a new row, even after rows are deleted with a thread."""
    inbox = SqliteInbox(Database(tmp_path / "db"), "a")
    first = await inbox.put("a", kind="guidance", author="user", text="x")
    async with aiosqlite.connect(tmp_path / "db") as db:
        await db.execute("DELETE FROM inbox")
        await db.commit()

    assert await inbox.put("a", kind="guidance", author="user", text="y") > first
