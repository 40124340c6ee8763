"""One log line to one record."""

from datetime import datetime
from typing import NamedTuple

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
STAMP = "%Y-%m-%dT%H:%M:%S"


class LineError(ValueError):
    """A line that is no log line."""


class Record(NamedTuple):
    when: datetime
    level: int
    service: str
    message: str


def parse_level(text):
    name = text.strip().lower()
    if name == "warn":
        name = "warning"
    try:
        return LEVELS[name]
    except KeyError:
        raise LineError(f"unknown level {text!r}") from None


def parse_line(line):
    """Read `2026-01-05T10:00:00 [ERROR] billing: message`.

    A fraction of a second after the stamp is allowed and dropped.
    """
    stamp, bracket, rest = line.partition(" [")
    if not bracket:
        raise LineError("no level")
    level, _, rest = rest.partition("] ")
    service, colon, message = rest.partition(":")
    if not colon:
        raise LineError("no service")
    when = datetime.strptime(stamp[:19], STAMP)
    return Record(when, parse_level(level), service, message.strip())


def parse_all(lines, on_error=None):
    """Yield records; lines that can't be read go to `on_error` with their number."""
    for number, line in enumerate(lines, start=1):
        text = line.rstrip("\n")
        if not text or text.startswith("#"):
            continue
        try:
            yield parse_line(text)
        except ValueError as error:
            if on_error is None:
                raise
            on_error(number, str(error))
