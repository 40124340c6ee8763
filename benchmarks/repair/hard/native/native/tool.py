"""A command with subcommands."""

import os
import signal
import sys
from collections.abc import Sequence


class Stop(Exception):
    """Ends the command; carries the exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


def check(value: str) -> int:
    """Return a number from the command line.

    Raises:
        Stop: it is none; the exit code is 2.
    """
    try:
        return int(value)
    except ValueError:
        raise Stop(2) from None


def run(arguments: Sequence[str]) -> int:
    """Run a subcommand and return its exit code."""
    if not arguments:
        return 2
    name, *values = arguments
    try:
        if name == "sum":
            print(sum(check(value) for value in values))
            return 0
        if name == "stop":
            raise Stop(check(values[0]) if values else 0)
    except Stop as stop:
        return stop.code
    return unknown(name)


def unknown(name: str) -> int:
    print(f"unknown command {name}", file=sys.stderr)
    return 64


class Guard:
    """Turns Ctrl-C into a flag while it is entered."""

    def __init__(self) -> None:
        self.asked = False
        self.old: object = None

    def __enter__(self) -> "Guard":
        self.old = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self.old)  # type: ignore[arg-type]

    def _note(self, *_: object) -> None:
        self.asked = True


def isolated(number: int) -> int:
    """Square a number in a child process and return its last eight bits."""
    child = os.fork()
    if child == 0:
        os._exit(number * number & 0xFF)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)
