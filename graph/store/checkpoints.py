"""Where checkpoints live: SQLite in the repository, packed, with the serializer's allow-list."""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiosqlite
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata, CheckpointTuple
from langgraph.checkpoint.base import id as checkpoint_ids
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from core import artifacts
from core.storage.database import Database
from core.storage.storage_errors import damaged
from graph.store.checkpoint_packing import PACKED, pack, unpack
from graph.store.lease import fence_writes

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CheckpointWriter:
    """Who writes the checkpoints of a thread: the holder of its lease."""

    thread_id: str
    generation: int


_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-6[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
"""An id created by LangGraph; ids written by other tools contain no time."""
_ROWS = 64
"""Read at a time."""


class CheckpointSerializer(JsonPlusSerializer):
    """LangGraph's own, but it packs what it writes if that saves space, and reads old rows as they are."""

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """The kind and the bytes of a value; the kind says whether they are packed."""
        kind, data = super().dumps_typed(obj)
        small = pack(data)
        return (kind, data) if small is None else (f"{kind}{PACKED}", small)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """The value.

        Raises:
            DamagedError: The bytes are not what was written.
        """
        kind, body = data
        try:
            if kind.endswith(PACKED):
                kind, body = kind.removesuffix(PACKED), unpack(body)
            return super().loads_typed((kind, body))
        except Exception as error:
            raise damaged("a checkpoint", str(error)) from error


class Checkpoints(AsyncSqliteSaver):
    """LangGraph's saver, but it reports an unreadable row as damaged, and uses plain version numbers."""

    def get_next_version(self, current: str | None, channel: None) -> str:
        """The version after `current`, as a plain number.

        LangGraph adds random digits, for savers that store a value by channel and version: two checkpoints with one
        parent (two writers, or a fork) would otherwise share one row for two values. This saver stores all values with
        their checkpoint, and versions are compared only within one checkpoint, so that the digits would keep nothing
        apart; and no packing makes them smaller. Another kind of saver needs them back.
        """
        return f"{int(str(current or 0).partition('.')[0]) + 1:032}.0"

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """As the saver does it, and logged."""
        begun = time.monotonic()
        kept = await super().aput(config, checkpoint, metadata, new_versions)
        space, seconds = config["configurable"].get("checkpoint_ns", ""), time.monotonic() - begun
        _LOG.debug("checkpoint %s of %r, step %s, %.3f s", checkpoint["id"], space, metadata.get("step"), seconds)
        return kept

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """As the saver does it.

        Raises:
            DamagedError: The row exists but cannot be read.
        """
        try:
            return await super().aget_tuple(config)
        except (ValueError, TypeError) as error:  # its metadata is JSON
            raise damaged("a checkpoint", str(error)) from error


def serializer() -> JsonPlusSerializer:
    """A serializer that revives our artifacts and nothing else beyond LangGraph's own types."""
    ours = [
        kind
        for kind in vars(artifacts).values()
        if isinstance(kind, type) and issubclass(kind, artifacts.Artifact)
    ]  # fmt: skip
    return CheckpointSerializer(allowed_msgpack_modules=ours)


@asynccontextmanager
async def open_checkpoints(
    database: Database, *, driver: CheckpointWriter | None = None
) -> AsyncIterator[AsyncSqliteSaver]:
    """Open the saver on its own connection, which closes with the block.

    Args:
        database: Of the repository.
        driver: What runs a thread through it: the saver then writes to that thread only while the lease is held,
            and its ids increase even when the clock was set back since the last run.

    Raises:
        sqlite3.OperationalError: The file cannot be opened or stays locked for 30 s.
    """
    connection = aiosqlite.Connection(partial(database.open, autocommit=False), _ROWS)
    try:
        async with connection:
            saver = Checkpoints(connection, serde=serializer())
            await saver.setup()
            if driver is not None:
                await fence_writes(connection, driver.thread_id, driver.generation)
                await _seed_ids(connection, driver.thread_id)
            yield saver
    finally:
        # Its thread tells the event loop that it ends; aiosqlite does not wait for that if opening failed.
        await asyncio.shield(asyncio.to_thread(vars(connection)["_thread"].join))


async def _seed_ids(connection: aiosqlite.Connection, thread_id: str) -> None:
    """Make new checkpoint ids come after existing ones: the newest id is the latest checkpoint, by its time.

    LangGraph's ids increase only within a process; a clock that goes back between two runs would make the end of
    the first run the end of the thread.
    """
    query = "SELECT MAX(checkpoint_id) FROM checkpoints WHERE thread_id = ?"
    async with connection.execute(query, (thread_id,)) as rows:
        row = await rows.fetchone()
    if row and _UUID.fullmatch(str(row[0])):
        newest = checkpoint_ids.UUID(str(row[0])).time
        clock = vars(checkpoint_ids)
        clock["_last_v6_timestamp"] = max(newest, clock["_last_v6_timestamp"] or 0)
