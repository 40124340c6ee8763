"""JSON on stdout: one object per line, and nothing else. It knows no command and formats nothing for people."""

import json
import os
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from core.text import safe_json

if TYPE_CHECKING:
    from core.events import Event

_JOIN_S = 0.2


def write_json_line(record: Mapping[str, Any]) -> None:
    """Write one object and hand it on at once, so that a reader can follow.

    Raises:
        BrokenPipeError: Nobody reads any more.
    """
    sys.stdout.write(_line(record))
    sys.stdout.flush()


def write_answer(data: Mapping[str, Any]) -> None:
    """Write the one object a command answers with, version first."""
    write_json_line({"v": 1, **data})


class EventLines:
    """Writes events in their order and keeps the result back, since it must be the last line.

    A thread of its own writes: a reader that has stopped reading must not hold the event loop of the run.
    """

    def __init__(self) -> None:
        self.result: dict[str, Any] = {}
        self._waiting: SimpleQueue[str | None] = SimpleQueue()
        self._writer: threading.Thread | None = None

    def listen(self, event: "Event") -> None:
        """Have one event written."""
        if event.event == "result":
            self.result = event.flat()
        else:
            self._put(event.flat())

    def finish(self, **outcome: Any) -> None:
        """Write the last line: the result as the command line tells it, with the time the run gave."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._put({"v": 1, "ts": self.result.get("ts", now), **outcome})
        self.close()

    def close(self) -> None:
        """Wait until everything is written, for as long as the reader takes."""
        if self._writer is None:
            return
        self._waiting.put(None)
        while self._writer.is_alive():
            self._writer.join(_JOIN_S)  # in slices, so that Ctrl-C is heard
        self._writer = None

    def _put(self, record: Mapping[str, Any]) -> None:
        if self._writer is None:
            sys.stdout.flush()
            self._writer = threading.Thread(target=self._write, args=(sys.stdout.fileno(),), daemon=True)
            self._writer.start()
        self._waiting.put(_line(record))

    def _write(self, stdout: int) -> None:
        """Write what waits; not through `sys.stdout`, whose lock a blocked writer would keep to the end."""
        open_ = True
        while (line := self._waiting.get()) is not None:
            data = line.encode("utf-8", "backslashreplace")
            while open_ and data:
                try:
                    data = data[os.write(stdout, data) :]
                except OSError:
                    open_ = False
                    print("warning: nobody reads the events on stdout any more; the run goes on", file=sys.stderr)


def _line(record: Mapping[str, Any]) -> str:
    return safe_json(json.dumps(record, ensure_ascii=False, default=str)) + "\n"
