"""Finds what a command works on: the repository, its database, a thread by the beginning of its id."""

import asyncio
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import ConfigError, RepositoryError, ThreadError
from core.storage.layout import RepoLayout
from rolecall.invocation import Invocation
from rolecall.output.event_text import without_control_characters
from rolecall.thread_options import Asked

if TYPE_CHECKING:
    from core.config.loader import LoadedSettings
    from core.config.settings import Settings
    from core.storage.database import Database
    from graph.store.thread_store import ThreadRow, ThreadStore


def folder_of(options: Namespace) -> Path:
    """The folder the user means, `--repo` or the current one.

    Raises:
        RepositoryError: There is no such folder.
    """
    folder = Path(options.repo or Path.cwd()).expanduser().resolve()
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise RepositoryError(f"the folder {folder} {what}", hint="give the top folder of a git repository with --repo")
    return folder


async def top_of(folder: Path) -> Path:
    """The top of the repository around a folder, whatever state the repository is in.

    Raises:
        RepositoryError: The folder belongs to no repository with a working tree.
    """
    from tools.git.command import Git
    from tools.git.repository import find_top

    found = await Git(folder, discover=True).try_run("rev-parse", "--show-toplevel")
    return Path(found.out.strip()) if found.code == 0 else await find_top(folder)


async def thread_named(top: Path, beginning: str, invocation: Invocation) -> "ThreadRow":
    """The thread whose id begins so.

    Raises:
        ThreadError: No thread or several begin so.
    """
    return _noted(await (await store_of(top, invocation)).find(beginning), invocation)


async def last_thread(top: Path, invocation: Invocation) -> "ThreadRow":
    """The thread that was worked on last.

    Raises:
        ThreadError: There is none.
    """
    return _noted(await (await store_of(top, invocation)).last(), invocation)


def _noted(row: "ThreadRow", invocation: Invocation) -> "ThreadRow":
    invocation.thread, invocation.resumable = row.thread_id, not row.finished
    return row


async def as_it_stands(row: "ThreadRow", top: Path) -> "ThreadRow":
    """The row as it is true now: a run that was killed could not write that it stopped."""
    from graph.store.checkpoints import database_of
    from graph.store.lease import live_holder

    killed = row.status == "running" and await live_holder(database_of(top), row.thread_id) is None
    return row.model_copy(update={"status": "interrupted"}) if killed else row


async def database_in(top: Path) -> "Database | None":
    """The database of a repository, once `.rolecall/` is proved to be ours; `None` when there is none.

    Raises:
        RepositoryError: The folder is there and not ours; nothing of it was read.
    """
    from core.storage.database import Database
    from tools.git.state_folder import verified_layout

    database = (await verified_layout(top)).database
    return Database(database) if await asyncio.to_thread(database.is_file) else None


async def store_of(top: Path, invocation: Invocation) -> "ThreadStore":
    """The threads of a repository.

    Raises:
        ThreadError: rolecall never worked here.
        RepositoryError: `.rolecall/` is there and not ours.
    """
    from graph.store.thread_store import ThreadStore

    database = await database_in(top)
    if database is None:
        raise ThreadError(f"there is no thread in {top} yet", hint=f"start one: {invocation.call('run', 'TASK')}")
    return ThreadStore(database)


def record_of(top: Path, thread_id: str) -> Path:
    """The file with the events of a thread."""
    return RepoLayout(top).run(thread_id).events


async def settings_for(options: Namespace, top: Path | None, *, asked: "Asked | None" = None) -> "LoadedSettings":
    """The settings as the command line, environment and files give them.

    Args:
        options: Of this call.
        top: The repository, whose own file is read when it is trusted.
        asked: What holds for the thread; by default what this call says.

    Raises:
        ConfigError: They are not valid.
    """
    loaded = await _loaded(asked or Asked.by(options), top)
    for said in loaded.warnings:
        print(f"warning: {without_control_characters(said)}", file=sys.stderr)
    return loaded


async def settings_of(row: "ThreadRow", top: Path) -> "Settings":
    """The settings a thread was begun with, as they are by now; the defaults where its configuration is broken."""
    from core.config.settings import Settings

    try:
        return (await _loaded(Asked.remembered(row.options), top)).settings
    except ConfigError:
        return Settings()


async def _loaded(asked: Asked, top: Path | None) -> "LoadedSettings":
    from core.config.loader import load_settings

    return await asyncio.to_thread(
        load_settings,
        Path(asked.config) if asked.config else None,
        repo=top,
        trust_project=asked.trust_project,
        overrides=asked.overrides(),
    )
