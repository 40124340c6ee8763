"""Which lines of the program run while the test files are imported.

Owns the hook around imports and the time it may slow them. It ranks nothing.
"""

from __future__ import annotations

import signal
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Callable

from rolecall_search.runtime.tracing import Lines, make_tracer

TRACED_S = 3.0
"""Seconds of the processor that imports may take with the tracer; then they go on without."""


class ImportTrace:
    """Traces the program while its files are imported, and nothing that they import from elsewhere."""

    def __init__(self, wanted: Callable[[str], bool]) -> None:
        self._wanted = wanted
        self._tracer = make_tracer(wanted)
        self._tracing = False
        self._left = TRACED_S
        self._original = SourceFileLoader.exec_module

    def begin(self) -> None:
        """Trace imports from now on."""
        original = self._original

        def exec_module(loader: SourceFileLoader, module: ModuleType) -> None:
            before = self._tracing
            self._switch(self._wanted(loader.path))
            try:
                original(loader, module)
            finally:
                self._switch(before)

        SourceFileLoader.exec_module = exec_module  # type: ignore[method-assign,assignment]
        signal.signal(signal.SIGVTALRM, lambda number, frame: self._stop())

    def end(self) -> Lines:
        """Trace no import any more; returns the lines that ran."""
        self._stop()
        signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
        SourceFileLoader.exec_module = self._original  # type: ignore[method-assign]
        lines: Lines = self._tracer.take()
        return lines

    def _switch(self, on: bool) -> None:  # noqa: FBT001
        if on == self._tracing or self._left <= 0:
            return
        self._tracing = on
        if on:
            signal.setitimer(signal.ITIMER_VIRTUAL, self._left)
            self._tracer.start()
        else:
            self._tracer.stop()
            self._left, _ = signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)

    def _stop(self) -> None:
        self._switch(False)  # noqa: FBT003
        self._left = 0.0
