"""A program on a terminal of its own, as a person uses it: what it shows can be read, keys can be typed."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.unit.rolecall.fork_server import can_fork, fork

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]")


class Terminal:
    """Runs a program as the foreground job of a new terminal, 100 columns wide."""

    def __init__(self, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> None:
        self._side, program = pty.openpty()
        fcntl.ioctl(program, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        env = {**env, "TERM": "xterm-256color"}
        self._process = (
            fork(argv, cwd=cwd, env=env, streams=(program, program, program), terminal=True)
            if can_fork(argv, env) else subprocess.Popen(
                argv, cwd=cwd, env=env, stdin=program, stdout=program, stderr=program, start_new_session=True,
                preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - a test has one thread
            )
        )  # fmt: skip
        self._program_side = program
        self.shown = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self.close()

    def close(self) -> None:
        """Close the window the program runs in; the system hangs it up."""
        for side in (self._side, self._program_side):
            if side >= 0:
                os.close(side)
        self._side = self._program_side = -1

    @property
    def text(self) -> str:
        """Everything shown so far, without what moves the cursor or sets colours."""
        return _CONTROL.sub("", self.shown).replace("\r", "")

    def type(self, keys: str) -> None:
        os.write(self._side, keys.encode())

    def wait_for(self, text: str, *, seconds: float = 60) -> None:
        """Read until the text was shown."""
        deadline = time.monotonic() + seconds
        while text not in self.text:
            assert time.monotonic() < deadline, f"{text!r} was not shown in {seconds} s:\n{self.text[-3000:]}"
            self._read()

    def look(self) -> None:
        """Read what was shown meanwhile; a program whose terminal nobody reads stands still."""
        self._read()

    def end(self, *, seconds: float = 60) -> int:
        """Read until the program ends; return its exit code."""
        deadline = time.monotonic() + seconds
        while self._process.poll() is None:
            assert time.monotonic() < deadline, f"it did not end in {seconds} s:\n{self.text[-3000:]}"
            self._read()
        self._read()
        return self._process.returncode

    def echoes(self) -> bool:
        """Whether the terminal shows what is typed and gives whole lines, as it did in the beginning."""
        flags = termios.tcgetattr(self._side)[3]
        return bool(flags & termios.ECHO and flags & termios.ICANON)

    def suspend_and_continue(self) -> None:
        """What Ctrl-Z and `fg` do: the program stands still while the shell sets the terminal to its own mode."""
        self._process.send_signal(signal.SIGSTOP)
        mode = termios.tcgetattr(self._side)
        mode[3] |= termios.ECHO | termios.ICANON
        termios.tcsetattr(self._side, termios.TCSANOW, mode)
        assert self.echoes()
        self._process.send_signal(signal.SIGCONT)

    def _read(self) -> None:
        if self._side < 0:
            time.sleep(0.1)
            return
        while select.select([self._side], [], [], 0.1)[0]:
            self.shown += os.read(self._side, 65536).decode(errors="replace")
