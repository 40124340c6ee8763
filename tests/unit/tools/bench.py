"""A worktree with its commands, for tests of what runs in it."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from core.config.settings import ApprovalSettings, SandboxSettings
from tools.commands.command_runner import SandboxCommands
from tools.commands.outputs import OutputStore
from tools.processes.environment import in_own_venv, user_environment
from tools.sandbox.sandbox import Sandbox, SandboxPaths, open_sandbox

HAS_WALLS = shutil.which("bwrap") is not None
IN_VENV = pytest.mark.skipif(not in_own_venv(), reason="these tests run in no venv that could be kept out")
MODES = ["host", pytest.param("bubblewrap", marks=pytest.mark.skipif(not HAS_WALLS, reason="bubblewrap is not here"))]


@dataclass
class Events:
    """Keeps what is told."""

    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def emit(self, event: str, /, **data: Any) -> None:
        self.told.append((event, data))

    def of(self, event: str) -> list[dict[str, Any]]:
        return [data for name, data in self.told if name == event]


async def sandbox_of(root: Path, mode: str, **more: Any) -> Sandbox:
    settings = SandboxSettings(mode=mode, **more)  # type: ignore[arg-type]
    return await open_sandbox(settings, SandboxPaths(root, root.parents[2]))


async def commands_of(root: Path, mode: str, run_dir: Path, *, limit: int = 4000, **more: Any) -> SandboxCommands:
    sandbox = await sandbox_of(root, mode, **more)
    settings = SandboxSettings(**more)
    return SandboxCommands(sandbox, OutputStore(run_dir, max_bytes=limit), user_environment(), settings,
                           ApprovalSettings())  # fmt: skip
