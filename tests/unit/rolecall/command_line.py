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


def rolecall(*words: str, cwd: Path, env: Mapping[str, str] | None = None, stdin: str = "") -> Done:
    """Run `rolecall` as a user does; their environment without the test runner's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ROLECALL_", "PYTHON"))}
    done = subprocess.run(
        [sys.executable, "-m", "rolecall", *words],
        cwd=cwd, env={**kept, "HOME": str(cwd), "XDG_CONFIG_HOME": str(cwd / ".config"), **(env or {})},
        input=stdin, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)
