import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.repositories import make_repository, thread
from tools.git.command import Git
from tools.worktree.workspace import GitWorkspace

KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from tools.git.command import Git

async def main():
    git = await Git(Path(sys.argv[1])).isolated()
    print(await git.own_dir(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def aged(folder: Path) -> None:
    old = time.time() - 3600
    os.utime(folder, (old, old))


async def test_what_a_killed_run_left_is_swept_by_the_next_and_what_lives_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo, temporary = make_repository(tmp_path / "repo", {"a": "1"}), tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    env = {**os.environ, "TMPDIR": str(temporary)}
    house = Path(__file__).parents[3]
    command = [sys.executable, "-c", KILLED, str(repo)]
    done = await asyncio.to_thread(subprocess.run, command, cwd=house, env=env, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = Path(done.stdout.strip())
    live = await Git(repo).isolated()
    kept = await live.own_dir()
    young, foreign = temporary / "rolecall-git-young", temporary / "other"
    young.mkdir()
    foreign.mkdir()
    link = temporary / "rolecall-git-link"
    link.symlink_to(foreign)
    for folder in (left, kept, foreign):
        assert folder.is_dir()
        aged(folder)
    await (await GitWorkspace.open(repo, thread())).prepare()
    assert not left.exists()
    assert all(folder.is_dir() for folder in (kept, young, foreign))
