"""The newest checkpoint of a thread is the last one written, whatever the clock of the machine did in between."""

import time
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import id as checkpoint_ids

from core.storage.database import Database
from graph.store.checkpoints import CheckpointWriter, open_checkpoints
from graph.store.inbox import SqliteInbox
from graph.store.lease import Lease
from tests.steering.world import Heard, Speaker, build, context_of, works

CONFIG: Any = {"configurable": {"thread_id": "t"}}


async def drive(database: Path, inp: Any, stop: list[str] | None) -> Any:
    async with (
        Lease(Database(database), "t") as lease,
        open_checkpoints(Database(database), driver=CheckpointWriter("t", lease.generation)) as saver,
    ):
        graph = build(Speaker(speak=works(2))).compile(checkpointer=saver)
        context = context_of("t", SqliteInbox(Database(database), "t"), Heard())
        await graph.ainvoke(inp, CONFIG, context=context, interrupt_before=stop, durability="sync")
        return await graph.aget_state(CONFIG)


async def test_a_clock_that_was_set_back_loses_no_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await drive(tmp_path / "db", {"task": "work"}, ["assess"])
    assert first.next == ("assess",)
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() - 3_600 * 10**9)
    monkeypatch.setattr(checkpoint_ids, "_last_v6_timestamp", None)  # as in a new process
    ended = await drive(tmp_path / "db", None, None)
    assert ended.next == ()
    assert ended.config["configurable"]["checkpoint_id"] > first.config["configurable"]["checkpoint_id"]


async def test_two_checkpoints_of_one_parent_keep_their_own_values_under_one_version(tmp_path: Path) -> None:
    async with open_checkpoints(Database(tmp_path / "db")) as saver:
        graph = build(Speaker(speak=works(1))).compile(checkpointer=saver)
        root = await graph.aupdate_state(CONFIG, {"task": "root"}, as_node="__start__")
        forks = [await graph.aupdate_state(root, {"task": task}, as_node="__start__") for task in ("one", "two")]
        found = [await saver.aget_tuple(fork) for fork in forks]
        states = [(await graph.aget_state(fork)).values["task"] for fork in forks]
    versions = [one.checkpoint["channel_versions"]["task"] for one in found if one is not None]
    assert versions[0] == versions[1]
    assert states == ["one", "two"]
