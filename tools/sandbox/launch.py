"""How a program is started under a policy: its command line, what it inherits, and its own limits."""

import os
import re
import tempfile
from dataclasses import dataclass

from core.config.settings import SandboxSettings

_THREADS_PER_PROCESS = 16


@dataclass(frozen=True, slots=True)
class Launch:
    """A command line with the descriptors it needs; whoever starts it closes them afterwards."""

    argv: list[str]
    inherited: tuple[int, ...] = ()
    status: int | None = None
    """The end of a pipe on which bubblewrap reports its status."""

    def close(self) -> None:
        """Close what only the started program needs."""
        for descriptor in self.inherited:
            os.close(descriptor)


def open_for_child(content: bytes) -> int:
    """A descriptor from which a program we start can read something, once."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("rolecall", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def with_limits(argv: list[str], settings: SandboxSettings, *, tasks: bool) -> list[str]:
    """Wrap a command so that each of its processes is limited in memory, file size and core dumps.

    Args:
        argv: Program and arguments.
        settings: The limits. Address space is not limited: runtimes reserve it freely.
        tasks: Also limit how many tasks this user may have, which is correct only in its own user namespace.
    """
    limits = [
        "ulimit -c 0", f"ulimit -f {settings.disk_mb * 2048} 2>/dev/null",
        f"ulimit -d {settings.memory_mb * 1024} 2>/dev/null",
    ]  # fmt: skip
    if tasks:
        most = settings.max_processes * _THREADS_PER_PROCESS
        limits.append(f"{{ ulimit -u {most} || ulimit -p {most}; }} 2>/dev/null")
    return ["/bin/sh", "-c", f'{"; ".join(limits)}; exec "$@"', "sh", *argv]


def counts_tasks_apart() -> bool:
    """Whether the kernel counts a user's tasks separately in each user namespace; root's are never limited."""
    numbers = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return os.geteuid() != 0 and numbers is not None and (int(numbers[1]), int(numbers[2])) >= (5, 14)
