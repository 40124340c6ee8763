"""Where commands run: in bubblewrap where it works, else on the host under limits. Owns the choice and the start
of processes; what a command may be is decided in `command_policy`, how its output is kept in `command_runner`."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.config.settings import SandboxSettings
from core.errors import ConfigError
from tools.files.worktree_lock import WorktreeLock
from tools.git.location import safe_path
from tools.processes.child_process import PLACE_MARK, kill_marked
from tools.processes.environment import listed_variables, proxy_variables, user_environment
from tools.sandbox.bubblewrap import Bubblewrap, build_walls, features_of
from tools.sandbox.launch import Launch, with_limits
from tools.sandbox.running_process import RunningProcess
from tools.sandbox.wall_probe import probe_walls

_REAPER = Path(__file__).parents[1] / "processes" / "reaper.py"
_INSTALLERS = {
    "apt-get": "apt install bubblewrap", "dnf": "dnf install bubblewrap", "pacman": "pacman -S bubblewrap",
    "zypper": "zypper install bubblewrap", "apk": "apk add bubblewrap",
}  # fmt: skip
_MISSING = "bubblewrap is not installed"
_LEAST_SECRET = 6
_LINE_LIMIT = 64 * 1024 * 1024
"""Bytes a reader of the standard output may get in one line."""


@dataclass(frozen=True, slots=True)
class SandboxPaths:
    """The directories a sandbox needs to know."""

    root: Path
    """The worktree: the only part of the repository that commands may write to."""
    repo: Path
    """The user's checkout: read only."""
    readable: tuple[Path, ...] = ()
    """Additional directories that must stay readable: the repository's interpreter, lent packages."""


@dataclass(frozen=True, slots=True)
class HostPolicy:
    """No bubblewrap: limits, a clean environment, and cleanup of whatever is started."""

    reason: str
    settings: SandboxSettings

    @property
    def policy(self) -> str:
        """What it does, in one sentence."""
        return (
            f"commands run on the host WITHOUT isolation ({self.reason}): they can read and write what you can, "
            f"network open; no secrets in the environment; per command at most {self.settings.memory_mb} MB of memory, "
            f"{self.settings.max_processes} processes, {self.settings.disk_mb} MB of new files"
        )

    def launch(self, argv: list[str], cwd: Path, scratch: Path | None = None, *, told: bool = False) -> Launch:
        """The command line under limits, and under a parent that leaves nothing behind."""
        inner = with_limits(argv, self.settings, tasks=False)
        if sys.platform != "linux" or not sys.executable:
            return Launch(inner)
        return Launch([sys.executable, "-I", "-S", str(_REAPER), str(os.getpid()), *inner])

    def showing(self, readable: Sequence[Path]) -> "HostPolicy":
        """Everything is readable already."""
        return self


class Sandbox:
    """Starts programs under one policy."""

    def __init__(
        self,
        wrapper: Bubblewrap | HostPolicy,
        places: SandboxPaths,
        settings: SandboxSettings,
        secrets: Mapping[str, str] | None = None,
    ) -> None:
        self._wrapper = wrapper
        self._places = places
        self.root = places.root
        """The worktree."""
        self.repo = places.repo
        """The user's checkout."""
        self.policy = wrapper.policy
        """What the sandbox does, in one sentence for the report."""
        self.walled = isinstance(wrapper, Bubblewrap)
        """Whether programs start in bubblewrap, so that they reach only the worktree."""
        self._settings = settings
        self._secrets = dict(secrets or {})
        self.turns = WorktreeLock()
        """Taken around whatever runs code of the repository, and by the file tools."""
        # A folder that is not a worktree of ours may be used by several at once.
        self._cleared = _Cleared(places.root, done=places.root == places.repo)

    def showing(self, readable: Sequence[Path]) -> "Sandbox":
        """A sandbox with the same policy in which more directories can be read; blocking.

        Args:
            readable: Directories, such as the prefix of the repository's interpreter.
        """
        made = Sandbox(self._wrapper.showing(readable), self._places, self._settings, self._secrets)
        made._cleared, made.turns = self._cleared, self.turns
        return made

    async def spawn(
        self,
        argv: Sequence[str],
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        *,
        stdin: int = asyncio.subprocess.PIPE,
    ) -> asyncio.subprocess.Process:
        """Start a program as the leader of a new process group, its output in a pipe; whoever starts it ends it.

        Before the first program, anything a killed rolecall process left running for the worktree is ended; so only
        the owner of a thread may start something.

        Args:
            argv: Program and arguments.
            cwd: Working directory; the worktree when `None`.
            env: The whole environment; the user's without secrets when `None`. A TMPDIR of its own stays writable.
            stdin: As in `asyncio.create_subprocess_exec`.

        Raises:
            OSError: The program cannot be started.
        """
        return (await self._start(argv, cwd, env, (stdin, asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL))).process

    async def start(self, argv: Sequence[str], env: Mapping[str, str], *, output: int) -> RunningProcess:
        """Like `spawn`, for callers that need to know when all of it is gone; reads nothing, writes to a descriptor."""
        return await self._start(argv, None, env, (asyncio.subprocess.DEVNULL, output, output), told=True)

    async def _start(
        self,
        argv: Sequence[str],
        cwd: Path | None,
        env: Mapping[str, str] | None,
        streams: tuple[int, int, int],
        *,
        told: bool = False,
    ) -> RunningProcess:
        await self._cleared.ensure()
        folder = self.root if cwd is None else cwd
        given = self._environment(env) | {PLACE_MARK: str(self.root), "PWD": str(folder)}
        scratch = given.get("TMPDIR", "")
        own = Path(scratch) if scratch and scratch != os.environ.get("TMPDIR") else None
        launch = await asyncio.to_thread(self._wrapper.launch, list(argv), folder, own, told=told)
        stdin, stdout, stderr = streams
        try:
            process = await asyncio.create_subprocess_exec(
                *launch.argv, cwd=folder, env=given, stdin=stdin, stdout=stdout, stderr=stderr,
                start_new_session=True, limit=_LINE_LIMIT, pass_fds=launch.inherited,
            )  # fmt: skip
        except BaseException:
            if launch.status is not None:
                os.close(launch.status)
            raise
        finally:
            launch.close()
        return RunningProcess(process, launch.status)

    def _environment(self, env: Mapping[str, str] | None) -> dict[str, str]:
        """The given environment or the user's, plus what the settings list, but never a secret value."""
        base = dict(user_environment() if env is None else env)
        base |= listed_variables(self._settings.env)
        if self._settings.network:
            base |= proxy_variables()
        withheld = {value for name, value in self._secrets.items()
                    if name not in self._settings.env and len(value) >= _LEAST_SECRET}  # fmt: skip
        return {name: value for name, value in base.items() if not any(secret in value for secret in withheld)}


class _Cleared:
    """Ends, once, what a killed rolecall process left running for a worktree."""

    def __init__(self, root: Path, *, done: bool = False) -> None:
        self._root = root
        self._lock = asyncio.Lock()
        self._done = done

    async def ensure(self) -> None:
        async with self._lock:
            if not self._done:
                await asyncio.to_thread(kill_marked, PLACE_MARK, str(self._root))
                self._done = True


async def open_sandbox(
    settings: SandboxSettings, places: SandboxPaths, *, secrets: Mapping[str, str] | None = None
) -> Sandbox:
    """Choose the strongest policy that works here, once: bubblewrap is tested by a run that tries to break out.

    Args:
        settings: Which policy is wanted, and its limits.
        places: The directories.
        secrets: By name, values that no command may see in its environment; what the setting `env` lists is passed
            anyway, unless it is a key of the configuration itself.

    Raises:
        ConfigError: `sandbox.mode` or `sandbox.require` asks for bubblewrap and it does not work here.
    """
    if settings.mode == "host" and not settings.require:
        return Sandbox(HostPolicy('sandbox.mode is "host"', settings), places, settings, secrets)
    if settings.mode == "host":
        problem, hint = 'sandbox.mode is "host"', 'set sandbox.mode to "auto"'
    else:
        walls, problem = await _walls(settings, places)
        if walls is not None:
            return Sandbox(walls, places, settings, secrets)
        hint = await asyncio.to_thread(_hint, problem)
    if settings.require:
        raise ConfigError(f"sandbox.require requires bubblewrap, but {problem}", hint=hint)
    if settings.mode == "bubblewrap":
        raise ConfigError(f'sandbox.mode is "bubblewrap", but {problem}', hint=hint)
    return Sandbox(HostPolicy(f"{problem}; {hint}", settings), places, settings, secrets)


async def _walls(settings: SandboxSettings, places: SandboxPaths) -> tuple[Bubblewrap | None, str]:
    """A working bubblewrap, or why there is none."""
    # A program of the repository's own, by a folder of the PATH that lies in it, would wall nothing off.
    path = await asyncio.to_thread(safe_path, places.repo, os.environ.get("PATH", os.defpath))
    program = await asyncio.to_thread(shutil.which, "bwrap", path=path)
    if program is None:
        return None, _MISSING
    try:
        features = await asyncio.to_thread(features_of, program)
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"bubblewrap does not work here: {error}"
    walls = await asyncio.to_thread(build_walls, features, places.root, places.repo, places.readable, settings)
    problem = await probe_walls(walls)
    if problem and features.locks_namespaces:
        # Where bubblewrap itself is set-uid it cannot; the filter of system calls forbids them as well.
        walls = replace(walls, features=replace(features, locks_namespaces=False))
        problem = await probe_walls(walls)
    return (None, problem) if problem else (walls, "")


def _hint(problem: str) -> str:
    """What to do to get bubblewrap working."""
    if sys.platform != "linux":
        return "bubblewrap needs Linux"
    if problem != _MISSING:
        return "allow unprivileged user namespaces for bwrap"
    return next((how for program, how in _INSTALLERS.items() if shutil.which(program)), "install bubblewrap")
