"""Forked children with limits, several at a time.

Owns fork, limits, reaping and killing. It does not know what a child computes: a child sends one
marshalled value back, or nothing when it was killed.
"""

from __future__ import annotations

import ctypes
import gc
import marshal
import math
import os
import resource
import select
import shutil
import signal
import struct
import sys
import time
from dataclasses import dataclass
from typing import Any, Callable

TEMP_VARIABLES = ("TMPDIR", "TEMP", "TMP", "PYTEST_DEBUG_TEMPROOT")
PR_SET_DUMPABLE = 4
MEMORY_BYTES = 3 << 30
FILE_BYTES = 512 << 20
LOOK_S = 0.1
"""Between two looks at a child that may only wait."""


@dataclass(frozen=True)
class Limits:
    """Seconds of CPU and of wall time a child may use (the child may renew its CPU timer)."""

    cpu: float
    wall: float
    asleep: float = math.inf
    """After so many seconds of the wall a child that only waits is ended."""


@dataclass(frozen=True)
class Outcome:
    """How a child ended: its reply, or why there is none."""

    reply: Any
    killed: str
    seconds: float
    cpu: float = 0.0
    """CPU seconds used by it and by the children it waited for."""


@dataclass(eq=False)
class Child:
    """A running child."""

    job: Any
    pid: int
    fd: int
    deadline: float
    started: float
    temp: str
    asleep: float = math.inf
    buffer: bytes = b""
    overdue: bool = False
    ticks: int = -1
    """Of the processor, when the child was last seen waiting."""


class Pool:
    """Runs work in at most `size` forked children."""

    def __init__(self, size: int, temp: str) -> None:
        self.size = size
        self._temp = temp
        self._count = 0
        self._memory = _address_space() + MEMORY_BYTES
        self.running: dict[int, Child] = {}

    def free(self) -> int:
        """How many more children may start now."""
        return self.size - len(self.running)

    def start(self, job: Any, work: Callable[[], Any], limits: Limits) -> None:
        """Fork a child that runs `work` and sends its value."""
        read_fd, write_fd = os.pipe()
        self._count += 1
        temp = os.path.join(self._temp, f"c{os.getpid()}-{self._count}")
        os.mkdir(temp)
        now = time.monotonic()
        # What is frozen no collection in the child looks at, so that it neither takes time nor copies pages.
        gc.freeze()
        pid = os.fork()
        if pid == 0:
            os.close(read_fd)
            for other in self.running.values():
                os.close(other.fd)
            run_child(work, write_fd, limits, temp, self._memory)
        os.close(write_fd)
        self.running[read_fd] = Child(job, pid, read_fd, now + limits.wall, now, temp, now + limits.asleep)

    def wait(self, timeout: float, also: tuple[int, ...] = ()) -> list[tuple[Any, Outcome]]:
        """Wait for a child or for a descriptor in `also`, at most `timeout` seconds.

        Returns the jobs that finished.
        """
        if not self.running and not also:
            return []
        soonest = min((child.deadline for child in self.running.values()), default=math.inf)
        soonest = min([soonest, *(max(child.asleep, time.monotonic() + LOOK_S) for child in self.running.values())])
        pause = max(0.0, min(timeout, soonest - time.monotonic()))
        ready, _, _ = select.select([*self.running, *also], [], [], pause)
        done = []
        for fd in ready:
            child = self.running.get(fd)
            if child is None:
                continue
            chunk = os.read(fd, 1 << 20)
            child.buffer += chunk
            if not chunk or complete(child.buffer):
                done.append(self._finish(child))
        now = time.monotonic()
        for child in list(self.running.values()):
            if child.deadline <= now or (child.asleep <= now and _only_waits(child)):
                child.overdue = True
                done.append(self._finish(child))
        return done

    def _finish(self, child: Child) -> tuple[Any, Outcome]:
        del self.running[child.fd]
        os.close(child.fd)
        kill_group(child.pid)
        _, status, used = os.wait4(child.pid, 0)
        _remove(child.temp)
        seconds = time.monotonic() - child.started
        reply, _ = decode(child.buffer)
        killed = ""
        if reply is None:
            by_timer = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGPROF, signal.SIGALRM)
            killed = "time" if child.overdue or by_timer else "crash"
        return child.job, Outcome(reply, killed, seconds, used.ru_utime + used.ru_stime)

    def stop(self) -> None:
        """Kill every child."""
        for child in list(self.running.values()):
            self._finish(child)


def run_apart(work: Callable[[], Any], limits: Limits, temp: str) -> Outcome:
    """Run work in a forked child, with a temporary folder in `temp`, and wait for it."""
    os.makedirs(temp, exist_ok=True)
    pool = Pool(1, temp)
    pool.start(None, work, limits)
    done: list[tuple[Any, Outcome]] = []
    while not done:
        done = pool.wait(limits.wall)
    return done[0][1]


def _only_waits(child: Child) -> bool:
    """Whether every thread of a child waits, and did when it was last looked at (Linux).

    One that could run, or a program that it started, makes it a child that works, however little of the processor it
    gets.
    """
    ticks, child.ticks = child.ticks, -1
    try:
        for task in os.listdir(f"/proc/{child.pid}/task"):
            place = f"/proc/{child.pid}/task/{task}"
            with (
                open(f"{place}/stat", encoding="ascii", errors="replace") as stat,
                open(f"{place}/children") as children,
            ):
                fields = stat.read().rpartition(")")[2].split()
                if fields[0] != "S" or children.read().strip():
                    return False
                child.ticks = max(child.ticks, 0) + int(fields[11]) + int(fields[12])
    except (OSError, IndexError, ValueError):
        return False
    return child.ticks == ticks


def run_child(work: Callable[[], Any], fd: int, limits: Limits, temp: str, memory: int = 0) -> None:
    """Act as the child: apply the limits, do the work, send the value and exit without clean-up."""
    code = 1
    try:
        os.setpgid(0, 0)
        _show_to_itself()
        _limit(limits, memory or _address_space() + MEMORY_BYTES)
        for name in TEMP_VARIABLES:
            os.environ[name] = temp
        send(fd, work())
        code = 0
    finally:
        os._exit(code)


def send(fd: int, value: Any) -> None:
    """Write one marshalled value."""
    data = marshal.dumps(value)
    data = struct.pack("!Q", len(data)) + data
    while data:
        data = data[os.write(fd, data) :]


def kill_group(pid: int) -> None:
    """Kill a child and whatever it started in its group."""
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _show_to_itself() -> None:
    """Undo what hides the parent, so that tests see their own process as they would without a search (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)


def _address_space() -> int:
    """Bytes of address space this process has; if that is unknown, what an unlimited one may have."""
    if not os.path.exists("/proc/self/statm"):
        return resource.RLIM_INFINITY
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def _limit(limits: Limits, memory: int) -> None:
    for number in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    renew(limits.cpu)
    if memory > MEMORY_BYTES:
        _lower(resource.RLIMIT_AS, memory)
    _lower(resource.RLIMIT_FSIZE, FILE_BYTES)
    _lower(resource.RLIMIT_CORE, 0)


def renew(cpu: float) -> None:
    """Start this process's CPU timer again; when it runs out the kernel kills the process."""
    signal.setitimer(signal.ITIMER_PROF, cpu)


def _lower(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, hard))


def complete(data: bytes) -> bool:
    """Whether `data` contains a whole value; a grandchild may keep the pipe open after it."""
    return len(data) >= 8 and len(data) >= 8 + struct.unpack("!Q", data[:8])[0]


def decode(data: bytes) -> tuple[Any, bytes]:
    """The first value in `data`, or None when it is cut short, and what follows it."""
    if not complete(data):
        return None, data
    end = 8 + struct.unpack("!Q", data[:8])[0]
    return marshal.loads(data[8:end]), data[end:]


def _remove(path: str) -> None:
    try:
        os.rmdir(path)
    except OSError:
        shutil.rmtree(path, ignore_errors=True)
