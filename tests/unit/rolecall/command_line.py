"""Runs the real command line in a process of its own."""

import fcntl
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.unit.rolecall.fork_server import Server, can_fork, fork

HOUSE = Path(__file__).parents[3]


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


_SAME = {"ROLECALL_STATE_DIR"}
"""Who the user is: repositories that this process made are the user's too."""


def environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The user's environment, without the test runner's and with a home of its own."""
    ours = ("ROLECALL_", "PYTHON", "XDG_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours) or name in _SAME}
    return {**kept, "HOME": str(home), **(more or {})}


def rolecall(*words: str, cwd: Path, env: Mapping[str, str] | None = None, stdin: str = "") -> Done:
    """Run `rolecall` as a user does."""
    done = run_piped(words, cwd=cwd, env=environment(cwd.parent, env), stdin=stdin.encode())
    return Done(done.returncode, _text(done.stdout), _text(done.stderr))


def run_piped(
    words: Sequence[str], *, cwd: Path, env: Mapping[str, str], stdin: bytes = b"", timeout: float | None = None,
    server: Server | None = None,
) -> subprocess.CompletedProcess[bytes]:  # fmt: skip
    """Run `rolecall` with pipes for its streams.

    Args:
        words: What follows its name.
        cwd: Where it is run.
        env: Its whole environment.
        stdin: What it can read.
        timeout: Seconds until it is killed.
        server: Who forks it; see `fork`.
    """
    argv = [sys.executable, "-m", "rolecall", *words]
    if not can_fork(argv, env):
        return subprocess.run(
            argv, cwd=cwd, env=env, input=stdin, capture_output=True, check=False, timeout=timeout
        )  # fmt: skip
    given, giving = os.pipe()
    os.write(giving, stdin)
    os.close(giving)
    with os.fdopen(given), tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = fork(argv, cwd=cwd, env=env, streams=(given, out.fileno(), err.fileno()), server=server)
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(argv, code, out.read(), err.read())


class Begun:
    """`rolecall` at work: its output can be read meanwhile, its errors at its end; it has nothing to read itself.

    Args:
        words: What follows its name.
        cwd: Where it is run.
        env: Its whole environment, without variables for the interpreter.
        buffer: Bytes of output that nobody has read yet before it must wait (Linux).
    """

    def __init__(self, *words: str, cwd: Path, env: Mapping[str, str], buffer: int | None = None) -> None:
        argv = [sys.executable, "-m", "rolecall", *words]
        assert can_fork(argv, env)
        reading, writing = os.pipe()
        if buffer is not None:
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, buffer)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it was read
        with Path(os.devnull).open() as nothing, os.fdopen(writing, "w"):
            streams = (nothing.fileno(), writing, self._errors.fileno())
            self._process = fork(argv, cwd=cwd, env=env, streams=streams)
        self.stdout = os.fdopen(reading, encoding="utf-8")
        self.pid = self._process.pid
        self.wait, self.poll = self._process.wait, self._process.poll
        self.kill, self.send_signal = self._process.kill, self._process.send_signal

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Read the rest until it ends: its output from here on, and all its errors."""
        rest: list[str] = []
        reader = threading.Thread(target=lambda: rest.append(self.stdout.read()), daemon=True)
        reader.start()
        self.wait(timeout)
        reader.join(timeout)
        self.stdout.close()
        with self._errors as errors:
            errors.seek(0)
            return "".join(rest), _text(errors.read())


def _text(data: bytes) -> str:
    return data.decode().replace("\r\n", "\n").replace("\r", "\n")
