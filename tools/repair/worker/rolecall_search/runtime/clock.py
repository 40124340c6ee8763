"""How long each phase of a repair takes.

Owns the sums. It measures seconds of the wall, since phases wait for children.
"""

from __future__ import annotations

import time


class Clock:
    """Adds the time that passes to the phase that was named last."""

    def __init__(self, since: float) -> None:
        self.seconds: dict[str, float] = {}
        self._phase = "start"
        self._since = since

    def enter(self, phase: str) -> None:
        """Begin a phase; the one before ends."""
        now = time.monotonic()
        self.seconds[self._phase] = self.seconds.get(self._phase, 0.0) + now - self._since
        self._phase, self._since = phase, now

    def told(self) -> dict[str, float]:
        """Seconds by phase until now."""
        self.enter(self._phase)
        return {phase: round(seconds, 3) for phase, seconds in self.seconds.items()}
