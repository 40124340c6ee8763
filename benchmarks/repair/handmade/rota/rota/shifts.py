"""Shifts in minutes after midnight."""

from dataclasses import dataclass

DAY = 24 * 60


def minutes(text):
    """Read `HH:MM`.

    Raises:
        ValueError: it is no time of day.
    """
    hour, _, minute = text.partition(":")
    total = int(hour) * 60 + int(minute or 0)
    if not 0 <= total < DAY:
        raise ValueError(f"no time of day: {text}")
    return total


def clock(total):
    return f"{total // 60:02d}:{total % 60:02d}"


@dataclass(frozen=True)
class Shift:
    worker: str
    start: int
    end: int

    @classmethod
    def parse(cls, text):
        """Read `ann 08:00-16:30`."""
        worker, span = text.rsplit(" ", 1)
        start, end = span.split("-")
        return cls(worker, minutes(start), minutes(end))

    @property
    def length(self):
        """Minutes worked; a shift may go past midnight."""
        return (self.end - self.start) % DAY

    def overlaps(self, other):
        return self.start < other.end and other.start < self.end

    def covers(self, moment):
        return self.start <= moment < self.end
