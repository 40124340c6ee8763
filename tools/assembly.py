"""Puts the tools of one thread together on a repository. Owns the order of making them, no behaviour."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.events import EventSink
from core.settings import Settings
from tools.checks import RepositoryChecks
from tools.commands import SandboxCommands
from tools.outputs import OutputStore
from tools.repair_search import TreeRepair
from tools.sandbox import Places, Sandbox, open_sandbox
from tools.target_python import TargetPython, find_target_python
from tools.workspace import GitWorkspace


@dataclass(frozen=True, slots=True)
class Toolset:
    """What a context needs of this floor; `workspace` is prepared."""

    workspace: GitWorkspace
    commands: SandboxCommands
    checks: RepositoryChecks
    repair: TreeRepair
    sandbox: Sandbox
    target: TargetPython


async def open_toolset(
    repo: Path, thread_id: str, settings: Settings, events: EventSink, *, checks: Sequence[str] = ()
) -> Toolset:
    """Open a repository for a thread: worktree, interpreter, sandbox, checks and repair.

    Args:
        repo: A folder in the user's checkout.
        thread_id: UUID of the thread.
        settings: Settings of the run.
        events: Where the tools tell what they do; warnings about the repository too.
        checks: Check commands given on the command line; they come before settings and detection.

    Raises:
        RepositoryError: The repository cannot be worked in.
        ConfigError: A configured interpreter or sandbox does not work.
    """
    workspace = await GitWorkspace.open(repo, thread_id)
    await workspace.prepare()
    target = await find_target_python(workspace.repo, workspace.root, settings.checks.python)
    sandbox = await open_sandbox(settings.sandbox, Places(workspace.root, workspace.repo, target.readable))
    outputs = OutputStore(workspace.run_dir, max_bytes=settings.sandbox.max_output_bytes)
    commands = SandboxCommands(sandbox, outputs, target.env, settings.sandbox, settings.approvals)
    for message in (*workspace.warnings, *([target.note] if target.note else [])):
        events.emit("warning", message=message)
    return Toolset(
        workspace=workspace, commands=commands,
        checks=RepositoryChecks(workspace.root, commands, settings.checks, target, events, checks),
        repair=TreeRepair(workspace.root, sandbox, target, events), sandbox=sandbox, target=target,
    )  # fmt: skip
