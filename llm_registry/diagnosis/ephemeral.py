"""A registry for trying a spec out: its calls and breakers go to a temporary directory, and no event is
shown. Slots of endpoints are shared: a trial queues behind the calls of other runs.
"""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from core.config.settings import Settings
from core.events import EventName
from core.storage.database import Database
from llm_registry.registry import Registry, open_registry


@asynccontextmanager
async def ephemeral_registry(settings: Settings, name: str) -> AsyncIterator[Registry]:
    """Open a registry for trials and probe its endpoints.

    Args:
        settings: Whose roles are tried.
        name: Thread under which the calls are recorded, in a separate database.
    """
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=f"rolecall-{name}-"))
    try:
        async with (
            Database(folder / "calls.db") as database,
            open_registry(
                settings, thread_id=name, database=database, events=_Nobody(), breaker_dir=folder
            ) as registry,
        ):
            await registry.assign()
            yield registry
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


class _Nobody:
    """Drops the events of trials."""

    def emit(self, event: EventName, /, **data: Any) -> None:
        """Drop the event."""
