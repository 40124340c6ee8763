"""Runs one command on the host and leaves nothing of it behind; a separate program, started by path.

It makes itself the parent of every orphan below it, so that a fully detached daemon is still found, ends
what is left when the command ends, and ends everything when rolecall is gone. Standard library only, few imports:
it starts with each command.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def main(argv: list[str]) -> int:
    """Run a command line and end with its exit code, or with 128 and the number of its signal."""
    parent = int(argv[0])
    library = ctypes.CDLL(None)
    library.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    library.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: end_all())
    if os.getppid() != parent:
        return 1
    child = os.fork()
    if child == 0:
        exec_command(argv[1:])
    status = wait_for(child)
    end_all()
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def exec_command(argv: list[str]) -> None:
    """Become the command."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - what is run is decided by who starts us
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
    os._exit(127)


def wait_for(child: int) -> int:
    """Reap whatever ends until the command itself does."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            return status


def end_all() -> None:
    """Kill all descendants; what a killed one left becomes our child and is found in the next round."""
    while True:
        for pid in child_pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def child_pids() -> list[int]:
    """Our children, as the kernel lists them; else found by scanning all processes."""
    own = os.getpid()
    try:
        with open(f"/proc/{own}/task/{own}/children") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if parent_of(pid) == own]


def parent_of(pid: int) -> int:
    """The parent of a process; 0 when it has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError):
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
