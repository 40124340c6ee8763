"""Recorded calls of edited functions, and slightly changed ones, to tell patches apart.

Owns recording, copying and changing of arguments. It does not apply patches.
"""

from __future__ import annotations

import copy
import inspect
import itertools
import re
import signal
import sys
from dataclasses import dataclass, field
from types import CodeType, FrameType, FunctionType
from typing import Any, Callable, Iterator

from rolecall_search.runtime.hosting import TimeLimit

CALLS_PER_FUNCTION = 10
CALL_LIMIT_S = 0.15
SHOWN = 300
ADDRESS = re.compile(r"0x[0-9a-fA-F]+")


@dataclass
class Call:
    """One call: the function and deep copies of its arguments."""

    function: FunctionType
    args: list[Any]
    keywords: dict[str, Any]
    changed: bool = False

    def text(self) -> str:
        """The call as a person would write it."""
        parts = [brief(arg) for arg in self.args]
        parts += [f"{name}={brief(value)}" for name, value in self.keywords.items()]
        return f"{self.function.__qualname__}({', '.join(parts)})"


@dataclass
class CallRecorder:
    """A profile function that copies the arguments of calls to some functions."""

    wanted: dict[int, FunctionType]
    calls: list[Call] = field(default_factory=list)
    _seen: dict[int, set[str]] = field(default_factory=dict)

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        """Handle one event of the interpreter."""
        function = self.wanted.get(id(frame.f_code)) if event == "call" else None
        if function is None:
            return
        seen = self._seen.setdefault(id(frame.f_code), set())
        if len(seen) >= CALLS_PER_FUNCTION:
            return
        try:
            call = copied(function, frame.f_code, frame.f_locals)
            key = call.text()
        except Exception:
            # The program's own copying or printing failed: the call can't be repeated.
            return
        if key not in seen:
            seen.add(key)
            self.calls.append(call)


def copied(function: FunctionType, code: CodeType, local: dict[str, Any]) -> Call:
    """A call with copies of a frame's initial arguments."""
    count = code.co_argcount
    names = code.co_varnames
    args = [local[name] for name in names[:count]]
    end = count + code.co_kwonlyargcount
    keywords = {name: local[name] for name in names[count:end]}
    if code.co_flags & inspect.CO_VARARGS:
        args += list(local[names[end]])
        end += 1
    if code.co_flags & inspect.CO_VARKEYWORDS:
        keywords.update(local[names[end]])
    args, keywords = copy.deepcopy((args, keywords))
    return Call(function, args, keywords)


def changed(calls: list[Call], limit: int) -> list[Call]:
    """Calls like the recorded ones with one argument changed a little."""
    made: list[Call] = []
    seen = {call.text() for call in calls}
    streams = [_variants(call) for call in calls]
    for call in itertools.chain.from_iterable(itertools.zip_longest(*streams)):
        if call is None:
            continue
        text = call.text()
        if text not in seen:
            seen.add(text)
            made.append(call)
        if len(made) >= limit:
            break
    return made


def _variants(call: Call) -> Iterator[Call]:
    for at, value in enumerate(call.args):
        for other in neighbours(value):
            args = [*call.args[:at], other, *call.args[at + 1 :]]
            yield Call(call.function, args, call.keywords, changed=True)


def neighbours(value: Any) -> Iterator[Any]:
    """Values close to a value, of the same type."""
    kind = type(value)
    if kind is int:
        yield from (value + 1, value - 1, 0, -value)
    elif kind is float:
        yield from (value + 0.5, 0.0, -value)
    elif kind is bool:
        yield not value
    elif kind in (list, tuple, str) and len(value) < 10_000:
        yield from (value[:-1], value[1:], value[:0], value[::-1], value + value[:1])
        if kind is str:
            yield from (value.upper(), f" {value}")
            # Two separators in a row, and an empty part at an end.
            yield from (value.replace(sign, 2 * sign, 1) for sign in sorted(set(value)) if not sign.isalnum())
    elif kind is dict and value:
        rest = dict(list(value.items())[1:])
        yield from (rest, {})
    elif kind is set and value:
        yield set(sorted(value, key=repr)[1:])


def outputs(calls: list[Call], current: Callable[[Call], Any]) -> list[str]:
    """What each call results in: its value and changed arguments, its error, or that it hangs."""
    signal.signal(signal.SIGALRM, _alarm)
    made = []
    for call in calls:
        signal.setitimer(signal.ITIMER_REAL, CALL_LIMIT_S, 0.05)
        try:
            made.append(_output(call, current))
        except TimeLimit:
            made.append("does not end")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    return made


def _output(call: Call, current: Callable[[Call], Any]) -> str:
    args, keywords = copy.deepcopy((call.args, call.keywords))
    try:
        value = current(Call(call.function, args, keywords))
        if inspect.isgenerator(value):
            value = list(itertools.islice(value, 200))
        text = brief(value)
        after = ", ".join(brief(arg) for arg in args)
        before = ", ".join(brief(arg) for arg in call.args)
        return text if after == before else f"{text} and leaves {after}"
    except Exception as error:
        return f"raises {type(error).__name__}"


def brief(value: Any) -> str:
    """A short text of a value without addresses; objects show their attributes."""
    text = repr(value)
    if ADDRESS.search(text) and hasattr(value, "__dict__") and not callable(value):
        inner = ", ".join(f"{k}={v!r}" for k, v in sorted(vars(value).items()))
        text = f"{type(value).__name__}({inner})"
    text = ADDRESS.sub("0x", text)
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def record_calls(run_tests: Callable[[Callable[[], None]], None], wanted: dict[int, FunctionType]) -> list[Call]:
    """Record calls while `run_tests` runs tests; it calls its argument before each test."""
    recorder = CallRecorder(wanted)
    try:
        run_tests(lambda: sys.setprofile(recorder))
    finally:
        sys.setprofile(None)
    return recorder.calls


def _alarm(number: int, frame: object) -> None:
    raise TimeLimit
