"""JSON on stdout: one object per line, and nothing else. It knows no command and formats nothing for people."""

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.events import Event


def write_line(record: Mapping[str, Any]) -> None:
    """Write one object and hand it on at once, so that a reader can follow.

    Raises:
        BrokenPipeError: Nobody reads any more.
    """
    sys.stdout.write(json.dumps(record, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def answer(data: Mapping[str, Any]) -> None:
    """Write the one object a command answers with, version first."""
    write_line({"v": 1, **data})


class EventLines:
    """Writes events as they come and keeps the result back, since it must be the last line."""

    def __init__(self) -> None:
        self.result: dict[str, Any] = {}
        self.closed = False
        """Nobody reads any more; the run goes on all the same."""

    def listen(self, event: "Event") -> None:
        """Write one event."""
        if event.event == "result":
            self.result = event.flat()
        else:
            self._write(event.flat())

    def finish(self, **outcome: Any) -> None:
        """Write the last line: the result as the command line tells it, with the time the run gave."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._write({"v": 1, "ts": self.result.get("ts", now), **outcome})

    def _write(self, record: Mapping[str, Any]) -> None:
        if self.closed:
            return
        try:
            write_line(record)
        except BrokenPipeError:
            self.closed = True
            print("warning: nobody reads the events on stdout any more; the run goes on", file=sys.stderr)
