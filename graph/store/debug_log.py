"""The debug log of a run, `debug.log` in its directory: what `logging` records, rotated and redacted.

Several runs in one process each write to their own file. A log that cannot be written loses lines but never the run.
"""

import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from core.redaction import Redactor, redact, without_query
from core.text import readable, visible

MAX_BYTES = 2_000_000
OLDER_FILES = 3
"""Older files `debug.log.1`, … that are also kept."""
_MAX_CHARS = 20_000
_OURS = ("core", "graph", "llm_registry", "memory", "nodes", "rolecall", "tools")
_LIBRARIES = ("httpx", "langchain", "langchain_core", "langgraph", "openai")
"""Logged from INFO up; below it they log bodies and headers of requests. All others are logged from WARNING up."""
_FORMAT = "%(asctime)s.%(msecs)03d %(levelname)-7s %(name)s: %(message)s"


@dataclass(frozen=True, slots=True)
class _Run:
    thread_id: str
    redactor: Redactor


_CURRENT: ContextVar[_Run | None] = ContextVar("rolecall_run", default=None)


class RedactingFormatter(logging.Formatter):
    """One line per record, with what follows, such as a traceback, indented; without secrets and control characters."""

    def __init__(self) -> None:
        super().__init__(_FORMAT, "%Y-%m-%d %H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """The text of a record, with known secrets of the current run hidden."""
        run = _CURRENT.get()
        text = super().format(record)
        if len(text) > _MAX_CHARS:
            text = f"{text[: _MAX_CHARS // 4]}\n… cut …\n{text[-_MAX_CHARS // 4 * 3 :]}"
        clean = (run.redactor if run else Redactor()).clean(readable(text))
        return visible(without_query(redact(clean))).replace("\n", "\n    ")


class RunLogHandler(RotatingFileHandler):
    """Writes what happens in one run into its file, which only its user can read.

    Args:
        path: The file; its directory must exist.
        thread_id: Of the run.
    """

    def __init__(self, path: Path, thread_id: str) -> None:
        super().__init__(
            path, maxBytes=MAX_BYTES, backupCount=OLDER_FILES, encoding="utf-8", delay=True, errors="backslashreplace"
        )
        self._thread_id = thread_id
        self.lost = 0
        """Records that could not be written."""
        self.setFormatter(RedactingFormatter())
        self.addFilter(self._is_of_run)
        self.addFilter(is_told)

    def _open(self) -> TextIOWrapper:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(self.baseFilename, flags, 0o600)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            message = "not a plain file"
            raise OSError(message)
        os.fchmod(descriptor, 0o600)
        return open(descriptor, "a", encoding=self.encoding, errors=self.errors)  # noqa: PTH123 - a descriptor

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - as the base class has it
        """Count a record that could not be written: the disk may be full, and the run continues."""
        self.lost += 1

    def _is_of_run(self, _: logging.LogRecord) -> bool:
        run = _CURRENT.get()
        return run is not None and run.thread_id == self._thread_id


class _Upwards(logging.Handler):
    """Passes warnings to other listeners on all loggers, such as a notebook; does nothing if there are none."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on."""
        root = logging.getLogger()
        others = [handler for handler in root.handlers if record.levelno >= handler.level]
        for handler in others:
            if not isinstance(handler.formatter, RedactingFormatter):
                handler.handle(record)


def is_told(record: logging.LogRecord) -> bool:
    """Whether a record belongs in our log: all our own, and what libraries may log."""
    top = record.name.partition(".")[0]
    return top in _OURS or record.levelno >= (logging.INFO if top in _LIBRARIES else logging.WARNING)


@contextmanager
def attached(handler: logging.Handler) -> Iterator[None]:
    """Attach a handler with a `RedactingFormatter` to our loggers and those of libraries while the block runs."""
    root, ours = logging.getLogger(), [logging.getLogger(name) for name in _OURS]
    root.addHandler(handler)
    for logger in ours:
        logger.addHandler(handler)
        if logger.propagate:  # the first: our words go to handlers of others only from WARNING on
            logger.propagate = False
            logger.setLevel(logging.DEBUG)
            logger.addHandler(_Upwards())
    for name in _LIBRARIES:
        if logging.getLogger(name).level == logging.NOTSET:
            logging.getLogger(name).setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        for logger in ours:
            logger.removeHandler(handler)
            if all(isinstance(other, _Upwards) for other in logger.handlers):
                logger.handlers.clear()
                logger.propagate = True
                logger.setLevel(logging.NOTSET)


@contextmanager
def debug_log(path: Path, thread_id: str, redactor: Redactor) -> Iterator[None]:
    """Keep a debug log of the run of a thread while the block runs.

    Args:
        path: The file; its directory must exist.
        thread_id: The thread.
        redactor: Knows the secrets of the run.
    """
    handler = RunLogHandler(path, thread_id)
    with attached(handler), logging_as(thread_id, redactor):
        try:
            yield
        finally:
            if handler.lost:
                logging.getLogger(__name__).warning("%d records before this one could not be written", handler.lost)
            with suppress(OSError):  # what could not be written is lost either way
                handler.close()


@contextmanager
def logging_as(thread_id: str, redactor: Redactor) -> Iterator[None]:
    """Assign what is logged in the block to the run of a thread, whichever task logs it."""
    token: Any = _CURRENT.set(_Run(thread_id, redactor))
    try:
        yield
    finally:
        with suppress(ValueError):  # left in another task than it was entered in, whose variable is its own
            _CURRENT.reset(token)
