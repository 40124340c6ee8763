"""A program that runs under a policy, until nothing is left of it. Owns its end, and what bubblewrap reports."""

import asyncio
import json
import os
import select
from dataclasses import dataclass

from tools.processes.child_process import end_process

_GONE_S = 5.0
_READ = 1 << 16


@dataclass(slots=True)
class RunningProcess:
    """A started program; its starter calls `end_process`, even after it ended by itself."""

    process: asyncio.subprocess.Process
    status: int | None = None
    """Where bubblewrap reports its status; `None` without it."""

    async def end(self, mark: str = "") -> None:
        """Kill all that is left, and wait until it is gone.

        Args:
            mark: Without bubblewrap, the mark of processes that are otherwise fully detached.
        """
        try:
            await end_process(self.process, "" if self.status is not None else mark)
            if self.status is not None:
                await asyncio.to_thread(_wait_for_gone, self._told().get("child-pid"))
        finally:
            if self.status is not None:
                os.close(self.status)
                self.status = None

    def walls_failed(self) -> bool:
        """Whether the program was never started because the sandbox could not be set up; valid after its end."""
        return self.status is not None and self.process.returncode not in {None, 0} and "exit-code" not in self._told()

    _words: str = ""

    def _told(self) -> dict[str, int]:
        while self.status is not None and select.select([self.status], [], [], 0)[0]:
            data = os.read(self.status, _READ)
            if not data:
                break
            self._words += data.decode("utf-8", "replace")
        told: dict[str, int] = {}
        for line in self._words.splitlines():
            try:
                told |= json.loads(line)
            except ValueError:
                # Cut off: bubblewrap was killed while it wrote.
                continue
        return told


def _wait_for_gone(pid: int | None) -> None:
    """Wait for the first process inside: when it is gone, so are all others."""
    if pid is None or not hasattr(os, "pidfd_open"):
        return
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return
    try:
        select.select([descriptor], [], [], _GONE_S)
    finally:
        os.close(descriptor)
