"""The walls as an attacker meets them: as root and, in a process of its own, as an ordinary user."""

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.config.settings import ApprovalSettings, SandboxSettings
from core.errors import ConfigError, SandboxError
from core.redaction import Redactor
from tests.repositories import git, make_repository, thread, write
from tests.unit.tools.bench import commands_of, sandbox_of
from tools.commands.command_runner import SandboxCommands
from tools.commands.outputs import OutputStore
from tools.processes.environment import user_environment
from tools.sandbox import hidden_files, wall_probe
from tools.sandbox.bubblewrap import Bubblewrap
from tools.sandbox.sandbox import SandboxPaths, open_sandbox
from tools.sandbox.seccomp import seccomp_filter
from tools.worktree.workspace import GitWorkspace

TOKEN = "ghp" + "_" + "a1B2" * 9


@pytest.fixture
async def workspace(tmp_path: Path) -> GitWorkspace:
    repo = make_repository(tmp_path / "a repo", {"a.txt": "a\n", "src/b.txt": "b\n"})
    write(repo, {"untracked.txt": "private notes\n", "deploy/nested.txt": "private notes\n"})
    made = await GitWorkspace.open(repo, thread())
    await made.prepare()
    return made


async def output_of(workspace: GitWorkspace, command: str, **more: Any) -> str:
    commands = await commands_of(workspace.root, "bubblewrap", workspace.run_dir, **more)
    return (await commands.run(command)).output


async def test_there_are_no_capabilities_and_no_way_to_new_ones(workspace) -> None:
    told = await output_of(workspace, "id -u; grep -E 'Cap(Eff|Prm|Bnd)|NoNewPrivs|^Seccomp:' /proc/self/status")
    assert told.split()[0] != "0"
    assert told.count("0000000000000000") == 3
    assert "NoNewPrivs:\t1" in told
    assert "Seccomp:\t2" in told


async def test_nothing_can_be_mounted_again(workspace) -> None:
    places = f"/usr /etc '{workspace.repo}' '{workspace.repo}/.git' \"$HOME\""
    told = await output_of(
        workspace,
        f"for p in {places}; do mount -o remount,rw,bind $p; umount $p; umount -l $p; done;"
        f"unshare -Ur true && echo got a namespace; echo broken > '{workspace.repo}/a.txt'; echo x > /etc/rolecall-x",
    )
    assert "got a namespace" not in told
    assert (workspace.repo / "a.txt").read_text() == "a\n"
    assert not Path("/etc/rolecall-x").exists()


async def test_no_set_uid_file_can_be_left_behind(workspace) -> None:
    code = (
        "import os, stat\n"
        "def attempt(do):\n"
        "    try: do()\n"
        "    except OSError: pass\n"
        "open('shell', 'w').close()\n"
        "fd = os.open('shell', os.O_RDWR)\n"
        "for mode in (0o4755, 0o2755, 0o6755):\n"
        "    attempt(lambda: os.chmod('shell', mode)); attempt(lambda: os.fchmod(fd, mode))\n"
        "    attempt(lambda: os.close(os.open(f'made{mode}', os.O_CREAT | os.O_RDWR, mode)))\n"
        "    attempt(lambda: os.mknod(f'node{mode}', stat.S_IFREG | mode))\n"
    )
    await output_of(workspace, f'umask 0; python3 -c "{code}"; cp /bin/true t; chmod u+s t; install -m 4755 t t2')
    assert (workspace.root / "shell").exists()
    assert not [path for path in workspace.root.rglob("*") if path.lstat().st_mode & 0o6000]


@pytest.mark.parametrize(
    ("call", "arguments"),
    [("keyctl", "250, 0, -3, 0"), ("io_uring_setup", "425, 1, 0"), ("bpf", "321, 0, 0, 0"), ("clone3", "435, 0, 0"),
     ("userfaultfd", "323, 0"), ("open_by_handle_at", "304, 0, 0, 0"), ("unshare", "272, 0x10000000"),
     ("x32 getpid", "0x40000000 + 39")],
)  # fmt: skip
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are those of x86_64")
async def test_doors_of_the_kernel_are_closed(workspace, call: str, arguments: str) -> None:
    code = (
        "import ctypes, errno; lib = ctypes.CDLL(None, use_errno=True); "
        f"r = lib.syscall({arguments}); print(r, errno.errorcode.get(ctypes.get_errno()))"
    )
    assert (await output_of(workspace, f'python3 -c "{code}"')).strip() in {"-1 EPERM", "-1 ENOSYS"}, call


def test_the_filter_is_made_for_two_processors_and_no_other() -> None:
    for machine in ("x86_64", "aarch64"):
        program = seccomp_filter(machine)
        assert program is not None
        assert len(program) % 8 == 0
    assert seccomp_filter("riscv64") is None


async def test_of_the_checkout_only_what_is_installed_is_seen(workspace) -> None:
    repo = workspace.repo
    write(repo, {".venv/pyvenv.cfg": "home = /usr\n", ".venv/lib/x.py": "1\n", "node_modules/m/i.js": "1\n",
                 ".venv/pip.conf": "[global]\nindex-url = https://ada:" + "hunter2@host/\n",
                 "node_modules/m/.npmrc": "_authToken=hunter2\n", "env/prod.txt": "hunter2\n"})  # fmt: skip
    git(repo, "remote", "add", "origin", "https://ada:" + "hunter2@example.org/x.git")
    git(repo, "config", "credential.helper", "store")
    told = await output_of(
        workspace,
        f"cd '{repo}'; ls -A; ls .venv node_modules; cat untracked.txt deploy/nested.txt a.txt .venv/pip.conf "
        "node_modules/m/.npmrc env/prod.txt .git/config .git/hooks/* .git/logs/HEAD .git/FETCH_HEAD; cd - >/dev/null; "
        "git log --format=%s; git status --short; git remote -v; git config credential.helper",
    )
    assert "private notes" not in told
    assert "hunter2" not in told
    assert "pyvenv.cfg" in told
    assert "First commit" in told
    assert "example.org" not in told
    assert "store" not in told.split()


async def test_sockets_and_links_of_the_checkout_lead_nowhere(workspace, tmp_path) -> None:
    secret = tmp_path / "outside.txt"
    secret.write_text("private notes")
    (workspace.repo / "node_modules").mkdir()
    (workspace.repo / "link").symlink_to(secret)
    (workspace.repo / ".venv").symlink_to(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(workspace.repo / "node_modules", os.O_RDONLY)
        try:
            server.bind(f"/proc/self/fd/{here}/s")
        finally:
            os.close(here)
        server.listen()
        code = f"import socket; socket.socket(socket.AF_UNIX).connect('{workspace.repo}/node_modules/s'); print('in')"
        told = await output_of(
            workspace, f"python3 -c \"{code}\" 2>&1 | tail -1; cat '{workspace.repo}/link' .venv/outside.txt '{secret}'"
        )
    assert "private notes" not in told
    assert "in" not in told.splitlines()


async def test_other_places_of_the_machine_are_not_there(workspace) -> None:
    told = await output_of(workspace, "ls -A / /run /var; cat /etc/shadow /etc/ssl/private/*; ls /home /mnt /srv")
    assert not {"home", "mnt", "srv", "media", "boot"} & set(told.split())
    assert "root:" not in told


class TestHistory:
    async def test_it_is_seen_where_it_holds_no_secret(self, workspace) -> None:
        told = await output_of(workspace, "git log --oneline; git show HEAD:src/b.txt")
        assert told.endswith("b\n")

    async def test_it_is_hidden_where_it_held_one(self, workspace) -> None:
        repo = workspace.repo
        write(repo, {".env": "a word of no form\n"})
        git(repo, "add", "--force", ".env")
        git(repo, "commit", "--quiet", "-m", "Oops")
        git(repo, "rm", "--quiet", ".env")
        git(repo, "commit", "--quiet", "-m", "Better")
        sandbox = await sandbox_of(workspace.root, "bubblewrap")
        assert "git history hidden (it contains .env" in sandbox.policy
        told = await output_of(workspace, f"git show HEAD; ls '{repo}/.git'; find / -name '*.pack' 2>/dev/null")
        assert "not a git repository" in told
        assert "no form" not in await output_of(workspace, "git log -p --all", git_history="hide")
        assert "no form" in await output_of(workspace, "git log -p --all", git_history="show")

    async def test_settings_decide(self, workspace) -> None:
        assert "not a git repository" in await output_of(workspace, "git log", git_history="hide")


async def test_thirty_thousand_files_and_odd_names_are_no_trouble(tmp_path) -> None:
    repo = make_repository(tmp_path / "odd\tname 'x $(id)", {"a.txt": "a\n"})
    for folder in range(30):
        (repo / f"d{folder}").mkdir()
        for number in range(1000):
            (repo / f"d{folder}" / f".env.{number}").touch()
    made = await GitWorkspace.open(repo, thread())
    await made.prepare()
    sandbox = await sandbox_of(made.root, "bubblewrap", git_history="show")
    assert "bubblewrap" in sandbox.policy
    assert (await output_of(made, "cat a.txt", git_history="show")) == "a\n"


async def test_a_failure_of_the_walls_is_no_reason_to_go_without_them(workspace, tmp_path, monkeypatch) -> None:
    commands = await commands_of(workspace.root, "auto", workspace.run_dir)
    launch = Bubblewrap.launch

    def broken(self: Bubblewrap, argv: list[str], *more: Any, **named: Any) -> Any:
        made = launch(self, argv, *more, **named)
        made.argv[1:1] = ["--ro-bind", "/nowhere", "/nowhere"]
        return made

    monkeypatch.setattr(Bubblewrap, "launch", broken)
    with pytest.raises(SandboxError, match="nowhere"):
        await commands.run(f"touch '{tmp_path}/ran'")
    assert not (tmp_path / "ran").exists()


async def test_walls_that_are_not_there_are_refused_when_required(workspace, tmp_path, monkeypatch) -> None:
    places = SandboxPaths(workspace.root, workspace.repo)
    with pytest.raises(ConfigError, match="require"):
        await open_sandbox(SandboxSettings(mode="host", require=True), places)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(ConfigError, match="bubblewrap is not installed"):
        await open_sandbox(SandboxSettings(require=True), places)


@pytest.mark.parametrize(
    ("removed", "told"),
    [(("--unshare-net",), "net namespace"), (("--seccomp",), "not filtered"), (("--unshare-ipc",), "ipc namespace")],
)
async def test_the_probe_finds_a_hole(workspace, monkeypatch, removed: tuple[str, ...], told: str) -> None:
    sandbox = await sandbox_of(workspace.root, "bubblewrap")
    walls = sandbox._wrapper
    assert isinstance(walls, Bubblewrap)
    assert await wall_probe.probe_walls(walls) == ""
    if removed == ("--seccomp",):
        filters = iter([None])
        monkeypatch.setattr("tools.sandbox.bubblewrap.seccomp_filter", lambda: next(filters, None))
    else:
        isolation = Bubblewrap._isolation
        monkeypatch.setattr(Bubblewrap, "_isolation", lambda self: [it for it in isolation(self) if it not in removed])
    assert told in await wall_probe.probe_walls(walls)


async def test_the_probe_sees_a_checkout_that_is_shown(workspace, monkeypatch) -> None:
    sandbox = await sandbox_of(workspace.root, "bubblewrap")
    places = Bubblewrap._places

    def shown(self: Bubblewrap, mounts: Any) -> None:
        places(self, mounts)
        mounts.read_only(self.scene.repo / "untracked.txt")

    monkeypatch.setattr(Bubblewrap, "_places", shown)
    # The cover of the checkout is read-only by then, so the file cannot even be put there.
    assert await wall_probe.probe_walls(sandbox._wrapper) != ""  # type: ignore[arg-type]


async def test_what_a_command_prints_is_kept_without_secrets(workspace) -> None:
    sandbox = await sandbox_of(workspace.root, "bubblewrap")
    commands = SandboxCommands(
        sandbox, OutputStore(workspace.run_dir, max_bytes=4000), user_environment(), SandboxSettings(),
        ApprovalSettings(), Redactor({"llm.main.api_key": "correct-horse"}),
    )  # fmt: skip
    done = await commands.run(f"echo {TOKEN}; seq 1 300000; echo correct-horse; printf '\\xff\\n'")
    kept = (workspace.run_dir / done.output_path).read_bytes()
    for text in (done.output.encode(), kept):
        assert TOKEN.encode() not in text
        assert b"correct-horse" not in text
        assert b"[secret:llm.main.api_key]" in text
    assert kept.endswith(b"\xff\n")
    assert kept.count(b"\n") == 300_003
    leftovers = [path for path in workspace.run_dir.rglob("*") if path.is_file() and path.suffix != ".txt"]
    assert not [path for path in leftovers if TOKEN.encode() in path.read_bytes()]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_they_hold_for_an_ordinary_user(tmp_path) -> None:
    """The same attempts by a user without rights, who owns the checkout."""
    folder = Path("/var/tmp") / f"walls-{os.getpid()}"
    user = 54321
    try:
        repo = make_repository(folder / "repo", {"a.txt": "a\n"})
        write(repo, {"untracked.txt": "private notes\n"})
        home = folder / "home"
        write(home, {".ssh/id_rsa": "private notes\n"})
        subprocess.run(["chown", "-R", f"{user}:{user}", str(folder)], check=True)
        told = subprocess.run(
            ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", sys.executable, "-c", _AS_USER, repo],
            check=False, capture_output=True, text=True, cwd=Path(__file__).parents[3],
            env={"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[3])},
        )  # fmt: skip
        assert told.returncode == 0, told.stderr
        found = json.loads(told.stdout)
        assert "bubblewrap" in found["policy"]
        assert "private notes" not in found["output"]
        assert str(user) in found["output"]
        assert list(repo.rglob("made"))
        assert (repo / "a.txt").read_text() == "a\n"
        assert not [path for path in repo.rglob("*") if stat.S_IMODE(path.lstat().st_mode) & 0o6000]
    finally:
        subprocess.run(["rm", "-rf", str(folder)], check=True)


_AS_USER = """
import asyncio, json, sys
from pathlib import Path
from core.config.settings import ApprovalSettings, SandboxSettings
from tools.commands.command_runner import SandboxCommands
from tools.processes.environment import user_environment
from tools.commands.outputs import OutputStore
from tools.sandbox.sandbox import SandboxPaths, open_sandbox
from tools.worktree.workspace import GitWorkspace

async def main():
    made = await GitWorkspace.open(Path(sys.argv[1]), "b1d5f0a2-3c4d-4e5f-8a9b-0c1d2e3f4a5b")
    await made.prepare()
    settings = SandboxSettings(mode="bubblewrap")
    sandbox = await open_sandbox(settings, SandboxPaths(made.root, made.repo))
    commands = SandboxCommands(sandbox, OutputStore(made.run_dir, max_bytes=9000), user_environment(), settings,
                               ApprovalSettings())
    done = await commands.run(f"id -u; cat {made.repo}/untracked.txt ~/.ssh/id_rsa; echo x > {made.repo}/a.txt; "
                              "cp /bin/true s; chmod 4755 s; umount /usr; unshare -Ur echo private notes; touch made")
    print(json.dumps({"policy": sandbox.policy, "output": done.output}))

asyncio.run(main())
"""


async def test_limits_are_told_and_concurrent_starts_do_not_mix(workspace) -> None:
    sandbox = await sandbox_of(workspace.root, "bubblewrap")
    started = await asyncio.gather(*(sandbox.spawn(["/bin/echo", str(number)]) for number in range(8)))
    outputs = [(await process.communicate())[0] for process in started]
    assert outputs == [f"{number}\n".encode() for number in range(8)]
    assert "512 processes" in sandbox.policy


async def test_more_secret_files_than_can_be_covered_are_refused_and_not_half_covered(tmp_path) -> None:
    repo = make_repository(tmp_path / "repo", {f"keys/{number}.pem": "k" for number in range(501)})
    with pytest.raises(ConfigError, match="501 files look like they contain secrets") as refused:
        await open_sandbox(SandboxSettings(mode="bubblewrap"), SandboxPaths(repo, repo))
    assert "sandbox.show" in refused.value.hint
    shown = SandboxSettings(mode="bubblewrap", show=("*.pem",))
    assert (await open_sandbox(shown, SandboxPaths(repo, repo))).walled


async def test_a_directory_too_large_to_be_searched_for_secrets_is_named(workspace, tmp_path, monkeypatch) -> None:
    write(tmp_path / "toolchain", {"bin/tool": "", "etc/deep/.npmrc": f"_authToken={TOKEN}\n"})
    assert "searched" not in (await sandbox_of(workspace.root, "bubblewrap")).policy
    monkeypatch.setattr(hidden_files, "_MOST_ENTRIES", 1)
    sandbox = await sandbox_of(workspace.root, "bubblewrap")
    shown = await asyncio.to_thread(sandbox.showing, [tmp_path / "toolchain"])
    cut = sandbox.policy.partition("not all of it searched for secret-looking files: ")[2]
    assert "/etc" in cut.split(", ")
    assert shown.policy.endswith(f", {tmp_path / 'toolchain'}")
