"""How long each phase of a repair takes.

Owns the sums. It measures wall-clock seconds, because phases wait for children.
"""

from __future__ import annotations

import time


class Clock:
    """Adds elapsed time to the current phase."""

    def __init__(self, since: float) -> None:
        self.seconds: dict[str, float] = {}
        self._phase = "start"
        self._since = since

    def enter(self, phase: str) -> None:
        """Start a phase; the previous one ends."""
        now = time.monotonic()
        self.seconds[self._phase] = self.seconds.get(self._phase, 0.0) + now - self._since
        self._phase, self._since = phase, now

    def told(self) -> dict[str, float]:
        """Seconds by phase so far."""
        self.enter(self._phase)
        return {phase: round(seconds, 3) for phase, seconds in self.seconds.items()}
