"""Reads lines the user types while a run continues. Under a live display it also takes over the echo, because the
terminal's own would be overwritten. What a line means is decided elsewhere."""

import asyncio
import codecs
import os
import signal
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

_ERASE = {"\x7f", "\x08"}
_END = "\x04"  # Ctrl-D
_WIPE = {"\x15", "\x17"}  # Ctrl-U, Ctrl-W


class Keyboard:
    """Turns what comes from a terminal into lines.

    Args:
        on_line: Gets each finished line that is not blank.
        on_change: Gets what is typed so far, after each key.
        on_end: Called when no more can come: the terminal is gone, or Ctrl-D was typed on an empty line.
    """

    def __init__(
        self, on_line: Callable[[str], None], on_change: Callable[[str], None], on_end: Callable[[], None]
    ) -> None:
        self._on_line = on_line
        self._on_change = on_change
        self.end = on_end
        self._typed = ""
        self._in_escape = False
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode

    def feed(self, data: bytes) -> None:
        """Take bytes as the terminal sends them."""
        for character in self._decode(data):
            self._key(character)
        self._on_change(self._typed)

    def _key(self, character: str) -> None:
        if self._in_escape:  # an arrow key or the like: skip to its last letter
            self._in_escape = not (character.isalpha() or character == "~")
        elif character in "\r\n":
            line, self._typed = self._typed.strip(), ""
            if line:
                self._on_line(line)
        elif character in _ERASE:
            self._typed = self._typed[:-1]
        elif character in _WIPE:
            self._typed = ""
        elif character == _END and not self._typed:
            self.end()
        elif character == "\x1b":
            self._in_escape = True
        elif character.isprintable():
            self._typed += character


@contextmanager
def listening(keyboard: Keyboard, descriptor: int, *, raw: bool) -> Iterator[None]:
    """Feed the keyboard from a terminal while the block runs inside an event loop.

    Args:
        keyboard: Gets the bytes.
        descriptor: The terminal.
        raw: Turn the terminal's line editing and echo off, and back on afterwards.
    """
    loop = asyncio.get_running_loop()

    def read() -> None:
        if not _ours(descriptor):
            return  # sent to the background: what is typed is for the shell
        try:
            data = os.read(descriptor, 4096)
        except OSError:
            data = b""  # the terminal was closed
        if data:
            keyboard.feed(data)
        else:
            loop.remove_reader(descriptor)
            keyboard.end()

    def take_over() -> None:
        if raw and _ours(descriptor):
            tty.setcbreak(descriptor, termios.TCSANOW)  # what was typed meanwhile is not thrown away

    before = termios.tcgetattr(descriptor)
    take_over()
    loop.add_reader(descriptor, read)
    loop.add_signal_handler(signal.SIGCONT, take_over)  # after Ctrl-Z and `fg` the shell's own mode is set
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGCONT)
        loop.remove_reader(descriptor)
        with suppress(termios.error):  # a closed terminal has nothing to be put back
            if _ours(descriptor):
                termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def in_foreground(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal that we may read: a job started with `&` would be stopped by the first attempt."""
    if stream is None or stream.closed or not stream.isatty():
        return False
    return _ours(stream.fileno())


def _ours(descriptor: int) -> bool:
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return False  # a terminal, but not the one that controls us; or it is gone
