"""Where checkpoints live: SQLite in the repository, with the serializer's allow-list."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from core import artifacts
from core.database import BUSY_TIMEOUT_S

FOLDER = ".rolecall"
DATABASE = "rolecall.db"


def database_of(repo: Path) -> Path:
    """The file that holds everything structured of a repository."""
    return repo / FOLDER / DATABASE


def serializer() -> JsonPlusSerializer:
    """A serializer that revives our artifacts and nothing else beyond LangGraph's own types."""
    ours = [
        kind
        for kind in vars(artifacts).values()
        if isinstance(kind, type) and issubclass(kind, artifacts.Artifact)
    ]  # fmt: skip
    return JsonPlusSerializer(allowed_msgpack_modules=ours)


@asynccontextmanager
async def open_checkpoints(database: Path) -> AsyncIterator[AsyncSqliteSaver]:
    """Open the saver on a connection of its own; closes with the block.

    Raises:
        sqlite3.OperationalError: The file cannot be opened or stays locked for 30 s.
    """
    async with aiosqlite.connect(database, timeout=BUSY_TIMEOUT_S) as connection:
        saver = AsyncSqliteSaver(connection, serde=serializer())
        await saver.setup()
        yield saver
