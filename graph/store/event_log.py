"""The record of a run as it happens: every event goes to `events.jsonl` in the run directory and to any listener."""

import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from core.events import Event, EventName
from core.redaction import Redactor

Listen = Callable[[Event], None]

_LOG = logging.getLogger(__name__)
_MAX_LOGGED = 160  # the whole is in events.jsonl
_NOTABLE = frozenset(
    {"check_finished", "command_finished", "error", "guidance", "intervention", "model_fallback", "model_finished",
     "node_finished", "step_committed", "warning"}
)  # fmt: skip
"""Events for `-v`; `-vv` shows the others too."""


class EventLog:
    """An event sink for one thread; to be used as a context manager.

    Args:
        thread_id: Written into each event.
        path: The file, appended to; its directory must exist.
        listen: Told of each event after it is written.
        redactor: Cleans each event before anyone sees it.
    """

    def __init__(
        self, thread_id: str, path: Path, listen: Listen | None = None, redactor: Redactor | None = None
    ) -> None:
        self._redactor = redactor or Redactor()
        self._thread_id = thread_id
        self._file = path.open("a", encoding="utf-8", errors="backslashreplace")
        self._listen = listen
        if _is_cut_off(path):
            self._file.write("\n")  # else the first event would be lost together with what a kill left of the last

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def emit(self, event: EventName, /, **data: Any) -> None:
        """Write one event, whole, and pass it on.

        Raises:
            OSError: It cannot be written, for example because the disk is full.
        """
        made = Event(event=event, thread=self._thread_id, data=self._redactor.clean_tree(data))
        try:
            self._file.write(json.dumps(made.flat(), ensure_ascii=False, default=str) + "\n")
            self._file.flush()
        except OSError as error:
            error.filename = self._file.name
            raise
        self._log(made)
        if self._listen is not None:
            self._listen(made)

    def _log(self, made: Event) -> None:
        """Repeat it in the debug log; a warning or an error with its exception, if there is one."""
        about = made.event in {"warning", "error"} and sys.exc_info()[0] is not None
        told = json.dumps({key: value for key, value in made.data.items() if key != "traceback"}, default=str)
        level = logging.INFO if made.event in _NOTABLE else logging.DEBUG
        _LOG.log(level, "event %s %s", made.event, told[:_MAX_LOGGED], exc_info=about)


def _is_cut_off(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        return file.read() not in (b"", b"\n")
