import asyncio
from pathlib import Path
from typing import Any

from core.storage.database import Database
from graph.store.inbox import SqliteInbox
from graph.store.receipts import read_receipts
from tests.steering.world import Heard, Speaker, build, context_of, opened, works

CONFIG: Any = {"configurable": {"thread_id": "t"}}


async def test_a_row_is_queued_then_seen_inside_then_held_by_a_checkpoint(tmp_path: Path) -> None:
    database = tmp_path / "db"
    inbox = SqliteInbox(Database(database), "t")
    speaker = Speaker(speak=works(1), latency=0.4)
    async with opened(build(speaker), database) as graph, opened(build(speaker), database) as reader:

        async def now() -> list[tuple[str, str, bool]]:
            made = await read_receipts(reader, "t", await inbox.after(0))
            return [(receipt.status, receipt.node, bool(receipt.checkpoint)) for receipt in made]

        await inbox.put("t", kind="guidance", author="user", text="hello")
        assert await now() == [("queued", "", False)]

        context = context_of("t", inbox, Heard())
        run = asyncio.create_task(graph.ainvoke({"task": "work"}, CONFIG, context=context, durability="sync"))
        while len(speaker.prompts) < 1:
            await asyncio.sleep(0.01)
        assert await now() == [("queued", "", False)]  # shown to a model, but no checkpoint holds it yet
        while len(speaker.prompts) < 2:
            await asyncio.sleep(0.01)
        assert await now() == [("seen", "implement", False)]
        await run
        assert await now() == [("seen", "implement", True)]

        await inbox.put("t", kind="guidance", author="user", text="too late")
        assert await now() == [("seen", "implement", True), ("undelivered", "", False)]


async def test_the_checkpoint_is_the_first_that_holds_the_row(tmp_path: Path) -> None:
    database = tmp_path / "db"
    inbox = SqliteInbox(Database(database), "t")
    async with opened(build(Speaker(speak=works(0))), database) as graph:
        context = context_of("t", inbox, Heard())
        await inbox.put("t", kind="guidance", author="user", text="for the loop")
        await graph.ainvoke({"task": "work"}, CONFIG, context=context, interrupt_before=["assess"])
        before_assess = (await graph.aget_state(CONFIG)).config["configurable"]["checkpoint_id"]
        await inbox.put("t", kind="guidance", author="user", text="for assess")
        await graph.ainvoke(None, CONFIG, context=context)
        last = (await graph.aget_state(CONFIG)).config["configurable"]["checkpoint_id"]

        one, two = await read_receipts(graph, "t", await inbox.after(0))

    assert (one.node, one.checkpoint) == ("implement", before_assess)
    assert (two.node, two.checkpoint) == ("assess", last)
