"""Opens the collaborators of one thread and closes them again. The one place that joins all packages."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from core.config.settings import EMBEDDED, Settings
from core.context import Context, Models, RunOptions, Tools, ToolSource
from core.errors import ModelError, RolecallError, traceback_text
from core.events import EventSink
from core.known_secrets import known_secrets
from core.redaction import Redactor
from core.run_result import RunResult
from core.secret_files import SecretFiles
from core.storage.database import Database, database_of
from core.threads import ThreadOptions, ThreadStatus
from graph.drive.in_flight import ActivityTracker
from graph.store.debug_log import debug_log
from graph.store.event_log import EventLog, Listen
from graph.store.inbox import SqliteInbox
from graph.store.started_calls import SqliteStartedCalls
from llm_registry.diagnosis.doctor import PATIENCE_S, find_servers
from llm_registry.overrides import with_overrides
from llm_registry.registry import open_registry
from nodes.model_calls.consult_tools import ConsultingTools
from nodes.model_calls.task_preflight import require_model
from nodes.model_calls.toolset import Toolset
from tools.agent.toolbox import WorkspaceTools
from tools.commands.command_runner import SandboxCommands
from tools.commands.outputs import OutputStore
from tools.git.command import Git
from tools.repair.engine import START_SCRIPT
from tools.sandbox.sandbox import Sandbox, SandboxPaths, open_sandbox
from tools.target.checks import RepositoryChecks
from tools.target.repair_search import WorktreeRepair
from tools.target.target_python import TargetPython, find_target_python
from tools.worktree.staging_rules import StagingRules
from tools.worktree.workspace import GitWorkspace


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One run of a thread: where, with which settings, and what was requested."""

    thread_id: str
    repo: Path
    """Top level of the user's checkout."""
    settings: Settings
    """As they are now; limits may be higher than when the thread started."""
    options: RunOptions = field(default_factory=RunOptions)
    """Of this run alone."""
    asked: ThreadOptions = field(default_factory=ThreadOptions)
    """What applies to later runs of the thread too; keys in model specs are used but not stored."""
    task: str = ""
    """Of a thread that starts now: a task that no model can do is refused before anything is created for it."""
    sources: tuple[ToolSource, ...] = ()
    """Tools in addition to rolecall's own."""


_LOG = logging.getLogger(__name__)
_UNWALLED_CHECKS = (
    "no sandbox here: checks detected in the repository run its code on the host without asking; set them with "
    "--checks, or install bubblewrap"
)


@asynccontextmanager
async def open_context(
    spec: RunSpec, listen: Listen | None = None, *, database: Database | None = None, since: float = 0.0
) -> AsyncIterator[Context]:
    """Open everything a node may use; the worktree exists when the block starts.

    A failure caused by a bug in rolecall leaves its traceback in the thread's record.

    Args:
        spec: What is opened.
        listen: Told of every event.
        database: The handle of this run; by default one that keeps no connection open.
        since: Seconds since the epoch; what was used before does not count towards the budget.

    Raises:
        RepositoryError: The repository cannot be used.
        ConfigError: The settings require something that does not exist.
        ModelError: No model can do the task of a new thread; no worktree was created.
    """
    settings = spec.settings
    git = Git(spec.repo)
    secrets = await secrets_of(spec, git)
    redactor = Redactor(secrets)
    rules = StagingRules(SecretFiles(settings.sandbox.show), redactor)
    workspace = GitWorkspace(spec.repo, spec.thread_id, rules, git=git)
    files = await workspace.make_run()
    handle = database or database_of(workspace.repo)
    log = await asyncio.to_thread(EventLog, spec.thread_id, files.events, listen, redactor)
    with debug_log(files.debug_log, spec.thread_id, redactor), log, _faults_kept(log):
        events = ActivityTracker(log)
        async with open_registry(
            settings, thread_id=spec.thread_id, database=handle, events=events,
            models=spec.asked.models, redactor=redactor, since=since,
        ) as models:  # fmt: skip
            await models.assign()
            await _name_servers(models, events)
            if spec.task:
                await _require_model(spec, models, events)
            await workspace.prepare()
            async with _tools(spec, handle, models, events) as tools:
                yield await _context(spec, workspace, models, events, redactor, secrets, handle, tools)


@asynccontextmanager
async def _tools(spec: RunSpec, database: Database, models: Models, events: EventSink) -> AsyncIterator[Toolset]:
    """The tools of the run; its own sources come first, so that no other takes their names."""
    sources: tuple[ToolSource, ...] = (WorkspaceTools(), ConsultingTools(spec.settings, models), *spec.sources)
    started = SqliteStartedCalls(database, spec.thread_id)
    tools = Toolset(sources, spec.settings, events, started)
    try:
        for said in await tools.unknown():
            events.emit("warning", message=said)
        yield tools
    finally:
        await tools.close()


async def _context(  # noqa: PLR0913, PLR0917 - what it is made of
    spec: RunSpec, workspace: GitWorkspace, models: Models, events: EventSink, redactor: Redactor,
    secrets: Mapping[str, str], database: Database, tools: Tools,
) -> Context:  # fmt: skip
    settings = spec.settings
    programs = await open_programs(spec, workspace, events, redactor, secrets)
    return Context(
        thread_id=spec.thread_id,
        settings=settings,
        models=models,
        workspace=workspace,
        commands=programs.commands,
        checks=programs.checks,
        repair=WorktreeRepair(programs.sandbox, programs.target, events, programs.checks),
        inbox=SqliteInbox(database, spec.thread_id, redactor),
        events=events,
        tools=tools,
        options=spec.options,
        redactor=redactor,
    )


@dataclass(frozen=True, slots=True)
class RepositoryPrograms:
    """What runs the repository's own code."""

    sandbox: Sandbox
    target: TargetPython
    commands: SandboxCommands
    checks: RepositoryChecks


async def open_programs(
    spec: RunSpec, workspace: GitWorkspace, events: EventSink, redactor: Redactor, secrets: Mapping[str, str],
    outputs: Path | None = None,
) -> RepositoryPrograms:  # fmt: skip
    """Find the repository's interpreter, and open the sandbox in which its commands and checks run.

    Args:
        spec: The run.
        workspace: The worktree they run in.
        events: Told of what they do.
        redactor: Cleans their output.
        secrets: What their environment must not contain.
        outputs: Where their whole output is stored; by default the run directory of the worktree.

    Raises:
        ConfigError: The settings require something that does not exist.
    """
    settings = spec.settings
    # Before anything of the repository is run: its interpreter is a program of the repository too.
    places = SandboxPaths(workspace.root, workspace.repo, (START_SCRIPT.parent,))
    bare = await open_sandbox(settings.sandbox, places, secrets=secrets)
    target = await find_target_python(bare, settings.checks.python)
    _warn(events, workspace, target)
    sandbox = await asyncio.to_thread(bare.showing, target.readable)
    if not (sandbox.walled or spec.asked.checks or settings.checks.commands or spec.options.approve_all):
        events.emit("warning", message=_UNWALLED_CHECKS)
    store = OutputStore(outputs or workspace.run_dir, max_bytes=settings.sandbox.max_output_bytes)
    commands = await asyncio.to_thread(
        SandboxCommands, sandbox, store, target.env, settings.sandbox, settings.approvals, redactor
    )
    checks = RepositoryChecks(workspace, commands, settings.checks, target, events, spec.asked.checks)
    return RepositoryPrograms(sandbox, target, commands, checks)


@contextmanager
def _faults_kept(events: EventSink) -> Iterator[None]:
    """Record the traceback of an error that is not meant for users, and let it pass."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, RolecallError):
            _LOG.error("a bug in rolecall", exc_info=error)
            with suppress(OSError, ValueError):  # the disk is full, say: what happened matters more
                said = f"{type(error).__name__}: {error}"
                events.emit("error", code="internal", message=said, hint="", traceback=traceback_text(error))
        raise


async def _require_model(spec: RunSpec, models: Models, events: EventSink) -> None:
    """Refuse a task that no model can do, and record that the run ended so."""
    try:
        await require_model(spec.task, models, spec.thread_id)
    except ModelError as error:
        events.emit("result", **refused(spec.thread_id, error).event())
        raise


def refused(thread_id: str, error: ModelError) -> RunResult:
    """The result of a run that was refused before anything was created for it."""
    status = ThreadStatus.NEEDS_MODEL
    return RunResult(
        thread_id=thread_id, status=status, exit_code=status.exit_code, message=error.message, hint=error.hint
    )


async def _name_servers(models: Models, events: EventSink) -> None:
    """If no configured model serves, say which servers on this machine could."""
    if models.served("primary").spec not in ("", EMBEDDED):
        return
    for found in await find_servers(PATIENCE_S):
        how = f"--model primary={found.as_override()}"
        events.emit(
            "warning",
            message=f"no model serves the primary role, but {found.facts.server or 'a model server'} at {found.url} "
            f"has {found.first_model()}; use it with {how}",
        )


async def secrets_of(spec: RunSpec, git: Git | None = None) -> dict[str, str]:
    """What a run of the thread must hide: of settings and environment, of `--model`, of the repository's git config.

    Args:
        spec: The thread.
        git: Of its repository, if there is one already.

    Raises:
        UsageError: A requested model does not exist.
    """
    of_git = (await (git or Git(spec.repo)).config()).secrets()
    return {**known_secrets(with_overrides(spec.settings, spec.asked.models)), **of_git}


def _warn(events: EventSink, workspace: GitWorkspace, target: TargetPython) -> None:
    for message in (*workspace.warnings, *([target.note] if target.note else [])):
        events.emit("warning", message=message)
