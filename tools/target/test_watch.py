"""What pytest or unittest report while they run as a check: which test is running, and in which one it exited or hung.

Owns the reading, and the memory of how long tests usually take. `repair/worker/pytest_plugin` does the reporting,
in the repository's interpreter; everything it reports is untrusted data.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

PLUGIN_DIR = Path(__file__).parents[1] / "repair" / "worker" / "pytest_plugin"
PLUGIN = "rolecall_watch"
_TOLD = re.compile(rb"\x1e([^\x1e\x1f]{0,4096})\x1f")
UNITTEST = "rolecall_unittest"
_UNLOADABLE = re.compile(rf"""Error importing plugin "{PLUGIN}"|No module named '?{UNITTEST}""")
_RUNS_UNITTEST = re.compile(r"(?<=\s-m )unittest(?=\s|$)")
_CHUNK = 1 << 20
_LONGEST = 4100
_SHOWN = 200
_TELL_EVERY_S = 1.0


@dataclass(slots=True)
class TestWatch:
    """Follows one run of a check."""

    __test__ = False

    env: Mapping[str, str]
    """What the check's commands also get: the plugin, and how long tests usually take."""
    on_test: Callable[[str, int, int], None]
    """Called now and then with the running test, its number, and the total (0 when unknown)."""
    current: dict[int, str] = field(default_factory=dict)
    """By process: the running test or the file being imported."""
    ending: int | None = None
    longest: float = 0.0
    _begun: int = 0
    _total: int = 0
    _at: int = 0
    _told: str = ""
    _told_at: float = 0.0

    def look(self, descriptor: int) -> None:
        """Read what was reported since the last call; blocking."""
        while data := os.pread(descriptor, _CHUNK, self._at):
            last = 0
            for match in _TOLD.finditer(data):
                last = match.end()
                self._take(match[1])
            # A mark may be cut at the end of what was read.
            cut = data.rfind(b"\x1e", last)
            self._at += cut if cut >= 0 and len(data) - cut < _LONGEST else len(data)
            if cut >= 0 and len(data) < _CHUNK:
                break
        name, now = next(reversed(self.current.values()), ""), time.monotonic()
        if name not in ("", self._told) and now - self._told_at >= _TELL_EVERY_S:
            self._told, self._told_at = name, now
            self.on_test(name, self._begun, self._total)

    def _take(self, raw: bytes) -> None:
        try:
            said = json.loads(raw)
            pid = int(said["pid"])
        except (ValueError, TypeError, KeyError, RecursionError):
            return
        self._total = _number(said.get("collected")) or self._total
        name = said.get("test") or said.get("importing")
        if isinstance(name, str) and name.isprintable():
            self.current.pop(pid, None)
            self.current[pid] = name[:_SHOWN]
            self._begun += "test" in said
        elif "ending" in said:
            self.ending, self.longest = _number(said["ending"]), float(_number(said.get("longest")))
            self.current.pop(pid, None)
        elif "collected" in said or "imported" in said:
            self.current.pop(pid, None)

    def clean(self, data: bytes) -> bytes:
        """The output as it would be without the plugin."""
        return _TOLD.sub(b"", data)

    def close(self, code: int) -> tuple[int, str]:
        """The effective exit code and what to say about the end, once the command has ended with a code."""
        if self.current:
            name = next(reversed(self.current.values()))
            how = f"the interpreter exited or hung in it with exit code {code}"
            return code or 1, f"FAILED {name} - {how}; what follows was not run"
        if code and self.ending == 0:
            return code, "The tests passed, but then the interpreter did not exit: a thread may still be running."
        return code, ""


def _number(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and 0 <= value < 10**9 else 0


def cannot_load(output: str) -> bool:
    """Whether a check's interpreter cannot load the plugin."""
    return bool(_UNLOADABLE.search(output))


def watched(command: str) -> str:
    """The command with `python -m unittest` run by what watches its tests; pytest loads a plugin instead."""
    return _RUNS_UNITTEST.sub(UNITTEST, command)


def plugin_env(env: Mapping[str, str], *, limit_s: float, usual_s: float) -> dict[str, str]:
    """The variables that load the plugin, added to an environment.

    Args:
        env: The command's environment.
        limit_s: Seconds a test may take; 0 lets the plugin choose.
        usual_s: What the longest test took when all of them ended.
    """
    paths = [entry for entry in env.get("PYTHONPATH", "").split(os.pathsep) if entry]
    return {
        "PYTHONPATH": os.pathsep.join([*paths, str(PLUGIN_DIR)]),
        "PYTEST_ADDOPTS": f"{env.get('PYTEST_ADDOPTS', '')} -p {PLUGIN}".strip(),
        "ROLECALL_TEST_LIMIT_S": f"{limit_s:g}",
        "ROLECALL_TEST_KNOWN_S": f"{usual_s:g}",
    }


@dataclass(frozen=True, slots=True)
class UsualTimes:
    """How long the longest test of a check takes, remembered in the user's cache; blocking."""

    root: Path

    def read(self, command: str) -> float:
        """Seconds; 0 when it is not known."""
        try:
            return float(self._place(command).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return 0.0

    def write(self, command: str, seconds: float) -> None:
        """Remember it."""
        place = self._place(command)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(f"{seconds:.3f}", encoding="ascii")
        except OSError:
            return  # a cache that cannot be written only makes the next run less patient

    def _place(self, command: str) -> Path:
        digest = hashlib.sha256(f"{self.root}\0{command}".encode()).hexdigest()[:24]
        return user_cache_path("rolecall") / "test-times" / digest
