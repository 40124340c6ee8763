"""What Ctrl-C and shutdown signals do to a run: ask it to stop, then stop it, then exit."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

from core.errors import Exit

GRACE_S = 10.0
"""How long a run may take to reach its next step after SIGTERM."""
LAST_GRACE_S = 5.0
"""How long a cancelled run may take to clean up."""
HANGUP_S, LAST_HANGUP_S = 1.0, 2.0
"""The same after SIGHUP: no one is watching, and a system logging the user out does not wait."""


class StopRequests:
    """Counts the requests to stop.

    Args:
        ask: Asks the run to stop at its next step; told who wants it, `user` or the name of a signal.
        cut: Stops the run immediately, with cleanup.
        say: Tells the user what is going to happen.
    """

    def __init__(self, *, ask: Callable[[str], None], cut: Callable[[], None], say: Callable[[str], None]) -> None:
        self.code: Exit | None = None
        self._ask, self._cut, self._say = ask, cut, say
        self._cutting = False
        self._last_grace_s = LAST_GRACE_S

    def interrupted(self) -> None:
        """Ctrl-C: the first asks, the second stops immediately, the third leaves everything as it is."""
        if self.code is None:
            self._say("stopping at the next step; press Ctrl-C again to stop immediately")
            self.code = Exit.INTERRUPTED
            self._ask("user")
        elif not self._cutting:
            self._say("stopping immediately")
            self._cut_now()
        else:
            leave(self.code)

    def terminated(self, by: str) -> None:
        """SIGTERM or SIGHUP: ask, and stop immediately after the grace period."""
        self._last_grace_s = LAST_HANGUP_S if by == "SIGHUP" else LAST_GRACE_S
        if self.code is None:
            self._ask(by)
            asyncio.get_running_loop().call_later(HANGUP_S if by == "SIGHUP" else GRACE_S, self._cut_now)
        else:
            self._cut_now()
        self.code = Exit.TERMINATED

    def _cut_now(self) -> None:
        if not self._cutting:
            self._cutting = True
            self._cut()
            asyncio.get_running_loop().call_later(self._last_grace_s, lambda: leave(self.code or Exit.INTERRUPTED))


@contextmanager
def catch_signals(stopping: StopRequests) -> Iterator[None]:
    """Send the signals to `stopping` while the block runs inside an event loop."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, stopping.interrupted)
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopping.terminated, number.name)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.remove_signal_handler(number)


def leave(code: Exit) -> None:
    """End this process and all it started, without cleaning up; checkpoints survive that."""
    for child in psutil.Process().children(recursive=True):
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue  # it ended by itself in the meantime
    os._exit(code)
