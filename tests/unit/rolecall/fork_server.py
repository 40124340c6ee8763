"""Real `rolecall` processes without their start: forked from one that has imported everything and done nothing.

Each is a process of its own, with its own arguments, folder, environment, streams and, if wanted, terminal; what it
lacks is an interpreter that starts anew. What is about that start goes another way: see `can_fork`.
"""

import asyncio
import atexit
import fcntl
import functools
import gc
import importlib
import io
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import termios
import threading
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.config.settings import ModelSpec
from llm_registry.providers.catalog import build_model
from rolecall.__main__ import guard, main
from tests.modelserver.reply import Call, Reply
from tests.modelserver.server import ModelServer

HOUSE = Path(__file__).parents[3]
_PACKAGES = ("core", "llm_registry", "tools", "nodes", "graph", "rolecall")
_LAZY = (
    "langchain_openai", "langchain_ollama", "httpcore", "httpcore._backends.auto", "anyio._backends._asyncio",
    "langchain_core.tracers.stdout", "langchain_core.tracers.run_collector", "langchain_core.tracers.context",
)  # fmt: skip
_ELSEWHERE = "tools.repair.worker"
"""Runs in other interpreters."""
_TOOL = {"name": "look", "description": "Look.", "parameters": {"type": "object", "properties": {}}}
_AT_START = ("PYTHON", "LC_", "LANG")
"""Variables that an interpreter reads when it starts."""


class ForkedProcess:
    """One of them, with the methods of `subprocess.Popen` that tests need."""

    def __init__(self, channel: int) -> None:
        self._channel = os.fdopen(channel, encoding="ascii")
        self.pid = int(self._channel.readline())
        self.returncode: int | None = None
        self._waiting = threading.Thread(target=self._wait, daemon=True)
        self._waiting.start()

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self._waiting.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("rolecall", timeout or 0.0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):  # it has ended, and we have not heard of it yet
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _wait(self) -> None:
        with self._channel:
            self.returncode = int(self._channel.readline())


def can_fork(argv: Sequence[str], env: Mapping[str, str]) -> bool:
    """Whether a call is one of `rolecall` whose interpreter would start as the server's did."""
    given = {name: value for name, value in env.items() if name.startswith(_AT_START)}
    ours = {name: value for name, value in os.environ.items() if name.startswith(_AT_START[1:])}
    return list(argv[:3]) == [sys.executable, "-m", "rolecall"] and given == ours


@dataclass(frozen=True)
class Server:
    """Whom to ask for a process; it ends when its socket is closed."""

    control: socket.socket
    lock: threading.Lock = field(default_factory=threading.Lock)


def server_from_here() -> Server:
    """A server forked from this process, which has imported everything and has one thread: it is the same user's."""
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        ours.close()
        _be_server(theirs)
        os._exit(0)
    theirs.close()
    return Server(ours)


def fork(
    argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], streams: tuple[int, int, int], terminal: bool = False,
    server: Server | None = None,
) -> ForkedProcess:  # fmt: skip
    """Start `rolecall`.

    Args:
        argv: As for a new interpreter.
        cwd: The folder it begins in.
        env: Its whole environment.
        streams: Descriptors for standard input, output and error.
        terminal: Make its standard input the controlling terminal of a session of its own.
        server: Who forks it; by default the server of this test process.
    """
    ours, theirs = os.pipe()
    asked = {"argv": list(argv), "cwd": str(cwd), "env": dict(env), "terminal": terminal}
    data = json.dumps(asked).encode()
    asking = server or _server()
    with asking.lock:
        socket.send_fds(asking.control, [len(data).to_bytes(4, "big")], [*streams, theirs])
        asking.control.sendall(data)
    os.close(theirs)
    return ForkedProcess(ours)


@functools.cache
def _server() -> Server:
    """The server of this test process."""
    ours, theirs = socket.socketpair()
    env = {name: value for name, value in os.environ.items() if not name.startswith(("ROLECALL_", "PYTHON"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.unit.rolecall.fork_server", str(theirs.fileno())], cwd=HOUSE, env=env,
        pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return Server(ours)


def _be_server(control: socket.socket) -> None:
    """Fork whatever is asked for, until nobody can ask any more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    while head := socket.recv_fds(control, 4, 4):
        if not head[0]:
            return
        data = b""
        while len(data) < int.from_bytes(head[0], "big"):
            data += control.recv(int.from_bytes(head[0], "big") - len(data))
        if os.fork() == 0:
            control.close()
            _watch(json.loads(data), head[1])
        for descriptor in head[1]:
            os.close(descriptor)


def _watch(asked: dict[str, Any], descriptors: list[int]) -> None:
    """Be the parent of one process: tell its id, and how it ended."""
    *streams, channel = descriptors
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        os.close(channel)
        _become(asked, streams)
    for descriptor in streams:
        os.close(descriptor)
    os.write(channel, b"%d\n" % pid)
    _, status = os.waitpid(pid, 0)
    os.write(channel, b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(asked: dict[str, Any], streams: list[int]) -> None:
    """Be `rolecall`, and end as an interpreter ends."""
    if asked["terminal"]:
        os.setsid()
        fcntl.ioctl(streams[0], termios.TIOCSCTTY, 0)
    for target, descriptor in enumerate(streams):
        os.dup2(descriptor, target)
    for descriptor in set(streams) - {0, 1, 2}:
        os.close(descriptor)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.stdin = sys.__stdin__ = _stream(0, sys.stdin)  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _stream(1, sys.stdout)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _stream(2, sys.stderr)  # type: ignore[misc]
    sys.orig_argv[:] = asked["argv"]
    sys.argv = [str(HOUSE / "rolecall/__main__.py"), *asked["argv"][3:]]
    _end()


def _end() -> None:
    """Run it and end, with all that an interpreter does at its end but to take itself apart, which takes long."""
    try:
        sys.exit(main())
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _stream(descriptor: int, like: Any) -> io.TextIOWrapper:
    """A standard stream as the interpreter makes it."""
    return open(
        descriptor, "r" if descriptor == 0 else "w", encoding=like.encoding, errors=like.errors, closefd=False,
        buffering=1 if descriptor == 2 else -1, newline=None if descriptor == 0 else "\n",
    )  # fmt: skip


def import_everything() -> None:
    """Import what a call of `rolecall` may import, and keep the collector from touching it: its forks share it."""
    for name in _PACKAGES:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not module.name.startswith(_ELSEWHERE) and not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    for name in _LAZY:
        importlib.import_module(name)
    asyncio.run(_ask_a_model())
    gc.collect()
    gc.freeze()


async def _ask_a_model() -> None:
    """Ask by each protocol once: the client builds its types at the first answer, which takes a second."""
    with ModelServer([Reply(text="Yes."), Reply(tool_calls=(Call("look"),))] * 2) as server:
        for api in ("chat", "responses"):
            spec = ModelSpec(provider="openai_compatible", model="scripted", base_url=server.v1)
            built = await build_model(spec, api=api)
            await built.model.bind_tools([{"type": "function", "function": _TOOL}]).ainvoke("Is it?")
            async for _ in built.model.astream("Is it?"):
                pass
            if built.close is not None:
                await built.close()


if __name__ == "__main__":
    guard()
    import_everything()
    _be_server(socket.socket(fileno=int(sys.argv[1])))
