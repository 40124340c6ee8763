"""The repository that is damaged: a thread that stands before its checks, with its work committed.

Owns making it, bringing it back between two kinds of damage, and telling what of the thread is still there.
"""

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from langchain_core.runnables import RunnableConfig

from core.context import RunOptions
from core.storage.layout import RepoLayout
from core.threads import ThreadOptions
from graph.acquire import acquire_thread
from graph.context_factory import RunSpec
from graph.runner import open_graph
from tests.integration.jobs import SLUGIFY, SLUGS, openai, settings_with
from tests.modelserver.competent import CompetentScript
from tests.modelserver.server import ModelServer
from tests.repositories import git, make_repository

THREAD = "0a1b2c3d-0000-4000-8000-0000000d0001"
"""Stands before its last checks, with its work committed."""
EARLY = "1f2e3d4c-0000-4000-8000-0000000e0002"
"""Stands before its only step."""
CHECK = "test -f slugs/slugify.py"


@dataclass(frozen=True, slots=True)
class World:
    """A folder with the repository, what it looked like, and the settings its commands run with."""

    folder: Path
    server: ModelServer

    @property
    def repo(self) -> Path:
        return self.folder / "repo"

    @property
    def pristine(self) -> Path:
        return self.folder / "pristine"

    @property
    def layout(self) -> RepoLayout:
        return RepoLayout(self.repo)

    @property
    def database(self) -> Path:
        return self.layout.database

    @property
    def worktree(self) -> Path:
        return self.layout.worktree(THREAD)

    @property
    def run_folder(self) -> Path:
        return self.layout.run(THREAD).folder

    @property
    def branch(self) -> str:
        return f"rolecall/{self.worktree.name}"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def env(self) -> dict[str, str]:
        return {
            "ROLECALL_CONFIG": str(self.folder / "config.json"),
            "ROLECALL_STATE_DIR": str(self.state),
            "HOME": str(self.folder),
        }

    def sql(self, *statements: str) -> None:
        """Change rows as nobody should."""
        with closing(sqlite3.connect(self.database)) as db:
            for statement in statements:
                db.execute(statement)
            db.commit()
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def reset(self) -> None:
        """Bring everything back to how it was before any damage."""
        for name in ("repo", "state"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            subprocess.run(["cp", "-a", self.pristine / name, self.folder / name], check=True)

    def checkpoints(self) -> set[str]:
        """Ids of the thread's checkpoints, as far as the file can be read."""
        query = "SELECT checkpoint_id FROM checkpoints WHERE thread_id = ?"
        with closing(sqlite3.connect(self.database)) as db:
            return {row[0] for row in db.execute(query, (THREAD,))}

    def commits(self) -> set[str]:
        """What the thread has committed."""
        return set(git(self.repo, "rev-list", f"main..{self.branch}").split())


def make_world(folder: Path, server: ModelServer) -> World:
    """Make the repository and drive its thread up to its checks."""
    world = World(folder, server)
    config = {
        "llm": {**dict.fromkeys(("coder", "reasoning", "router", "summarizer", "supervisor"), "primary"),
                "primary": openai(server.v1, context_length=100_000)},
        "sandbox": {"mode": "host"}, "supervisor": {"enabled": False},
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    make_repository(world.repo, SLUGS)
    os.environ.update(world.env)
    asyncio.run(_drive(world, THREAD, before="qa"))
    asyncio.run(_drive(world, EARLY, before="implement"))
    world.pristine.mkdir()
    for name in ("repo", "state"):
        subprocess.run(["cp", "-a", folder / name, world.pristine / name], check=True)
    return world


async def _drive(world: World, ident: str, *, before: str) -> None:
    settings = settings_with(openai(world.server.v1, context_length=100_000), supervisor={"enabled": False})
    spec = RunSpec(
        ident, world.repo, settings, RunOptions(approve_all=True), ThreadOptions(checks=[CHECK], supervise=False)
    )  # fmt: skip
    start = {"task": "Add a function slugify"}
    config: RunnableConfig = {"configurable": {"thread_id": ident}}
    async with acquire_thread(spec, start["task"]) as thread:
        async with open_graph(settings, thread.database) as graph:
            await graph.ainvoke(start, config, context=thread.context, interrupt_before=[before], durability="sync")
        await thread.store.set_status(ident, "paused", exit_code=130)


def competent() -> ModelServer:
    """A server that does the task well."""
    return ModelServer(CompetentScript(files=SLUGIFY))
