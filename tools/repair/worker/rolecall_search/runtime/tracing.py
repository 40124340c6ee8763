"""Which lines of the program ran: two tracers with one interface, the cheaper one where the interpreter has it.

Owns the interpreter's trace hooks while it is started. It knows nothing of tests.
"""

from __future__ import annotations

import dis
import sys
import threading
from types import CodeType, FrameType
from typing import Any, Callable, Optional

Lines = dict[str, list[int]]
OnLine = Callable[[str, int], None]
TOOL_ID = 3
CALLS_LOOKED_AT = 40


class MonitoringTracer:
    """`sys.monitoring` (3.12+): every line costs one event per `take`."""

    def __init__(self, wanted: Callable[[str], bool], on_line: Optional[OnLine] = None) -> None:
        self._wanted = wanted
        self._on_line = on_line
        self._known: dict[str, bool] = {}
        self._lines: dict[str, set[int]] = {}

    def start(self) -> None:
        """Start recording."""
        monitoring = sys.monitoring
        monitoring.use_tool_id(TOOL_ID, "rolecall")
        monitoring.register_callback(TOOL_ID, monitoring.events.LINE, self._line)
        monitoring.set_events(TOOL_ID, monitoring.events.LINE)

    def _line(self, code: CodeType, line: int) -> Any:
        name = code.co_filename
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = self._wanted(name)
        if known:
            self._lines.setdefault(name, set()).add(line)
            if self._on_line is not None:
                self._on_line(name, line)
        return sys.monitoring.DISABLE

    def resume(self) -> None:
        """Resume recording if something ended it."""

    def pause(self) -> None:
        """Nothing to do: what is not wanted costs next to nothing here."""

    def only(self, lines: frozenset[tuple[str, int]]) -> None:
        """Nothing to do: lines of other functions cost next to nothing here."""

    def take(self) -> Lines:
        """The lines since the last call."""
        lines = {name: sorted(found) for name, found in self._lines.items()}
        self._lines.clear()
        sys.monitoring.restart_events()
        return lines

    def stop(self) -> None:
        """Stop recording."""
        sys.monitoring.set_events(TOOL_ID, 0)
        sys.monitoring.register_callback(TOOL_ID, sys.monitoring.events.LINE, None)
        sys.monitoring.free_tool_id(TOOL_ID)


class TraceTracer:
    """`sys.settrace`: works everywhere, slows loops of the program about fourfold.

    After `only` it traces just some functions, and none of them forever: what a function runs in its first calls in a
    test is nearly always all that it runs in that test.
    """

    def __init__(self, wanted: Callable[[str], bool], on_line: Optional[OnLine] = None) -> None:
        self._wanted = wanted
        self._on_line = on_line
        self._chosen: Optional[frozenset[tuple[str, int]]] = None
        self._codes: dict[CodeType, Optional[Callable[..., Any]]] = {}
        self._left: dict[CodeType, int] = {}
        self._known: dict[str, Optional[Callable[..., Any]]] = {}
        self._lines: dict[str, set[int]] = {}

    def start(self) -> None:
        """Start recording."""
        threading.settrace(self._call)
        sys.settrace(self._call)

    def only(self, lines: frozenset[tuple[str, int]]) -> None:
        """From now on trace only functions that contain one of these lines."""
        self._chosen = lines

    def _call(self, frame: FrameType, event: str, arg: Any) -> Optional[Callable[..., Any]]:
        if self._chosen is not None:
            return self._chosen_call(frame.f_code)
        name = frame.f_code.co_filename
        try:
            return self._known[name]
        except KeyError:
            local = self._local(name) if self._wanted(name) else None
            self._known[name] = local
            return local

    def _chosen_call(self, code: CodeType) -> Optional[Callable[..., Any]]:
        left = self._left.get(code, CALLS_LOOKED_AT)
        if left <= 0:
            return None
        self._left[code] = left - 1
        if code not in self._codes:
            name, chosen = code.co_filename, self._chosen or frozenset()
            held = any((name, line) in chosen for _, line in dis.findlinestarts(code) if line)
            self._codes[code] = self._local(name) if held and self._wanted(name) else None
        if self._codes[code] is None:
            self._left[code] = 0
        return self._codes[code]

    def _local(self, name: str) -> Callable[..., Any]:
        found, on_line = self._lines.setdefault(name, set()), self._on_line
        add = found.add

        def local(frame: FrameType, event: str, arg: Any) -> Callable[..., Any]:
            add(frame.f_lineno)
            return local

        def telling(frame: FrameType, event: str, arg: Any) -> Callable[..., Any]:
            if frame.f_lineno not in found and on_line is not None:
                add(frame.f_lineno)
                on_line(name, frame.f_lineno)
            return telling

        return local if on_line is None else telling

    def resume(self) -> None:
        """Resume recording: an error in the tracer, such as a recursion error, ends the tracing."""
        self.start()

    def pause(self) -> None:
        """Record nothing in this thread for a while."""
        sys.settrace(None)

    def take(self) -> Lines:
        """The lines since the last call; the call line of a function counts as run."""
        lines = {name: sorted(found) for name, found in self._lines.items() if found}
        for found in self._lines.values():
            found.clear()
        # A copy: where a comprehension is a call of its own, it is looked at, too.
        self._left = {code: 0 for code, local in list(self._codes.items()) if local is None}
        return lines

    def stop(self) -> None:
        """Stop recording."""
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]


Tracer = Any


def make_tracer(wanted: Callable[[str], bool], on_line: Optional[OnLine] = None) -> Tracer:
    """The cheapest tracer for this interpreter; `on_line` is called with each line when it first runs."""
    if hasattr(sys, "monitoring") and sys.monitoring.get_tool(TOOL_ID) is None:
        return MonitoringTracer(wanted, on_line)
    return TraceTracer(wanted, on_line)
