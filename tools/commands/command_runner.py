"""Commands of a model or a check, run in the sandbox. Owns time and output limits, and ending what they start."""

import asyncio
import fcntl
import os
import tempfile
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from core.config.settings import ApprovalSettings, SandboxSettings
from core.context import CommandResult, OutputWatch
from core.errors import SandboxError
from core.redaction import Redactor
from core.secret_files import SecretFiles
from tools.commands.command_policy import CommandPolicy
from tools.commands.output_redaction import redact_stream
from tools.commands.outputs import OutputStore
from tools.processes.child_process import MARK
from tools.processes.watchdog import Watchdog
from tools.sandbox.sandbox import Sandbox

MAX_STORED_BYTES = 64 * 1024 * 1024
_LOOK_EVERY_S = 0.1
_SHELLS = ("/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash", "/run/current-system/sw/bin/bash")
"""Models write for bash; without it, the plain shell is used."""


class SandboxCommands:
    """Implements `core.context.Commands` with a shell in the sandbox."""

    def __init__(
        self,
        sandbox: Sandbox,
        outputs: OutputStore,
        env: Mapping[str, str],
        settings: SandboxSettings,
        approvals: ApprovalSettings,
        redactor: Redactor | None = None,
    ) -> None:
        self._sandbox = sandbox
        self.policy = sandbox.policy
        """What the sandbox does, in one sentence for the report."""
        self.turns = sandbox.turns
        """Keeps commands and file tools apart."""
        self.spawn = sandbox.spawn
        """Starts a program of ours in the worktree, or raises `OSError`; the caller holds its lock and ends it."""
        self._outputs = outputs
        self._env = dict(env)
        self._settings = settings
        self._redactor = redactor or Redactor()
        self.allowed = CommandPolicy(
            approvals, sandbox.root, walls=sandbox.walled, hidden=SecretFiles(settings.show),
            path=self._env.get("PATH", os.defpath),
        ).allows  # fmt: skip
        """Whether a command runs without asking."""
        self.count = 0
        """How many commands were started so far; each may have changed what no git tree shows."""
        self._shell = next((shell for shell in _SHELLS if Path(shell).exists()), "/bin/sh")

    async def run(
        self, command: str, *, timeout_s: float | None = None, watch: OutputWatch | None = None
    ) -> CommandResult:
        """Run a shell command; never raises for what the command does. No other command or file tool runs meanwhile.

        Args:
            command: A shell command line, run in the worktree.
            timeout_s: Seconds until it is killed; the setting `sandbox.command_timeout_s` when `None`.
            watch: Follows what it writes.
        """
        async with self._sandbox.turns.exclusive():
            return await self._run_alone(command, timeout_s, watch)

    async def _run_alone(self, command: str, timeout_s: float | None, watch: OutputWatch | None) -> CommandResult:
        self.count += 1
        limit = self._settings.command_timeout_s if timeout_s is None else timeout_s
        started = time.monotonic()
        # Without a name until it is cleaned: what is killed half-way leaves no secret on the disk.
        with await asyncio.to_thread(lambda: tempfile.TemporaryFile("w+b", dir=self._outputs.folder())) as raw:
            # Appending, since a program may open its output once more, as in `>> /dev/stdout`.
            fcntl.fcntl(raw.fileno(), fcntl.F_SETFL, os.O_APPEND)
            code, stopped, timed_out = await self._run_into(raw.fileno(), command, limit, watch)
            if watch is not None:
                code = await asyncio.to_thread(_closed, raw, code, watch)
            name = await asyncio.to_thread(self._keep, raw)
        output = await asyncio.to_thread(self._outputs.excerpt, name)
        if stopped:
            output = f"{output.rstrip()}\n[{stopped}]\n"
        return CommandResult(
            command=command, exit_code=code, output=output, output_path=name,
            duration_s=time.monotonic() - started, timed_out=timed_out,
        )  # fmt: skip

    def _keep(self, raw: IO[bytes]) -> str:
        """Store what a command wrote, without the secrets in it."""
        raw.seek(0)
        descriptor, name = self._outputs.create()
        with os.fdopen(descriptor, "wb") as kept:
            redact_stream(raw, kept, self._redactor, most=MAX_STORED_BYTES)
        return name

    async def _run_into(
        self, descriptor: int, command: str, limit: float, watch: OutputWatch | None
    ) -> tuple[int, str, bool]:
        """Its exit code, why it was stopped, and whether that was a timeout."""
        mark = uuid.uuid4().hex
        env = self._env | dict(watch.env if watch else {}) | {MARK: mark}
        argv = [self._shell, "-c", command]
        watchdog = await asyncio.to_thread(Watchdog, self._sandbox.root, self._settings)
        try:
            running = await self._sandbox.start(argv, env, output=descriptor)
        except OSError as error:
            return 126, f"could not be started: {error.strerror or error}", False
        stopped, timed_out = "", False
        try:
            stopped, timed_out = await self._watch(running.process, descriptor, limit, watchdog, watch)
            if not stopped and running.walls_failed():
                raise SandboxError(
                    f"the sandbox for a command could not be set up: {await asyncio.to_thread(_last_line, descriptor)}",
                    hint="`rolecall doctor` shows what works here",
                )
        finally:
            await asyncio.shield(running.end(mark))
        return running.process.returncode or 0, stopped, timed_out

    async def _watch(
        self,
        process: asyncio.subprocess.Process,
        descriptor: int,
        limit: float,
        watchdog: Watchdog,
        watch: OutputWatch | None,
    ) -> tuple[str, bool]:
        """Wait for a process to end; if it must be stopped, say why and whether that was a timeout."""
        waiting = asyncio.ensure_future(process.wait())
        deadline = time.monotonic() + limit
        try:
            while True:
                left = deadline - time.monotonic()
                done, _ = await asyncio.wait({waiting}, timeout=max(0.0, min(_LOOK_EVERY_S, left)))
                if done:
                    return "", False
                if left <= 0:
                    return f"killed after {limit:g} s: the command did not finish", True
                if os.fstat(descriptor).st_size > MAX_STORED_BYTES:
                    return f"killed: it wrote more than {MAX_STORED_BYTES // 2**20} MB", False
                if watch is not None:
                    await asyncio.to_thread(watch.look, descriptor)
                if reason := await asyncio.to_thread(watchdog.look, process.pid):
                    return f"killed: {reason}", False
        finally:
            waiting.cancel()


def _closed(raw: IO[bytes], code: int, watch: OutputWatch) -> int:
    """End a watch: the output becomes what it would be without it, with its last line; returns the exit code."""
    watch.look(raw.fileno())
    code, line = watch.close(code)
    raw.seek(0)
    data = watch.clean(raw.read(2 * MAX_STORED_BYTES))
    raw.truncate(0)
    raw.write(data + (f"\n{line}\n".encode() if line else b""))
    raw.flush()
    return code


def _last_line(descriptor: int) -> str:
    """The last line on a descriptor, which is bubblewrap's."""
    lines = os.pread(descriptor, 4096, max(0, os.fstat(descriptor).st_size - 4096)).split(b"\n")
    return next((line.decode("utf-8", "replace") for line in reversed(lines) if line.strip()), "no error message")
