"""Types of local names and attributes, recorded while a few tests run.

Owns the recording and reading it by unit. It draws no conclusions.
"""

from __future__ import annotations

import dis
import signal
import sys
from dataclasses import dataclass, field
from types import FrameType, FunctionType, MethodType, ModuleType
from typing import Any, Callable

from rolecall_search.program.source import SourceFile, Unit
from rolecall_search.program.typeinfo import UnitTypes
from rolecall_search.runtime.hosting import TimeLimit
from rolecall_search.runtime.isolate import Limits, run_apart

TEST_LIMIT_S = 0.7
FRAMES_PER_CODE = 60
OBJECTS_PER_TYPE = 6
METHODS_PER_TYPE = 40
LEAVING = frozenset(dis.opmap[name] for name in ("RETURN_VALUE", "RETURN_CONST", "YIELD_VALUE") if name in dis.opmap)
Seen = dict[str, set[str]]


@dataclass
class Recorder:
    """Records the frames of the program while `sys.setprofile` calls it."""

    real: Callable[[str], str]
    names: dict[tuple[str, int], Seen] = field(default_factory=dict)
    elements: dict[tuple[str, int], Seen] = field(default_factory=dict)
    results: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    attributes: dict[str, Seen] = field(default_factory=dict)
    methods: dict[str, list[str]] = field(default_factory=dict)
    _counts: dict[tuple[str, int], int] = field(default_factory=dict)
    _objects: dict[str, int] = field(default_factory=dict)

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        """Record one call or return."""
        if event not in ("call", "return"):
            return
        code = frame.f_code
        path = self.real(code.co_filename)
        if not path or code.co_name == "<module>":
            return
        key = (path, code.co_firstlineno)
        count = self._counts[key] = self._counts.get(key, 0) + 1
        if count > FRAMES_PER_CODE and count & (count - 1):
            return
        self._locals(key, frame)
        if event == "return" and returns(frame, arg):
            self.results.setdefault(key, set()).add(type(arg).__name__)
        elif event == "call" and frame.f_back is not None:
            # A caller that never returns, for endless recursion, is seen from below.
            caller = self.real(frame.f_back.f_code.co_filename)
            if caller and frame.f_back.f_code.co_name != "<module>":
                self._locals((caller, frame.f_back.f_code.co_firstlineno), frame.f_back)

    def _locals(self, key: tuple[str, int], frame: FrameType) -> None:
        names = self.names.setdefault(key, {})
        elements = self.elements.setdefault(key, {})
        for name, value in frame.f_locals.items():
            names.setdefault(name, set()).add(type(value).__name__)
            for inner in first_elements(value):
                elements.setdefault(name, set()).add(type(inner).__name__)
                self._look(inner, 1)
            self._look(value, 2)

    def _look(self, value: Any, depth: int) -> None:
        kind = type(value)
        if kind.__module__ == "builtins" or isinstance(value, (type, ModuleType)):
            return
        count = self._objects.get(kind.__name__, 0)
        if depth <= 0 or (count >= OBJECTS_PER_TYPE and count & (count - 1)):
            self._objects[kind.__name__] = count + 1
            return
        self._objects[kind.__name__] = count + 1
        if kind.__name__ not in self.methods:
            self.methods[kind.__name__] = own_methods(kind)
        known = self.attributes.setdefault(kind.__name__, {})
        for name, inner in state_of(value):
            if not isinstance(inner, (FunctionType, MethodType)):
                known.setdefault(name, set()).add(type(inner).__name__)
                self._look(inner, depth - 1)

    def plain(self) -> tuple[Any, ...]:
        """Everything as marshallable values."""
        return (
            [(key, _lists(seen)) for key, seen in self.names.items()],
            [(key, _lists(seen)) for key, seen in self.elements.items()],
            [(key, sorted(seen)) for key, seen in self.results.items()],
            [(key, _lists(seen)) for key, seen in self.attributes.items()],
            list(self.methods.items()),
        )


def returns(frame: FrameType, value: Any) -> bool:
    """Whether a frame that ends gives a value: one that an exception leaves seems to return None."""
    return value is not None or frame.f_code.co_code[frame.f_lasti] in LEAVING


def first_elements(value: Any) -> list[Any]:
    """One element of a built-in container; of a mapping, one value."""
    kind = type(value)
    if not value and kind in (list, tuple, set, dict, str):
        return []
    if kind in (list, tuple):
        return [value[0], value[-1]]
    if kind in (set, frozenset):
        return [next(iter(value))] if value else []
    if kind is dict:
        return [next(iter(value.values()))]
    return []


def state_of(value: Any) -> list[tuple[str, Any]]:
    """Data attributes of an object, without running its code."""
    found = list(getattr(value, "__dict__", {}).items())[:40]
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in [slots] if isinstance(slots, str) else slots:
            slot = kind.__dict__.get(name)
            if type(slot).__name__ == "member_descriptor":
                try:
                    found.append((name, slot.__get__(value)))
                except AttributeError:
                    continue
    return [(name, inner) for name, inner in found if isinstance(name, str)]


def own_methods(kind: type) -> list[str]:
    """Public methods that a class of the program defines, inherited ones included."""
    names = []
    for base in kind.__mro__:
        if base.__module__ == "builtins":
            continue
        names += [
            name
            for name, member in vars(base).items()
            if isinstance(member, FunctionType) and not name.startswith("__")
        ]
    return list(dict.fromkeys(names))[:METHODS_PER_TYPE]


def record(
    host: Any,
    items: list[Any],
    tests: list[int],
    real: Callable[[str], str],
    temp: str,
    limit: float,
) -> tuple[Any, ...]:
    """Run tests in a child with the recorder; returns its plain values, or () when it died.

    It gets at most `limit` seconds.
    """

    def work() -> tuple[Any, ...]:
        recorder = Recorder(real)
        host.watch = lambda on: sys.setprofile(recorder if on else None)
        signal.signal(signal.SIGALRM, _alarm)
        for at, test in enumerate(tests):
            following = items[tests[at + 1]] if at + 1 < len(tests) else None
            signal.setitimer(signal.ITIMER_REAL, TEST_LIMIT_S, 0.2)
            try:
                host.run(items[test], following)
            except TimeLimit:
                continue
            finally:
                sys.setprofile(None)
                signal.setitimer(signal.ITIMER_REAL, 0)
        return recorder.plain()

    seconds = min(2.0 + TEST_LIMIT_S * min(len(tests), 8), max(0.5, limit))
    return run_apart(work, Limits(seconds, min(2 * seconds, max(0.5, limit))), temp).reply or ()


def unit_types(plain: tuple[Any, ...], sources: dict[str, SourceFile]) -> dict[Unit, UnitTypes]:
    """Match what was recorded to the units of the sources."""
    if not plain:
        return {}
    names, elements, results, attributes, methods = plain
    shared = {name: _types(seen) for name, seen in attributes}
    known_methods = {name: tuple(found) for name, found in methods}
    made: dict[Unit, UnitTypes] = {}
    for path, source in sources.items():
        for unit in source.units:
            made[unit] = UnitTypes(attributes=shared, methods=known_methods)
        for (place, line), seen in names:
            unit = _unit_of(source, line) if place == path else None
            if unit is not None:
                merge(made[unit].names, _types(seen))
        for (place, line), seen in elements:
            unit = _unit_of(source, line) if place == path else None
            if unit is not None:
                merge(made[unit].elements, _types(seen))
        for (place, line), found in results:
            unit = _unit_of(source, line) if place == path else None
            if unit is not None and unit.first_line <= line <= unit.node.lineno:
                made[unit].results = made[unit].results | frozenset(found)
    return made


def merge(into: dict[str, frozenset[str]], new: dict[str, frozenset[str]]) -> None:
    """Add types by name."""
    for name, types in new.items():
        into[name] = into.get(name, frozenset()) | types


def _unit_of(source: SourceFile, line: int) -> Any:
    for unit in source.units:
        if unit.first_line <= line <= (unit.node.end_lineno or line):
            return unit
    return None


def _types(seen: dict[str, list[str]]) -> dict[str, frozenset[str]]:
    return {name: frozenset(types) for name, types in seen.items()}


def _lists(seen: Seen) -> dict[str, list[str]]:
    return {name: sorted(types) for name, types in seen.items()}


def _alarm(number: int, frame: object) -> None:
    raise TimeLimit
