"""The repository's own checks, run for real. Owns which commands they are and their record; judges nothing."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, replace

from core.artifacts import CheckRun
from core.config.settings import CheckSettings
from core.context import CommandResult, Commands
from core.events import EventSink
from tools.files.worktree_lock import run_in_thread
from tools.target.check_detection import detect_checks
from tools.target.target_python import TargetPython
from tools.target.test_watch import TestWatch, UsualTimes, cannot_load, plugin_env, watched
from tools.worktree.workspace import GitWorkspace


class RepositoryChecks:
    """Implements `core.context.Checks`: given on the command line, else configured, else detected."""

    def __init__(
        self,
        workspace: GitWorkspace,
        commands: Commands,
        settings: CheckSettings,
        target: TargetPython,
        events: EventSink,
        given: Sequence[str],
    ) -> None:
        """Start without any results.

        Args:
            workspace: The worktree.
            commands: Runs them.
            settings: Which are configured, and how long one may take.
            target: The repository's interpreter.
            events: Told of each.
            given: On the command line.
        """
        self._workspace = workspace
        self._commands = commands
        self._settings = settings
        self._target = target
        self._events = events
        self._given = tuple(given)
        self._known: dict[str, CheckRun] = {}
        self._known_at = (0, "")
        """How many commands had run, and the state of the worktree, when these results were true."""
        self._lock = asyncio.Lock()

    async def commands(self) -> tuple[str, ...]:
        """Given, configured or detected; may be empty."""
        if self._fixed:
            return self._fixed
        async with self._commands.turns.shared():
            files = await self._workspace.files()
            return await run_in_thread(detect_checks, self._workspace.root, files, has_pytest=self._target.has_pytest)

    async def run(self, *, before: Sequence[str] = ()) -> tuple[CheckRun, ...]:
        """Run them all, one after another, and report the end of each.

        If no file has changed and no command has run since the last time, the result is still valid and the check is
        not run again; one that timed out is.

        Args:
            before: What was detected before the work started: deleting the tests must not make the checks go away.
        """
        kept = () if self._fixed else before
        commands = dict.fromkeys((*kept, *await self.commands()))
        async with self._lock:
            known = self._known if await self._unchanged() else {}
            runs = [self._told(known[command], 0.0, reused=True) if command in known else await self._run_one(command)
                    for command in commands]  # fmt: skip
            if not known.keys() >= commands.keys():
                self._known = {run.command: run for run in runs if not run.timed_out}
                self._known_at = await self._now()
        return tuple(runs)

    async def _unchanged(self) -> bool:
        if not self._known or self._known_at[0] != self._commands.count:
            return False
        return await self._now() == self._known_at

    async def _now(self) -> tuple[int, str]:
        async with self._commands.turns.shared():
            return self._commands.count, await self._workspace.state()

    def _told(self, run: CheckRun, seconds: float, **more: bool) -> CheckRun:
        self._events.emit(
            "check_finished", command=run.command, exit_code=run.exit_code, seconds=round(seconds, 3),
            output_path=run.output_path, timed_out=run.timed_out, **more,
        )  # fmt: skip
        return run

    @property
    def _fixed(self) -> tuple[str, ...]:
        """What a person set; empty when it has to be detected."""
        return self._given or self._settings.commands

    async def _run_one(self, command: str) -> CheckRun:
        self._events.emit("check_started", command=command)
        done = await self._watched(command)
        return self._told(CheckRun(**asdict(done)), done.duration_s)

    async def _watched(self, command: str) -> CommandResult:
        """Run a check, reporting the running test every second and ending one that hangs early."""
        usual = UsualTimes(self._workspace.root)
        known = await asyncio.to_thread(usual.read, command)
        env = plugin_env(self._target.env, limit_s=self._settings.test_timeout_s, usual_s=known)

        def on_test(test: str, number: int, total: int) -> None:
            self._events.emit("check_progress", command=command, test=test, number=number, total=total)

        watch = TestWatch(env, on_test)
        done = await self._commands.run(watched(command), timeout_s=self._settings.timeout_s, watch=watch)
        done = replace(done, command=command)
        if cannot_load(done.output):
            return await self._commands.run(command, timeout_s=self._settings.timeout_s)
        if watch.longest:
            await asyncio.to_thread(usual.write, command, watch.longest)
        return done
