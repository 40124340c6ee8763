"""Finds what a verb works on: the repository, its database, a thread by a unique prefix of its id, its settings."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from core.errors import ConfigError, RepositoryError, ThreadError
from core.storage.layout import RepoLayout
from core.threads import ThreadOptions, ThreadStatus

if TYPE_CHECKING:
    from core.config.loader import LoadedSettings
    from core.config.settings import Settings
    from core.redaction import Redactor
    from core.storage.database import Database
    from core.threads import ThreadRow
    from graph.store.thread_store import ThreadStore
    from tools.worktree.staging_rules import StagingRules

OnThread = Callable[["ThreadRow"], None]
"""Receives the thread as soon as it is known."""
OnWarning = Callable[[str], None]
"""Receives warnings about the configuration."""


def unheard(_: object) -> None:
    """Ignore it."""


class Request(BaseModel):
    """What every verb takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repo: Path = Path()
    """Any directory in the repository."""


class ThreadRequest(Request):
    """A request about one thread."""

    thread: str = ""
    """Its id or a unique prefix of it; empty: the thread that was worked on last."""


class SetupRequest(Request):
    """About the settings."""

    options: ThreadOptions = ThreadOptions()
    """Where the settings come from, and what overrides them."""


def folder_of(repo: Path) -> Path:
    """The absolute path of the folder the user named.

    Raises:
        RepositoryError: The directory does not exist.
    """
    folder = repo.expanduser().resolve()
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise RepositoryError(f"{folder} {what}", hint="give the top-level directory of a git repository with --repo")
    return folder


async def top_of(folder: Path) -> Path:
    """The top level of the repository around a directory, whatever state it is in.

    Raises:
        RepositoryError: The directory does not exist, or is not in a repository with a working tree.
    """
    from tools.git.command import Git
    from tools.git.repository import find_top

    folder = folder_of(folder)
    found = await Git(folder, discover=True).try_run("rev-parse", "--show-toplevel")
    return Path(found.out.strip()) if found.code == 0 else await find_top(folder)


async def top_if_any(folder: Path) -> Path | None:
    """The top level of the repository around a directory; `None` outside a repository."""
    folder = folder_of(folder)
    try:
        return await top_of(folder)
    except RepositoryError:
        return None


async def found(request: ThreadRequest, on_thread: OnThread = unheard) -> "tuple[Path, ThreadRow]":
    """The top level of the repository and the thread that a request is about.

    Raises:
        RepositoryError: There is no repository, or its `.rolecall/` is not ours.
        ThreadError: No thread matches, or several do.
    """
    top = await top_of(request.repo)
    store = await store_of(top)
    row = await (store.find(request.thread) if request.thread else store.last())
    on_thread(row)
    return top, row


async def as_it_stands(row: "ThreadRow", top: Path) -> "ThreadRow":
    """The row with its actual status: a killed run could not record that it stopped."""
    killed = row.status == ThreadStatus.RUNNING and not await is_driven(top, row.thread_id)
    return row.model_copy(update={"status": ThreadStatus.INTERRUPTED}) if killed else row


async def is_driven(top: Path, thread_id: str) -> bool:
    """Whether a process is running the thread."""
    from core.storage.database import database_of
    from graph.store.lease import live_holder

    return await live_holder(database_of(top), thread_id) is not None


async def database_in(top: Path) -> "Database | None":
    """The database of a repository, once `.rolecall/` is verified to be ours; `None` when there is none.

    Raises:
        RepositoryError: The directory exists and is not ours; nothing in it was read.
    """
    from core.storage.database import Database
    from tools.git.state_folder import verified_layout

    database = (await verified_layout(top)).database
    return Database(database) if await asyncio.to_thread(database.is_file) else None


async def store_of(top: Path) -> "ThreadStore":
    """The threads of a repository.

    Raises:
        ThreadError: rolecall has never been used here.
        RepositoryError: `.rolecall/` exists and is not ours.
    """
    from graph.store.thread_store import ThreadStore

    database = await database_in(top)
    if database is None:
        raise ThreadError(f"there is no thread in {top} yet", hint="start one: `rolecall run TASK`")
    return ThreadStore(database)


def record_of(top: Path, thread_id: str) -> Path:
    """The file with the events of a thread."""
    return RepoLayout(top).run(thread_id).events


async def settings_for(options: ThreadOptions, top: Path | None, on_warning: OnWarning = unheard) -> "LoadedSettings":
    """The settings as options, environment and files give them.

    Args:
        options: Of a call, or what applies to a thread.
        top: The repository, whose own file is read when it is trusted.
        on_warning: Receives warnings about them.

    Raises:
        ConfigError: They are not valid.
    """
    from core.config.loader import load_settings

    loaded = await asyncio.to_thread(
        load_settings,
        Path(options.config) if options.config else None,
        repo=top,
        trust_project=options.trust_project,
        overrides=options.overrides(),
    )
    for said in loaded.warnings:
        on_warning(said)
    return loaded


async def settings_of(row: "ThreadRow", top: Path) -> "Settings":
    """The settings a thread was started with, as they are now; the defaults where its configuration is broken."""
    from core.config.settings import Settings

    try:
        return (await settings_for(row.options, top)).settings
    except ConfigError:
        return Settings()


async def redactor_for(row: "ThreadRow", top: Path) -> "Redactor":
    """What hides the secrets of the settings a thread was started with, as they are now."""
    from core.known_secrets import unchecked_redactor

    config = Path(row.options.config) if row.options.config else None
    return await asyncio.to_thread(unchecked_redactor, config, top if row.options.trust_project else None)


async def rules_of(row: "ThreadRow", top: Path) -> "StagingRules":
    """What the thread leaves out of its commits, by the configuration it was started with."""
    from core.known_secrets import redactor_of
    from core.secret_files import SecretFiles
    from tools.worktree.staging_rules import StagingRules

    settings = await settings_of(row, top)
    return StagingRules(SecretFiles(settings.sandbox.show), redactor_of(settings))
