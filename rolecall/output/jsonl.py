"""JSON on stdout: one object per line, and nothing else. It knows no command and formats nothing for people."""

import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from core.text import safe_json

if TYPE_CHECKING:
    from core.events import Event


def write_json_line(record: Mapping[str, Any]) -> None:
    """Write one object and flush it immediately, so that a reader can follow.

    Raises:
        BrokenPipeError: No one reads any more.
    """
    sys.stdout.write(_line(record))
    sys.stdout.flush()


def write_answer(data: Mapping[str, Any]) -> None:
    """Write the one object a command answers with, version first."""
    write_json_line({"v": 1, **data})


class EventLines:
    """Writes events in order and holds the result back, because it must be the last line.

    Writing waits for the reader, so this belongs in a thread that blocks nothing else.
    """

    def __init__(self) -> None:
        self._ended = ""
        self._open = True

    def listen(self, event: "Event") -> None:
        """Write one event."""
        if event.event == "result":
            self._ended = str(event.flat()["ts"])
        else:
            self._write(event.flat())

    def finish(self, **outcome: Any) -> None:
        """Write the last line: the result as the command line reports it, with the run's timestamp."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._write({"v": 1, "ts": self._ended or now, "event": "result", **outcome})

    def _write(self, record: Mapping[str, Any]) -> None:
        """Not through `sys.stdout`, whose lock a blocked writer would keep to the end."""
        data = _line(record).encode("utf-8", "backslashreplace")
        while self._open and data:
            try:
                data = data[os.write(sys.stdout.fileno(), data) :]
            except OSError:
                self._open = False
                print("warning: stdout was closed, so no more events are written; the run continues", file=sys.stderr)


def _line(record: Mapping[str, Any]) -> str:
    return safe_json(json.dumps(record, ensure_ascii=False, default=str)) + "\n"
