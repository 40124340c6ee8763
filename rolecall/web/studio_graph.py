"""What `langgraph dev` serves: the same graph on the same SQLite file. Owns what a thread opens there."""

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

from langgraph.checkpoint.base import BaseCheckpointSaver

from core.config.loader import load_settings
from core.context import Context
from core.storage.database import Database
from core.threads import ThreadOptions
from graph.build import GraphBuilder, build_graph
from graph.context_factory import RunSpec
from graph.store.checkpoints import open_checkpoints
from graph.store.thread_store import ThreadStore
from graph.studio_thread import hold_served_thread
from tools.git.repository import find_top
from tools.git.state_folder import ensure_layout

REPO_VARIABLE = "ROLECALL_REPO"
"""Names the repository to work on; the current directory when unset."""
ASKED_VARIABLE = "ROLECALL_ASKED"
"""Options from the server's command line for threads started there, as JSON; none when unset."""

TOKEN_VARIABLE = "ROLECALL_STUDIO_TOKEN"  # noqa: S105 - the name of a variable
"""The server's token; when unset, one is generated and printed."""
ORIGINS_VARIABLE = "ROLECALL_STUDIO_ORIGINS"
"""Additional web origins allowed to use the server, separated by spaces."""
STUDIO_ORIGIN = "https://smith.langchain.com"
"""Where the page of LangGraph Studio comes from."""


def repository() -> Path:
    """The directory Studio works on."""
    return Path(os.environ.get(REPO_VARIABLE) or Path.cwd())


@asynccontextmanager
async def make_graph() -> AsyncIterator[GraphBuilder]:
    """Return the graph, uncompiled: the server compiles it with its own checkpointer.

    A thread is held from its first node until the server releases the graph; reads hold nothing.
    """
    async with AsyncExitStack() as stack:
        opened: dict[str, Context] = {}

        async def context_for(thread: str, task: str) -> Context:
            if thread not in opened:
                opened[thread] = await stack.enter_async_context(await _serving(thread, task))
            return opened[thread]

        yield build_graph(context_for=context_for)


async def _serving(thread: str, task: str) -> AbstractAsyncContextManager[Context]:
    """The thread as in its row, or as the command that started the server was called."""
    top = await find_top(repository())
    row = await ThreadStore(Database((await ensure_layout(top)).database)).get(thread)
    asked = row.options if row else ThreadOptions.model_validate_json(os.environ.get(ASKED_VARIABLE, "{}"))
    config = Path(asked.config) if asked.config else None
    settings = load_settings(config, repo=top, trust_project=asked.trust_project, overrides=asked.overrides()).settings
    return hold_served_thread(RunSpec(thread, top, settings, asked=asked), row.task if row else task)


@asynccontextmanager
async def make_checkpointer() -> AsyncIterator[BaseCheckpointSaver[str]]:
    """Return the saver on the repository's own database."""
    layout = await ensure_layout(await find_top(repository()))
    async with open_checkpoints(Database(layout.database)) as saver:
        yield saver
