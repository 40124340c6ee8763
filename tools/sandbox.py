"""Where commands run: in bubblewrap where it works, else on the host under limits. Owns the choice and the start
of processes; what a command may be is decided in `allow_list`, how its output is kept in `commands`."""

import asyncio
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, Self

from core.errors import ConfigError
from core.settings import SandboxSettings
from tools.bubblewrap import Bubblewrap, build_walls
from tools.environment import user_environment
from tools.processes import PLACE_MARK, end, kill_marked, limited
from tools.turns import Turns

_PROBE_TIMEOUT_S = 10
_LINE_BYTES = 64 * 1024
_LINE_LIMIT = 64 * 1024 * 1024
"""Bytes a reader of the standard output may get in one line."""


@dataclass(frozen=True, slots=True)
class Places:
    """The folders a sandbox has to know."""

    root: Path
    """The worktree: the only place of the repository that commands may write."""
    repo: Path
    """The user's checkout: read only."""
    readable: tuple[Path, ...] = ()
    """More folders that must stay readable: the repository's interpreter, lent packages."""


class Wrapper(Protocol):
    """A way to run a program with fewer rights."""

    @property
    def policy(self) -> str:
        """What it does, in one sentence."""

    def wrap(self, argv: list[str], cwd: Path, scratch: Path | None = None) -> list[str]:
        """The command line that runs another command line inside; `scratch` is one more folder it may write."""

    def showing(self, readable: Sequence[Path]) -> Self:
        """The same with more folders readable; blocking."""


@dataclass(frozen=True, slots=True)
class HostPolicy:
    """No walls: a process group of its own, limits, a clean environment."""

    reason: str
    memory_mb: int

    @property
    def policy(self) -> str:
        """What it does, in one sentence."""
        return (
            f"commands run on the host without isolation ({self.reason}), network open: own process group, time and "
            f"output limits, {self.memory_mb} MB of memory per process, no secrets in the environment"
        )

    def wrap(self, argv: list[str], cwd: Path, scratch: Path | None = None) -> list[str]:
        """Give the command line back as it is."""
        return argv

    def showing(self, readable: Sequence[Path]) -> "HostPolicy":
        """Everything is readable already."""
        return self


class Sandbox:
    """Starts programs under one policy."""

    def __init__(self, wrapper: Wrapper, places: Places, settings: SandboxSettings) -> None:
        self._wrapper = wrapper
        self._places = places
        self._settings = settings
        self.turns = Turns()
        """Taken around whatever runs code of the repository, and by the file tools."""
        # A folder that is not a worktree of ours may be used by several at once.
        self._cleared = _Cleared(places.root, done=places.root == places.repo)

    @property
    def policy(self) -> str:
        """What the sandbox does, in one sentence for the report."""
        return self._wrapper.policy

    @property
    def walled(self) -> bool:
        """Whether walls hold around what is started, so that it cannot reach more than the worktree."""
        return not isinstance(self._wrapper, HostPolicy)

    @property
    def root(self) -> Path:
        """The worktree."""
        return self._places.root

    def showing(self, readable: Sequence[Path]) -> "Sandbox":
        """A sandbox of the same policy in which more folders can be read; blocking.

        Args:
            readable: Folders, such as the prefix of the repository's interpreter.
        """
        places = replace(self._places, readable=tuple(dict.fromkeys((*self._places.readable, *readable))))
        made = Sandbox(self._wrapper.showing(readable), places, self._settings)
        made._cleared = self._cleared
        made.turns = self.turns
        return made

    async def spawn(
        self,
        argv: Sequence[str],
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        *,
        stdin: int = asyncio.subprocess.PIPE,
        stdout: int = asyncio.subprocess.PIPE,
        stderr: int = asyncio.subprocess.DEVNULL,
    ) -> asyncio.subprocess.Process:
        """Start a program as the leader of a new process group; whoever starts it ends it.

        Before the first program, what a killed process of rolecall left running for the worktree is ended; so only
        the owner of a thread may start something.

        Args:
            argv: Program and arguments.
            cwd: Working folder; the worktree when `None`.
            env: The whole environment; the user's without secrets when `None`. A TMPDIR of its own stays writable.
            stdin: As in `asyncio.create_subprocess_exec`.
            stdout: Likewise.
            stderr: Likewise.

        Raises:
            OSError: The program cannot be started.
        """
        await self._cleared.ensure()
        folder = self._places.root if cwd is None else cwd
        given = {**(user_environment() if env is None else env), PLACE_MARK: str(self._places.root), "PWD": str(folder)}
        scratch = given.get("TMPDIR", "")
        own = Path(scratch) if scratch and scratch != os.environ.get("TMPDIR") else None
        limits = limited(list(argv), memory_mb=self._settings.memory_mb)
        command = self._wrapper.wrap(limits, folder, own)
        return await asyncio.create_subprocess_exec(
            *command, cwd=folder, env=given, stdin=stdin, stdout=stdout, stderr=stderr,
            start_new_session=True, limit=_LINE_LIMIT,
        )  # fmt: skip


class _Cleared:
    """Ends once what a killed process of rolecall left running for a worktree."""

    def __init__(self, root: Path, *, done: bool = False) -> None:
        self._root = root
        self._lock = asyncio.Lock()
        self._done = done

    async def ensure(self) -> None:
        async with self._lock:
            if not self._done:
                await asyncio.to_thread(kill_marked, PLACE_MARK, str(self._root))
                self._done = True


async def open_sandbox(settings: SandboxSettings, places: Places) -> Sandbox:
    """Choose the strongest policy that works here; bubblewrap is tried by running it once.

    Raises:
        ConfigError: `sandbox.mode` asks for bubblewrap and it does not work here.
    """
    if settings.mode == "host":
        return Sandbox(HostPolicy('sandbox.mode is "host"', settings.memory_mb), places, settings)
    program = await asyncio.to_thread(shutil.which, "bwrap")
    if program is None:
        problem = "bubblewrap is not installed"
    else:
        walls = await asyncio.to_thread(
            build_walls, program, places.root, places.repo, places.readable, network=settings.network
        )
        problem = await _probe(walls, places.root)
        if not problem:
            return Sandbox(walls, places, settings)
    if settings.mode == "bubblewrap":
        raise ConfigError(
            f'sandbox.mode is "bubblewrap", but {problem}',
            hint='install bubblewrap, allow user namespaces, or set sandbox.mode to "auto"',
        )
    return Sandbox(HostPolicy(problem, settings.memory_mb), places, settings)


async def _probe(walls: Bubblewrap, root: Path) -> str:
    command = walls.wrap(["/bin/sh", "-c", "test -w ."], root)
    try:
        process = await asyncio.create_subprocess_exec(
            *command, start_new_session=True, cwd=root, env=user_environment(),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:
        return f"bubblewrap cannot be started: {error.strerror}"
    try:
        async with asyncio.timeout(_PROBE_TIMEOUT_S):
            _, err = await process.communicate()
    except TimeoutError:
        return "bubblewrap does not answer"
    finally:
        await end(process)
    if process.returncode == 0:
        return ""
    lines = err.decode("utf-8", "replace").strip().splitlines()
    return f"bubblewrap does not work here: {lines[-1] if lines else process.returncode}"
