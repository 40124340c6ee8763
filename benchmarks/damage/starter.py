"""Starts real command lines quickly: one process has imported everything and forks for each of them.

Owns how a command is started and under which conditions; knows nothing of what is damaged.
"""

import ctypes
import importlib
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_IMPORTS = (
    "rolecall.cli", "rolecall.terminal.terminal_run", "rolecall.commands.run", "rolecall.commands.threads",
    "rolecall.commands.log_diff_apply", "rolecall.commands.steer", "graph.runner", "graph.store.receipts",
    "llm_registry.overrides", "llm_registry.providers.openai_compatible", "langchain_openai", "core.storage.database",
)  # fmt: skip
_CAPABILITIES = (1, 2, 3)
"""CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER: what lets root pass over permissions."""
_SET_BOUNDS = 24
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
_LIMIT_S = 90.0


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under what a command runs besides the damage itself."""

    ordinary: bool = False
    """Permissions hold, also for root."""
    busy_s: float = 1.5
    """How long a locked database is waited for; the product's own patience is half a minute."""
    clock_s: float = 0.0
    """How far the clock is off."""
    files: int = 0
    """How many files may be open; 0: as many as usual."""
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str
    seconds: float


class Starter:
    """The process that forks; made before this one has threads. To be used as a context manager.

    Args:
        folder: Where output is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        ours, theirs = os.pipe(), os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(ours[1])
            os.close(theirs[0])
            _serve(ours[0], theirs[1])
        os.close(ours[0])
        os.close(theirs[1])
        self._requests = os.fdopen(ours[1], "w")
        self._answers = os.fdopen(theirs[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._requests.close()
        self._answers.close()
        os.waitpid(self._pid, 0)

    def rolecall(self, words: Sequence[str], cwd: Path, conditions: Conditions) -> Done:
        """Run one command line to its end; -9 is the code of one that was still running after 90 s."""
        began = time.monotonic()
        out, err = self._folder / "out", self._folder / "err"
        asked = {"words": list(words), "cwd": str(cwd), "out": str(out), "err": str(err), "with": asdict(conditions)}
        self._requests.write(json.dumps(asked) + "\n")
        self._requests.flush()
        code = int(self._answers.readline())
        return Done(code, _read(out), _read(err), time.monotonic() - began)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _serve(requests: int, answers: int) -> None:
    for name in _IMPORTS:
        importlib.import_module(name)
    with os.fdopen(requests) as lines, os.fdopen(answers, "w") as told:
        for line in lines:
            pid = os.fork()
            if pid == 0:
                _run(json.loads(line))
            told.write(f"{_waited(pid)}\n")
            told.flush()
    os._exit(0)


def _waited(pid: int) -> int:
    deadline = time.monotonic() + _LIMIT_S
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.killpg(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _run(asked: dict[str, Any]) -> None:
    os.setsid()
    for number, name, flags in ((0, os.devnull, os.O_RDONLY), (1, asked["out"], _NEW), (2, asked["err"], _NEW)):
        descriptor = os.open(name, flags, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    conditions = Conditions(**asked["with"])
    os.environ.update(conditions.env)
    os.chdir(asked["cwd"])
    sys.argv = ["rolecall", *asked["words"]]
    _impose(conditions)
    code = 70
    try:
        code = importlib.import_module("rolecall.cli").main(asked["words"])
    except BaseException as error:  # noqa: BLE001 - what the interpreter itself would print
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def _impose(conditions: Conditions) -> None:
    opening = importlib.import_module("core.storage.database_file")
    vars(opening)["BUSY_TIMEOUT_S"] = conditions.busy_s
    if conditions.clock_s:
        real = time.time
        time.time = lambda: real() + conditions.clock_s  # type: ignore[assignment]
        real_ns = time.time_ns
        time.time_ns = lambda: real_ns() + int(conditions.clock_s * 1e9)  # type: ignore[assignment]
    if conditions.files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (conditions.files, conditions.files))
    if conditions.ordinary and os.geteuid() == 0:
        _drop_capabilities()


def _drop_capabilities() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in _CAPABILITIES:
        libc.prctl(_SET_BOUNDS, capability, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    if libc.capget(header, data) == 0:
        mask = sum(1 << capability for capability in _CAPABILITIES)
        for at in range(3):
            data[at] &= ~mask
        libc.capset(header, data)
