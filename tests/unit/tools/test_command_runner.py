"""Commands in both policies: what they may write and see, and that nothing of them is left behind."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from core.errors import ConfigError
from tests.repositories import git, make_repository, thread
from tests.unit.tools.bench import IN_VENV, MODES, commands_of, sandbox_of
from tools.commands import command_runner as module
from tools.commands.command_runner import SandboxCommands
from tools.processes.child_process import end_process
from tools.worktree.workspace import GitWorkspace


@pytest.fixture
async def workspace(tmp_path: Path) -> GitWorkspace:
    repo = make_repository(tmp_path / "a repo", {"a.txt": "a\n"})
    (repo / ".env").write_text("PASSWORD=hunter2\n")
    (repo / ".git/info/exclude").write_text(".env\n")
    made = await GitWorkspace.open(repo, thread())
    await made.prepare()
    return made


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def commands(workspace: GitWorkspace, mode: str) -> SandboxCommands:
    return await commands_of(workspace.root, mode, workspace.run_dir)


def running(words: str) -> list[int]:
    """Processes with these words in their command line, the ended left out."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline", "status"])
        if words in " ".join(process.info["cmdline"] or []) and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


async def test_a_command_runs_in_the_worktree_with_both_outputs_in_order(workspace, commands) -> None:
    done = await commands.run("pwd; echo problem >&2; echo end; exit 3")
    assert done.exit_code == 3
    assert done.output.splitlines() == [str(workspace.root), "problem", "end"]
    assert (workspace.run_dir / done.output_path).read_text() == done.output
    assert not done.timed_out


async def test_a_command_reads_no_input(commands) -> None:
    assert (await commands.run("cat; echo done", timeout_s=10)).output == "done\n"


async def test_the_worktree_is_writable_and_its_git_file_survives(workspace, commands) -> None:
    assert (await commands.run("echo x > made.txt && git status --short")).output == "?? made.txt\n"
    assert (workspace.root / "made.txt").read_text() == "x\n"


async def test_time_is_limited(commands) -> None:
    done = await commands.run("echo begun; sleep 61.25", timeout_s=0.5)
    assert done.timed_out
    assert done.exit_code != 0
    assert done.duration_s < 5
    assert "begun" in done.output
    assert "killed after 0.5 s" in done.output
    assert running("sleep 61.25") == []


async def test_children_that_stay_behind_are_ended(commands) -> None:
    done = await commands.run("sleep 62.25 & (setsid sleep 62.25 &) ; echo left")
    assert done.output == "left\n"
    assert done.duration_s < 5
    assert running("sleep 62.25") == []


async def test_a_cancelled_command_is_ended(commands) -> None:
    task = asyncio.create_task(commands.run("setsid sleep 63.25 & sleep 63.25"))
    async with asyncio.timeout(10):
        while len(running("sleep 63.25")) < 2:
            await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert running("sleep 63.25") == []


async def test_what_a_killed_run_left_is_ended_before_the_next_command(workspace, commands, mode) -> None:
    sandbox = await sandbox_of(workspace.root, "host")
    left = await sandbox.spawn(["/bin/sh", "-c", "sleep 64.25"])
    other = await (await sandbox_of(workspace.root.parent, "host")).spawn(["/bin/sh", "-c", "sleep 65.25"])
    await commands.run("true")
    assert await asyncio.wait_for(left.wait(), 5) != 0
    assert running("sleep 64.25") == []
    assert other.returncode is None
    await end_process(other)


async def test_long_output_is_cut_and_kept_whole(workspace, commands) -> None:
    done = await commands.run("seq 1 20000")
    assert done.output.startswith("1\n2\n")
    assert done.output.endswith("19999\n20000\n")
    assert len(done.output) < 4300
    assert f"full text in {done.output_path}" in done.output
    assert (workspace.run_dir / done.output_path).read_text().count("\n") == 20000


async def test_endless_output_is_stopped(commands, monkeypatch) -> None:
    monkeypatch.setattr(module, "MAX_STORED_BYTES", 1_000_000)
    done = await commands.run("yes", timeout_s=30)
    assert "wrote more than" in done.output
    assert done.duration_s < 10
    assert not done.timed_out


async def test_a_signal_is_told(commands) -> None:
    assert (await commands.run("kill -TERM $$")).exit_code in {-signal.SIGTERM, 128 + signal.SIGTERM}


async def test_outputs_are_numbered_across_runs(workspace, commands, mode) -> None:
    first = await commands.run("true")
    second = await (await commands_of(workspace.root, mode, workspace.run_dir)).run("true")
    many = await asyncio.gather(*(commands.run(f"echo {number}") for number in range(5)))
    paths = [first.output_path, second.output_path, *(done.output_path for done in many)]
    assert sorted(set(paths)) == [f"outputs/{number:03d}.txt" for number in range(1, 8)]
    assert [done.output for done in many] == [f"{number}\n" for number in range(5)]


async def test_memory_is_limited(workspace, mode) -> None:
    commands = await commands_of(workspace.root, mode, workspace.run_dir, memory_mb=300)
    done = await commands.run("python3 -c 'x = bytearray(600 * 1024 * 1024)'")
    assert done.exit_code != 0
    assert "MemoryError" in done.output


async def test_secrets_of_the_environment_are_not_passed_on(workspace, mode, monkeypatch) -> None:
    for name in ("OPENROUTER_API_KEY", "GH_TOKEN", "DB_PASSWORD", "MY_SECRET", "LANGSMITH_ENDPOINT", "SSH_AUTH_SOCK"):
        monkeypatch.setenv(name, "do-not-show")
    monkeypatch.setenv("INDEX_URL", "https://me:do-not-show@example.org/simple")
    monkeypatch.setenv("BRAND_NEW_VENDOR", "do-not-show")
    monkeypatch.setenv("CARGO_HOME", "/shown")
    monkeypatch.setenv("LISTED", "shown")
    output = (await (await commands_of(workspace.root, mode, workspace.run_dir, env=("LISTED",))).run("env")).output
    assert "do-not-show" not in output
    assert "CARGO_HOME=/shown" in output
    assert "LISTED=shown" in output


@IN_VENV
async def test_the_folder_of_our_venv_is_not_on_the_path(commands) -> None:
    output = (await commands.run("echo $PATH; echo venv=$VIRTUAL_ENV")).output
    assert str(Path(sys.prefix) / "bin") not in output.split("\n")[0].split(":")
    assert f"venv={sys.prefix}" not in output


@pytest.mark.parametrize("mode", MODES[1:], indirect=True)
class TestWalls:
    async def test_nothing_outside_the_worktree_can_be_written(self, workspace, commands, tmp_path) -> None:
        targets = [workspace.repo / "a.txt", workspace.repo / ".git/config", workspace.root / ".git",
                   tmp_path / "x", workspace.repo / ".rolecall/rolecall.db", Path("/etc/rolecall-test")]  # fmt: skip
        await commands.run("; ".join(f"echo broken >> '{target}'" for target in targets))
        for target in targets:
            assert not target.exists() or "broken" not in target.read_text()

    async def test_there_is_no_network(self, commands) -> None:
        code = "import socket; socket.create_connection(('127.0.0.1', %d), 2)"
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        done = await commands.run(f'python3 -c "{code % port}"')
        server.close()
        await server.wait_closed()
        assert done.exit_code != 0
        assert "refused" in done.output or "unreachable" in done.output

    async def test_what_tests_need_works_inside(self, commands) -> None:
        code = (
            "import multiprocessing as m, socket, tempfile, os, pathlib, threading\n"
            "m.Lock(); pathlib.Path(tempfile.mkdtemp()).joinpath('x').write_text('x')\n"
            "s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname(), 5)\n"
            "pathlib.Path.home().joinpath('y').write_text('y'); os.urandom(4); open('/dev/null', 'w').write('z')\n"
            "print('all')\n"
        )
        done = await commands.run(f'python3 -c "{code}"')
        assert done.output == "all\n"

    async def test_network_can_be_allowed(self, workspace, mode) -> None:
        code = "import socket; socket.create_connection(('127.0.0.1', %d), 2)"
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        commands = await commands_of(workspace.root, mode, workspace.run_dir, network=True)
        done = await commands.run(f'python3 -c "{code % port}"')
        server.close()
        await server.wait_closed()
        assert done.exit_code == 0

    async def test_home_and_secrets_are_hidden(self, workspace, mode, tmp_path, monkeypatch) -> None:
        home = tmp_path / "home"
        (home / ".ssh").mkdir(parents=True)
        (home / ".ssh/id_ed25519").write_text("private")
        (home / ".cargo/bin").mkdir(parents=True)
        (home / ".cargo/credentials.toml").write_text("private")
        monkeypatch.setenv("HOME", str(home))
        commands = await commands_of(workspace.root, mode, workspace.run_dir)
        done = await commands.run(
            f"cat ~/.ssh/* ~/.cargo/credentials.toml '{workspace.repo}/.env'; ls -a ~; ls ~/.cargo"
        )
        assert "private" not in done.output
        assert "hunter2" not in done.output
        assert "bin" in done.output

    async def test_tmp_is_private(self, commands, tmp_path) -> None:
        marker = Path("/tmp") / f"rolecall-{os.getpid()}-test"
        assert (await commands.run(f"echo x > {marker} && cat {marker}")).output == "x\n"
        assert not marker.exists()

    async def test_a_folder_for_temporary_files_stays_writable(self, workspace, mode, tmp_path) -> None:
        sandbox = await sandbox_of(workspace.root, mode)
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        process = await sandbox.spawn(["/bin/sh", "-c", 'echo x > "$TMPDIR/y"'], env={"TMPDIR": str(scratch)})
        await process.communicate()
        assert (scratch / "y").read_text() == "x\n"

    async def test_a_linked_worktree_of_the_user_works_inside(self, workspace, mode, tmp_path) -> None:
        linked = tmp_path / "linked"
        git(workspace.repo, "worktree", "add", "--quiet", "-b", "side", str(linked))
        made = await GitWorkspace.open(linked, thread())
        await made.prepare()
        done = await (await commands_of(made.root, mode, made.run_dir)).run("git log -1 --format=%s; touch ok; ls")
        assert done.output == "First commit\na.txt\nok\n"

    def test_the_policy_is_told(self, commands) -> None:
        assert "bubblewrap: no network" in commands.policy


async def test_the_host_policy_is_told_with_its_reason(workspace, tmp_path, monkeypatch) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    assert "bubblewrap is not installed" in (await sandbox_of(workspace.root, "auto")).policy
    with pytest.raises(ConfigError, match="bubblewrap is not installed"):
        await sandbox_of(workspace.root, "bubblewrap")


async def test_a_bubblewrap_that_does_not_work_is_passed_over(workspace, tmp_path, monkeypatch) -> None:
    broken = tmp_path / "bin/bwrap"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho 'No permissions to create new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken.parent}:{os.environ['PATH']}")
    assert "No permissions to create new namespace" in (await sandbox_of(workspace.root, "auto")).policy
