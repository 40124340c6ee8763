"""Interpreters that environment managers keep outside the repository, asked of the managers themselves. Owns the
questions; whether an answer runs is tried by `target_python`."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from tools.files.untrusted_files import read_untrusted
from tools.processes.environment import user_environment
from tools.target.interpreter_probe import InterpreterProbe

_QUESTIONS = (
    ("poetry.lock", ("poetry", "env", "info", "--executable")),
    ("Pipfile", ("pipenv", "--py")),
    ("pdm.lock", ("pdm", "info", "--python")),
)
_TIMEOUT_S = 20


async def managed_pythons(repo: Path, look: InterpreterProbe) -> AsyncIterator[str]:
    """Interpreters of the managers whose files the repository holds and whose program is installed."""
    if not look.walled and await asyncio.to_thread(_brings_plugins, repo):
        return
    env = user_environment()
    for mark, argv in _QUESTIONS:
        program = await asyncio.to_thread(shutil.which, argv[0], path=env["PATH"]) if (repo / mark).is_file() else None
        said = await look.ask([program, *argv[1:]], _TIMEOUT_S) if program else None
        lines = (said or b"").decode("utf-8", "replace").strip().splitlines()
        if lines:
            yield lines[-1].strip()


def _brings_plugins(repo: Path) -> bool:
    """Whether the repository has code that a manager would run to answer."""
    project = read_untrusted(repo, "pyproject.toml", max_bytes=1_000_000)
    return (repo / ".pdm-plugins").exists() or b"requires-plugins" in (project or b"")
