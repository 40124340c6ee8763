"""The process that serves one GGUF file with llama.cpp's own server and exits when idle.

Runs as a script of its own (`python -P worker.py OPTIONS`), away from the process that asked for it: it imports
nothing of ours. Whoever finds it reads `<key>.json` (pid and options, by the starter) and `<key>.url` (by this
process).
"""

import fcntl
import json
import os
import secrets
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

_ORPHAN_S = 10.0
"""How old a server is before it checks whether the directory still contains its address."""
_CLAIM_S = 5.0
"""A server that no state file names this long after loading was started by a process that died right away."""


def main(given: str) -> None:
    """Leave the starter's process group, serve, watch, end. The options of the server are given as a JSON object."""
    options = SimpleNamespace(**json.loads(given), secret=secrets.token_urlsafe(16))
    options.home = Path(options.home)
    child = os.fork()
    if child:
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        os._exit(0)
    os.setsid()
    _redirect(options.home / f"{options.key}.log")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    server = _serve(options)
    url = f"{server.listening_address}/{options.secret}"
    if not _claimed(options):
        os._exit(0)
    draft = options.home / f"{options.key}.url.{os.getpid()}"
    draft.write_text(f"{os.getpid()} {url}\n", encoding="utf-8")
    draft.rename(options.home / f"{options.key}.url")
    _Watch(options, url).wait(stop)
    # llama.cpp's threads need no farewell, and its destructors may wait for a running answer.
    os._exit(0)


def _redirect(log: Path) -> None:
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (out, 1), (out, 2)):
        os.dup2(source, target)
    # The starter reads the pid until this end of the pipe closes, which dup2 has just done.


def _serve(options: SimpleNamespace) -> Any:  # the type exists only where the extra is installed
    import xllamacpp  # noqa: PLC0415 - after the fork, so that the starter waits for nothing

    params = xllamacpp.CommonParams()
    params.model.path = options.path
    params.model_alias = {Path(options.path).stem}
    params.hostnames, params.port = ["127.0.0.1"], 0
    # The engine answers whoever knows the address, web pages included; so the address can't be guessed.
    params.api_prefix = f"/{options.secret}"
    params.n_ctx, params.n_parallel = options.ctx * options.slots, options.slots
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.threads
    params.n_threads_http = options.slots + 3
    params.n_gpu_layers = 0
    params.use_jinja = params.endpoint_metrics = params.endpoint_slots = params.offline = True
    params.ui = params.warmup = params.fit_params = False
    return xllamacpp.Server(params)


def _claimed(options: SimpleNamespace) -> bool:
    """Whether the starter recorded this process as the server.

    A starter killed right after the fork did not, and the next one has started its own server, whose
    address must not be overwritten.
    """
    deadline = time.monotonic() + _CLAIM_S
    while time.monotonic() < deadline:
        try:
            owner = json.loads((options.home / f"{options.key}.json").read_text(encoding="utf-8"))["pid"]
        except (OSError, ValueError, KeyError, TypeError):
            owner = None
        if owner is not None:
            return bool(owner == os.getpid())
        time.sleep(0.05)
    return False


class _Nowhere(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the address contains the server's secret."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class _Watch:
    """Decides when the server has been idle for long enough, or has no owner."""

    def __init__(self, options: SimpleNamespace, url: str) -> None:
        self._options = options
        self._url = url
        self._state: Path = options.home / f"{options.key}.json"
        self._address: Path = options.home / f"{options.key}.url"
        self._lock: Path = options.home / f"{options.key}.lock"
        self._direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Nowhere)
        self._seen = ""
        self._active = self._born = time.time()

    def wait(self, stop: threading.Event) -> None:
        """Return when it is time to end; the files that name this process are gone then."""
        pause = min(max(self._options.idle_s / 4, 0.2), 5.0)
        while not stop.wait(pause):
            if self._orphaned() or (self._idle() and self._retire()):
                return
        self._forget()

    def _idle(self) -> bool:
        now = self._activity()
        if now != self._seen:
            self._seen, self._active = now, time.time()
        idle_s: float = self._options.idle_s
        return time.time() - max(self._active, _touched(self._state)) > idle_s

    def _activity(self) -> str:
        """The server's counters; while a request runs, something that is new each time."""
        try:
            with self._direct.open(f"{self._url}/metrics", timeout=5) as reply:
                lines = reply.read().decode().splitlines()
        except (OSError, urllib.error.URLError):
            # Too busy to answer is busy.
            return f"busy {time.time()}"
        kept = [line for line in lines if "_total " in line or line.startswith("llamacpp:requests_")]
        running = any(line.startswith("llamacpp:requests_") and not line.endswith(" 0") for line in kept)
        return f"busy {time.time()}" if running else "\n".join(kept)

    def _orphaned(self) -> bool:
        if time.time() - self._born < _ORPHAN_S:
            return False
        return not self._address.exists() or self._owner() != os.getpid()

    def _owner(self) -> int:
        try:
            return int(self._address.read_text(encoding="utf-8").split()[0])
        except (OSError, ValueError, IndexError):
            return 0

    def _retire(self) -> bool:
        """Take the starters' lock, check once more, and remove its files."""
        with self._lock.open("a", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            if not self._idle():
                return False
            self._forget()
        return True

    def _forget(self) -> None:
        if self._owner() == os.getpid():
            self._state.unlink(missing_ok=True)
            self._address.unlink(missing_ok=True)


def _touched(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


if __name__ == "__main__":
    main(sys.argv[1])
