"""Interpreters that environment managers keep outside the repository, asked of the managers themselves. Owns the
questions; whether an answer runs is tried by `target_python`."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from tools.environment import user_environment
from tools.processes import end

_QUESTIONS = (
    ("poetry.lock", ("poetry", "env", "info", "--executable")),
    ("Pipfile", ("pipenv", "--py")),
    ("pdm.lock", ("pdm", "info", "--python")),
)
_TIMEOUT_S = 20


async def managed_pythons(repo: Path) -> AsyncIterator[str]:
    """Interpreters of the managers whose files the repository holds and whose program is installed."""
    env = user_environment()
    for mark, argv in _QUESTIONS:
        program = await asyncio.to_thread(shutil.which, argv[0], path=env["PATH"]) if (repo / mark).is_file() else None
        if program:
            answer = await _ask([program, *argv[1:]], repo, env)
            if answer:
                yield answer


async def _ask(argv: list[str], repo: Path, env: dict[str, str]) -> str:
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, cwd=repo, env=env, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    except OSError:
        return ""
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            out, _ = await process.communicate()
    except TimeoutError:
        return ""
    finally:
        await end(process)
    lines = out.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip() if lines and process.returncode == 0 else ""
