"""Opens the collaborators of one thread and closes them again. The one place that joins all rooms of the house."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from core.context import Context, RunOptions
from core.events import EventSink
from core.known_secrets import known_secrets
from core.layout import RunFiles
from core.redaction import Redactor
from core.secret_files import SecretFiles
from core.settings import Settings
from graph.activity import Activity
from graph.checkpoints import database_of
from graph.event_log import EventLog, Listen
from graph.inbox import SqliteInbox
from llm_registry.overrides import with_overrides
from llm_registry.registry import open_registry
from tools.checks import RepositoryChecks
from tools.commands import SandboxCommands
from tools.git import Git
from tools.outputs import OutputStore
from tools.repair.engine import START_SCRIPT
from tools.repair_search import TreeRepair
from tools.sandbox import Places, open_sandbox
from tools.staging_rules import StagingRules
from tools.target_python import TargetPython, find_target_python
from tools.workspace import GitWorkspace


@dataclass(frozen=True, slots=True)
class ThreadSpec:
    """What a thread is opened with."""

    thread_id: str
    repo: Path
    """Top level of the user's checkout."""
    settings: Settings
    options: RunOptions = field(default_factory=RunOptions)
    checks: tuple[str, ...] = ()
    """Given on the command line; empty: configured or detected."""
    models: Mapping[str, str] = field(default_factory=dict)
    """Role to spec, from the command line."""


_UNWALLED_CHECKS = (
    "no walls hold here: checks that are found in the repository run its code on the host without asking; "
    "name them with --checks, or install bubblewrap"
)


@asynccontextmanager
async def open_context(spec: ThreadSpec, listen: Listen | None = None) -> AsyncIterator[Context]:
    """Open everything a node may use; the worktree is there when the block begins.

    Raises:
        RepositoryError: The repository cannot be worked in.
        ConfigError: The settings ask for what is not there.
    """
    settings = spec.settings
    secrets = await secrets_of(spec)
    redactor = Redactor(secrets)
    rules = StagingRules(SecretFiles(settings.sandbox.show), redactor)
    workspace = await GitWorkspace.open(spec.repo, spec.thread_id, rules)
    await workspace.prepare()
    files = RunFiles(workspace.run_dir)
    log = await asyncio.to_thread(EventLog, spec.thread_id, files.events, listen, redactor)
    with log:
        events = Activity(log)
        # Before anything of the repository is run: its interpreter is a program of the repository too.
        places = Places(workspace.root, workspace.repo, (START_SCRIPT.parent,))
        bare = await open_sandbox(settings.sandbox, places, secrets=secrets)
        target = await find_target_python(workspace.repo, workspace.root, settings.checks.python, bare)
        _warn(events, workspace, target)
        sandbox = await asyncio.to_thread(bare.showing, target.readable)
        if not (sandbox.walled or spec.checks or settings.checks.commands or spec.options.approve_all):
            events.emit("warning", message=_UNWALLED_CHECKS)
        outputs = OutputStore(workspace.run_dir, max_bytes=settings.sandbox.max_output_bytes)
        commands = await asyncio.to_thread(
            SandboxCommands, sandbox, outputs, target.env, settings.sandbox, settings.approvals, redactor
        )
        checks = RepositoryChecks(workspace.root, commands, settings.checks, target, events, spec.checks)
        database = database_of(workspace.repo)
        async with open_registry(
            settings, thread_id=spec.thread_id, database=database, events=events, models=spec.models, redactor=redactor
        ) as models:
            await models.assign()
            yield Context(
                thread_id=spec.thread_id,
                settings=settings,
                models=models,
                workspace=workspace,
                commands=commands,
                checks=checks,
                repair=TreeRepair(workspace.root, sandbox, target, events, checks),
                inbox=SqliteInbox(database, spec.thread_id, redactor),
                events=events,
                options=spec.options,
                redactor=redactor,
            )


async def secrets_of(spec: ThreadSpec) -> dict[str, str]:
    """What a run of the thread must hide: of settings and environment, of `--model`, of the repository's git config.

    Raises:
        UsageError: A model was asked for that is none.
    """
    of_git = (await Git(spec.repo).config()).secrets()
    return {**known_secrets(with_overrides(spec.settings, spec.models)), **of_git}


def _warn(events: EventSink, workspace: GitWorkspace, target: TargetPython) -> None:
    for message in (*workspace.warnings, *([target.note] if target.note else [])):
        events.emit("warning", message=message)
