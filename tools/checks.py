"""The repository's own checks, run for real. Owns which commands they are and their record; judges nothing."""

from collections.abc import Sequence
from pathlib import Path

from core.artifacts import CheckRun
from core.context import Commands
from core.events import EventSink
from core.settings import CheckSettings
from tools.check_detection import detect_checks
from tools.git import Git
from tools.staging import tracked_and_new
from tools.target_python import TargetPython
from tools.turns import settled


class RepositoryChecks:
    """Implements `core.context.Checks`: given on the command line, else configured, else detected."""

    def __init__(
        self,
        root: Path,
        commands: Commands,
        settings: CheckSettings,
        target: TargetPython,
        events: EventSink,
        given: Sequence[str] = (),
    ) -> None:
        self._root = root
        self._commands = commands
        self._settings = settings
        self._target = target
        self._events = events
        self._given = tuple(given)

    async def commands(self) -> tuple[str, ...]:
        """Given, configured or detected; may be empty."""
        if self._fixed:
            return self._fixed
        async with self._commands.turns.shared():
            files = await tracked_and_new(Git(self._root))
            return await settled(detect_checks, self._root, files, has_pytest=self._target.has_pytest)

    async def run(self, *, before: Sequence[str] = ()) -> tuple[CheckRun, ...]:
        """Run them all, one after another, and tell the end of each.

        Args:
            before: What was detected before the work began: deleting the tests must not make the checks go away.
        """
        kept = () if self._fixed else before
        commands = dict.fromkeys((*kept, *await self.commands()))
        return tuple([await self._run_one(command) for command in commands])

    @property
    def _fixed(self) -> tuple[str, ...]:
        """What a person said; empty when it has to be detected."""
        return self._given or self._settings.commands

    async def _run_one(self, command: str) -> CheckRun:
        done = await self._commands.run(command, timeout_s=self._settings.timeout_s)
        self._events.emit(
            "check_finished", command=command, exit_code=done.exit_code, seconds=round(done.duration_s, 3),
            output_path=done.output_path, timed_out=done.timed_out,
        )  # fmt: skip
        return CheckRun(
            command=command, exit_code=done.exit_code, duration_s=done.duration_s, output=done.output,
            output_path=done.output_path, timed_out=done.timed_out,
        )  # fmt: skip
