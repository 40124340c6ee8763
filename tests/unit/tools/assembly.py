"""The tools of one thread on a repository, put together for tests as a run does it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.config.settings import Settings
from core.events import EventSink
from core.redaction import Redactor
from tools.commands.command_runner import SandboxCommands
from tools.commands.outputs import OutputStore
from tools.sandbox.sandbox import SandboxPaths, open_sandbox
from tools.target.checks import RepositoryChecks
from tools.target.repair_search import WorktreeRepair
from tools.target.target_python import TargetPython, find_target_python
from tools.worktree.workspace import GitWorkspace


@dataclass(frozen=True, slots=True)
class Toolset:
    workspace: GitWorkspace
    commands: SandboxCommands
    checks: RepositoryChecks
    repair: WorktreeRepair
    target: TargetPython


async def open_toolset(
    repo: Path,
    thread_id: str,
    settings: Settings,
    events: EventSink,
    *,
    checks: Sequence[str] = (),
    redactor: Redactor | None = None,
) -> Toolset:
    workspace = await GitWorkspace.open(repo, thread_id)
    await workspace.prepare()
    bare = await open_sandbox(settings.sandbox, SandboxPaths(workspace.root, workspace.repo))
    target = await find_target_python(bare, settings.checks.python)
    sandbox = await asyncio.to_thread(bare.showing, target.readable)
    outputs = OutputStore(workspace.run_dir, max_bytes=settings.sandbox.max_output_bytes, redactor=redactor)
    commands = await asyncio.to_thread(
        SandboxCommands, sandbox, outputs, target.env, settings.sandbox, settings.approvals, redactor
    )
    found = RepositoryChecks(workspace, commands, settings.checks, target, events, checks)
    return Toolset(
        workspace=workspace,
        commands=commands,
        checks=found,
        repair=WorktreeRepair(sandbox, target, events, found),
        target=target,
    )
