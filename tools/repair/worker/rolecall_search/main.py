"""The two processes of a repair: one that collects and searches, one that has collected nothing and serves fresh runs.

Owns their start and their end. The order of the work is in `repair`.
"""

from __future__ import annotations

import ctypes
import gc
import marshal
import os
import signal
import socket
import sys
from typing import Callable, NoReturn

from rolecall_search.repair import Repair
from rolecall_search.runtime.hosting import warm_plugins
from rolecall_search.runtime.isolate import Pool, send
from rolecall_search.runtime.protocol import Channel, Request, read_request
from rolecall_search.trials.fresh import FRESH, FreshClient, FreshRun, serve

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4


def main() -> None:
    """Read a request from standard input and answer it."""
    if FRESH in sys.argv[1:]:
        _single_run()
    request = read_request(sys.stdin.read())
    # A sandbox may give this process an empty temporary folder of its own.
    os.makedirs(request.temp, exist_ok=True)
    channel = Channel()
    os.chdir(request.root)
    sys.path.insert(0, request.root)
    die_with_parent()
    warm_plugins(request.root)
    gc.freeze()
    gc.enable()
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        theirs.close()
        keep_to_itself(channel.close, ours.close)
        _search_process(request, channel, ours)
    ours.close()
    channel.close()
    keep_to_itself(theirs.close)
    serve(theirs, Pool(request.workers + 1, request.temp), lambda: not _ended(pid))
    if not _ended(pid):
        os.kill(pid, signal.SIGKILL)
    os._exit(0)


def _single_run() -> NoReturn:
    """Make one fresh run; what its tests print goes nowhere."""
    die_with_parent()
    answers = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    root = os.getcwd()
    sys.path.insert(0, root)
    run = FreshRun(*marshal.loads(sys.stdin.buffer.read()))
    warm_plugins(root)
    gc.enable()
    send(answers, run.run())
    os._exit(0)


def die_with_parent() -> None:
    """Let the kernel kill this process when its parent dies (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def keep_to_itself(*closings: Callable[[], None]) -> None:
    """Close what belongs to this process in all its forks, and hide its descriptors and memory from them (Linux)."""
    for close in closings:
        os.register_at_fork(after_in_child=close)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def _ended(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True


def _search_process(request: Request, channel: Channel, link: socket.socket) -> None:
    try:
        die_with_parent()
        repair = Repair(request, channel, FreshClient(link))
        answer = repair.run()
        answer["elapsed_s"] = round(request.elapsed(), 3)
        channel.emit("result", result=answer)
    finally:
        os._exit(0)
