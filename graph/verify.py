"""Runs the checks of a thread's work again: in a fresh worktree of its last commit, which is removed afterwards.

Changes nothing of the thread but its record and its stored outputs.
"""

import asyncio
from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid5

from core.artifacts import CheckRun
from core.redaction import Redactor
from core.secret_files import SecretFiles
from core.storage.database import Database
from graph.context_factory import RunSpec, open_programs, secrets_of
from graph.store.checkpoints import open_checkpoints
from graph.store.event_log import EventLog, Listen
from graph.store.lease import Lease
from tools.git.command import Git
from tools.git.state_folder import verified_layout
from tools.worktree.staging_rules import StagingRules
from tools.worktree.workspace import GitWorkspace


@dataclass(frozen=True, slots=True)
class Verification:
    """What the checks said of one commit."""

    commit: str
    checks: tuple[CheckRun, ...]
    """Empty when the repository has none."""


async def check_last_commit(spec: RunSpec, *, listen: Listen) -> Verification:
    """Run the checks of a thread's last commit, with those that were there before it started.

    Args:
        spec: Which thread, and the settings that apply to it.
        listen: Told of every event, within the event loop: it must not block.

    Raises:
        RepositoryError: The thread's work is gone from the repository.
        ConfigError: The settings require something that does not exist.
        LockedError: The thread is being verified already.
    """
    layout, git = await verified_layout(spec.repo), Git(spec.repo)
    secrets = await secrets_of(spec, git)
    redactor = Redactor(secrets)
    rules = StagingRules(SecretFiles(spec.settings.sandbox.show), redactor)
    work = GitWorkspace(spec.repo, spec.thread_id, rules, git=git)
    commit = await work.tip() or await work.base()
    # Always the same one, so that the next verification removes what a killed one left.
    fresh_id = str(uuid5(NAMESPACE_URL, f"verification of {spec.thread_id}"))
    fresh = GitWorkspace(spec.repo, fresh_id, rules, git=git)
    files = await work.make_run()
    database = Database(layout.database)
    log = await asyncio.to_thread(EventLog, spec.thread_id, files.events, listen, redactor)
    with log:
        async with Lease(database, f"verification of {spec.thread_id}", discard=True):
            await fresh.remove()
            try:
                await fresh.prepare(commit)
                programs = await open_programs(spec, fresh, log, redactor, secrets, files.folder)
                checks = await programs.checks.run(before=await _checks_before(database, spec.thread_id))
            finally:
                await fresh.remove()
                await asyncio.to_thread(layout.remove_run, fresh_id)
    return Verification(commit, checks)


async def _checks_before(database: Database, thread_id: str) -> tuple[str, ...]:
    """The checks that were detected before the thread changed anything."""
    async with open_checkpoints(database) as saver:
        found = await saver.aget_tuple({"configurable": {"thread_id": thread_id}})
    baseline = found.checkpoint["channel_values"].get("baseline") if found else None
    return tuple(run.command for run in baseline.checks) if baseline else ()
