"""Commands of a model or a check, run in the sandbox. Owns time, output limits and the end of what they start."""

import asyncio
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from core.context import CommandResult
from core.secret_files import SecretFiles
from core.settings import ApprovalSettings, SandboxSettings
from tools.allow_list import AllowList
from tools.outputs import OutputStore
from tools.processes import MARK, end
from tools.sandbox import Sandbox
from tools.turns import Turns

MAX_STORED_BYTES = 64 * 1024 * 1024
_LOOK_EVERY_S = 0.25
_SHELLS = ("/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash", "/run/current-system/sw/bin/bash")
"""Models write for bash; without one, the plain shell has to do."""


class SandboxCommands:
    """Implements `core.context.Commands` with a shell in the sandbox."""

    def __init__(
        self,
        sandbox: Sandbox,
        outputs: OutputStore,
        env: Mapping[str, str],
        settings: SandboxSettings,
        approvals: ApprovalSettings,
    ) -> None:
        self._sandbox = sandbox
        self._outputs = outputs
        self._env = dict(env)
        self._settings = settings
        self._allow = AllowList(
            approvals, sandbox.root, walls=sandbox.walled, hidden=SecretFiles(settings.show),
            path=self._env.get("PATH", os.defpath),
        )  # fmt: skip
        self._shell = next((shell for shell in _SHELLS if Path(shell).exists()), "/bin/sh")

    @property
    def policy(self) -> str:
        """What the sandbox does, in one sentence for the report."""
        return self._sandbox.policy

    @property
    def turns(self) -> Turns:
        """Keeps commands and file tools apart."""
        return self._sandbox.turns

    async def spawn(self, argv: Sequence[str]) -> asyncio.subprocess.Process:
        """Start a program of ours in the worktree, inside the same walls; whoever starts it has a turn and ends it.

        Raises:
            OSError: The program cannot be started.
        """
        return await self._sandbox.spawn(argv)

    def allowed(self, command: str) -> bool:
        """Whether the command runs without asking."""
        return self._allow.allows(command)

    async def run(self, command: str, *, timeout_s: float | None = None) -> CommandResult:
        """Run a shell command; never raises for what the command does. No other command and no file tool runs beside.

        Args:
            command: A line for the shell, run in the worktree.
            timeout_s: Seconds until it is killed; the setting `sandbox.command_timeout_s` when `None`.
        """
        async with self._sandbox.turns.exclusive():
            return await self._run_alone(command, timeout_s)

    async def _run_alone(self, command: str, timeout_s: float | None) -> CommandResult:
        limit = self._settings.command_timeout_s if timeout_s is None else timeout_s
        descriptor, name = await asyncio.to_thread(self._outputs.create)
        started = time.monotonic()
        try:
            code, stopped = await self._run_into(descriptor, name, command, limit)
        finally:
            os.close(descriptor)
        output = await asyncio.to_thread(self._outputs.excerpt, name)
        if stopped:
            output = f"{output.rstrip()}\n[{stopped}]\n"
        return CommandResult(
            command=command, exit_code=code, output=output, output_path=name,
            duration_s=time.monotonic() - started, timed_out=stopped.startswith("killed after"),
        )  # fmt: skip

    async def _run_into(self, descriptor: int, name: str, command: str, limit: float) -> tuple[int, str]:
        mark = uuid.uuid4().hex
        argv = [self._shell, "-c", command]
        try:
            process = await self._sandbox.spawn(
                argv, env=self._env | {MARK: mark}, stdin=asyncio.subprocess.DEVNULL, stdout=descriptor,
                stderr=descriptor,
            )  # fmt: skip
        except OSError as error:
            return 126, f"could not be started: {error.strerror or error}"
        stopped = ""
        try:
            stopped = await self._watch(process, name, limit)
        finally:
            await asyncio.shield(end(process, mark))
        return process.returncode or 0, stopped

    async def _watch(self, process: asyncio.subprocess.Process, name: str, limit: float) -> str:
        """Wait for the end of a process; say why when it must be stopped."""
        waiting = asyncio.ensure_future(process.wait())
        deadline = time.monotonic() + limit
        try:
            while True:
                left = deadline - time.monotonic()
                done, _ = await asyncio.wait({waiting}, timeout=max(0.0, min(_LOOK_EVERY_S, left)))
                if done:
                    return ""
                if left <= 0:
                    return f"killed after {limit:g} s: the command did not end"
                if await asyncio.to_thread(self._outputs.size, name) > MAX_STORED_BYTES:
                    return f"killed: it wrote more than {MAX_STORED_BYTES // 2**20} MB"
        finally:
            waiting.cancel()
