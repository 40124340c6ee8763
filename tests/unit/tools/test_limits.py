"""Limits on all processes of a command together, on both policies, and that nothing outlives a command."""

import os
import sys
from pathlib import Path

import pytest

from tests.repositories import make_repository, thread
from tests.unit.tools.bench import MODES, commands_of
from tests.unit.tools.test_command_runner import running
from tools.processes.process_tree import memory_of, tree_of, unlinked_bytes
from tools.worktree.workspace import GitWorkspace


@pytest.fixture
async def workspace(tmp_path: Path) -> GitWorkspace:
    made = await GitWorkspace.open(make_repository(tmp_path / "repo", {"a.txt": "a\n"}), thread())
    await made.prepare()
    return made


OURS = os.getpid()
"""Tells what this worker starts from what another starts at the same time."""


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_processes_are_counted_all_together(workspace, mode) -> None:
    commands = await commands_of(workspace.root, mode, workspace.run_dir, max_processes=60)
    nap = f"sleep 66.{OURS}"
    done = await commands.run(f"for i in $(seq 120); do (setsid {nap} &); done; {nap}", timeout_s=60)
    assert "killed: it started more than 60 processes" in done.output
    assert done.duration_s < 30
    assert running(nap) == []


async def test_a_fork_bomb_ends(workspace, mode) -> None:
    commands = await commands_of(workspace.root, mode, workspace.run_dir, max_processes=100)
    # Doubles until there are 512, so that a machine on which it is not stopped survives the test.
    code = "import os, time\nfor _ in range(9):\n    os.fork()\ntime.sleep(60)\n"
    bomb = f"bomb{OURS}.py"
    (workspace.root / bomb).write_text(code)
    done = await commands.run(f"python3 {bomb}", timeout_s=60)
    assert "killed: it started more than 100 processes" in done.output
    assert running(bomb) == []
    assert (await commands.run("echo fine")).output == "fine\n"


async def test_memory_is_counted_all_together(workspace, mode) -> None:
    commands = await commands_of(workspace.root, mode, workspace.run_dir, memory_mb=400)
    code = "import time; x = bytearray(150 << 20); x[::4096] = b'1' * len(x[::4096]); time.sleep(60)"
    done = await commands.run(f'for i in 1 2 3 4; do python3 -c "{code}" & done; wait', timeout_s=60)
    assert "more than 400 MB of memory" in done.output
    assert done.duration_s < 40


async def test_memory_without_a_name_counts_too(workspace, mode) -> None:
    commands = await commands_of(workspace.root, mode, workspace.run_dir, memory_mb=200, disk_mb=4000)
    code = "import os, time; fs = [os.memfd_create('m') for i in range(6)]; [os.write(f, bytes(60 << 20)) for f in fs]"
    done = await commands.run(f'python3 -c "{code}; time.sleep(60)"', timeout_s=60)
    assert "more than 200 MB of memory" in done.output


async def test_new_files_are_counted_all_together(workspace, mode) -> None:
    commands = await commands_of(workspace.root, mode, workspace.run_dir, disk_mb=100)
    done = await commands.run(
        "for i in 1 2 3 4; do head -c 40000000 /dev/zero > f$i; done; sync . ; sleep 60", timeout_s=60
    )
    assert "it wrote more than 100 MB" in done.output
    big = await commands.run("rm f*; head -c 200000000 /dev/zero > one; ls -l one | wc -l")
    assert not (workspace.root / "one").exists() or (workspace.root / "one").stat().st_size <= 100 << 20, big.output


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are found on Linux")
async def test_a_daemon_that_cuts_all_ties_does_not_outlive_its_command(workspace, mode) -> None:
    commands = await commands_of(workspace.root, mode, workspace.run_dir)
    nap = f"67.{OURS}"
    daemon = (
        "import os\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        null = os.open(os.devnull, os.O_RDWR); [os.dup2(null, n) for n in range(3)]; os.chdir('/')\n"
        f"        os.execve('/bin/sleep', ['sleep', '{nap}'], {{}})\n"
    )
    (workspace.root / "daemon.py").write_text(daemon)
    done = await commands.run("python3 daemon.py; sleep 0.5; echo left")
    assert done.output == "left\n"
    assert running(f"sleep {nap}") == []
    timed = await commands.run("python3 daemon.py; sleep 50", timeout_s=2)
    assert timed.timed_out
    assert running(f"sleep {nap}") == []


async def test_a_tree_is_seen_with_what_it_uses(workspace) -> None:
    tree = tree_of(os.getpid())
    assert tree[0].pid == os.getpid()
    assert memory_of(tree[:1]) > 1 << 20
    assert unlinked_bytes(tree) >= 0
