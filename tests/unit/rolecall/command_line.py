"""Runs the real command line in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

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
    done = subprocess.run(
        [sys.executable, "-m", "rolecall", *words],
        cwd=cwd, env=environment(cwd.parent, env), input=stdin, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)
