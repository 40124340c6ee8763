"""What `langgraph dev` serves: the same graph on the same SQLite file. Owns the life of what a thread opens there."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from langgraph.checkpoint.base import BaseCheckpointSaver

from core.context import Context
from core.settings_source import load_settings
from graph.build import Builder, build_graph
from graph.checkpoints import database_of, open_checkpoints
from graph.lease import Lease
from graph.session import ThreadSpec, open_context
from tools.repository import find_top

REPO_VARIABLE = "ROLECALL_REPO"
"""Names the repository to work on; the current folder when it is not set."""


def repository() -> Path:
    """The folder Studio works on."""
    return Path(os.environ.get(REPO_VARIABLE) or Path.cwd())


@asynccontextmanager
async def make_graph() -> AsyncIterator[Builder]:
    """Give the graph, uncompiled: the server compiles it with its own checkpointer.

    Collaborators of a thread are opened, and its lease is taken, when its first node runs; reads open nothing.
    """
    async with AsyncExitStack() as stack:
        opened: dict[str, Context] = {}

        async def context_for(thread: str) -> Context:
            if thread not in opened:
                top = await find_top(repository())
                settings = load_settings(None, repo=top, trust_project=False, overrides={}).settings
                context = await stack.enter_async_context(open_context(ThreadSpec(thread, top, settings)))
                await stack.enter_async_context(Lease(database_of(top), thread))
                opened[thread] = context
            return opened[thread]

        yield build_graph(context_for=context_for)


@asynccontextmanager
async def make_checkpointer() -> AsyncIterator[BaseCheckpointSaver[str]]:
    """Give the saver on the repository's own database."""
    database = database_of(await find_top(repository()))
    database.parent.mkdir(parents=True, exist_ok=True)
    async with open_checkpoints(database) as saver:
        yield saver
