"""The repository's interpreter: which one is taken, whose code wins in it, and the loan of a pytest."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.config.settings import ApprovalSettings, SandboxSettings
from core.errors import ConfigError
from tests.repositories import git, make_repository, thread, write
from tests.unit.tools.bench import IN_VENV, MODES
from tools.commands.command_runner import SandboxCommands
from tools.commands.outputs import OutputStore
from tools.sandbox.sandbox import SandboxPaths, open_sandbox
from tools.target.bundled_pytest import install_bundle
from tools.target.target_python import TargetPython, find_target_python
from tools.worktree.workspace import GitWorkspace

BASE = Path(sys.base_prefix) / "bin/python3"
FILES = {
    ".gitignore": ".venv/\n",
    "src/shop/__init__.py": "ORIGIN = 'checkout'\n",
    "tests/test_shop.py": "import shop\n\ndef test_origin():\n    assert shop.ORIGIN == 'worktree'\n",
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return tmp_path / "cache"


def bare_venv(folder: Path) -> Path:
    """A venv without pip or pytest, made of the interpreter under ours."""
    subprocess.run([BASE, "-m", "venv", "--without-pip", folder], check=True)
    return next(folder.glob("lib/python3.*/site-packages"))


async def opened(repo: Path) -> GitWorkspace:
    workspace = await GitWorkspace.open(repo, thread())
    await workspace.prepare()
    write(workspace.root, {"src/shop/__init__.py": "ORIGIN = 'worktree'\n"})
    return workspace


async def found(repo: Path, root: Path, configured: str = "") -> TargetPython:
    return await find_target_python(
        await open_sandbox(SandboxSettings(mode="host"), SandboxPaths(root, repo)), configured
    )


async def run(workspace: GitWorkspace, target: TargetPython, command: str, mode: str = "host") -> str:
    settings = SandboxSettings(mode=mode)  # type: ignore[arg-type]
    sandbox = await open_sandbox(settings, SandboxPaths(workspace.root, workspace.repo, target.readable))
    outputs = OutputStore(workspace.run_dir, max_bytes=20_000)
    return (await SandboxCommands(sandbox, outputs, target.env, settings, ApprovalSettings()).run(command)).output


@pytest.mark.parametrize("mode", MODES)
async def test_an_ignored_venv_with_an_editable_install_runs_the_worktrees_code(tmp_path, cache, mode) -> None:
    repo = make_repository(tmp_path / "a shop", FILES)
    site = bare_venv(repo / ".venv")
    (site / "_editable_shop.pth").write_text(f"{repo / 'src'}\n")
    workspace = await opened(repo)
    target = await found(repo, workspace.root)
    assert target.python == str(repo / ".venv/bin/python")
    assert "has no pytest" in target.note
    output = await run(
        workspace, target, "python -m pytest -q; pytest --version; python -c 'import sys; print(sys.prefix)'", mode
    )
    assert "1 passed" in output
    assert output.splitlines()[-1] == str(repo / ".venv")


async def test_a_finder_of_an_editable_install_loses_too(tmp_path, cache) -> None:
    files = {**FILES, "libs/core/shop_core/__init__.py": "ORIGIN = 'checkout'\n"}
    repo = make_repository(tmp_path / "mono", files)
    site = bare_venv(repo / ".venv")
    finder = ("import sys\nfrom importlib.machinery import PathFinder\nMAPPING = {'shop_core': %r}\nclass Finder:\n"
              "    @classmethod\n    def find_spec(cls, name, path=None, target=None):\n"
              "        return PathFinder.find_spec(name, [%r]) if name in MAPPING else None\n"
              "def install():\n    sys.meta_path.append(Finder)\n")  # fmt: skip
    place = repo / "libs/core"
    (site / "__editable___shop_finder.py").write_text(finder % (str(place / "shop_core"), str(place)))
    (site / "__editable__.shop.pth").write_text("import __editable___shop_finder; __editable___shop_finder.install()\n")
    workspace = await opened(repo)
    write(workspace.root, {"libs/core/shop_core/__init__.py": "ORIGIN = 'worktree'\n"})
    target = await found(repo, workspace.root)
    assert await run(workspace, target, "python -c 'import shop_core; print(shop_core.ORIGIN)'") == "worktree\n"


@IN_VENV
async def test_our_own_venv_is_never_the_target(tmp_path, cache, monkeypatch) -> None:
    repo = make_repository(tmp_path / "shop", FILES)
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    monkeypatch.setenv("PATH", f"{sys.prefix}/bin:{os.environ['PATH']}")
    workspace = await opened(repo)
    target = await found(repo, workspace.root)
    assert not Path(target.python).is_relative_to(sys.prefix)
    assert target.env.get("VIRTUAL_ENV") != sys.prefix
    assert f"{sys.prefix}/bin" not in target.env["PATH"].split(":")


async def test_the_active_venv_of_the_user_is_taken(tmp_path, cache, monkeypatch) -> None:
    repo = make_repository(tmp_path / "shop", FILES)
    bare_venv(tmp_path / "active")
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "active"))
    target = await found(repo, repo)
    assert target.python == str(tmp_path / "active/bin/python")


async def test_a_configured_interpreter_comes_first(tmp_path, cache) -> None:
    repo = make_repository(tmp_path / "shop", FILES)
    bare_venv(repo / ".venv")
    bare_venv(repo / "other")
    assert (await found(repo, repo, "other/bin/python")).python == str(repo / "other/bin/python")
    with pytest.raises(ConfigError, match="no/such/python"):
        await found(repo, repo, "no/such/python")


async def test_a_venv_that_does_not_run_is_passed_over_and_named(tmp_path, cache) -> None:
    repo = make_repository(tmp_path / "shop", FILES)
    (repo / ".venv/bin").mkdir(parents=True)
    (repo / ".venv/bin/python").symlink_to("/nowhere/python3")
    target = await found(repo, repo)
    assert Path(target.python).exists()
    assert ".venv/bin/python does not run" in target.note


async def test_the_venv_of_an_environment_manager_is_found(tmp_path, cache, monkeypatch) -> None:
    repo = make_repository(tmp_path / "shop", {**FILES, "poetry.lock": ""})
    bare_venv(tmp_path / "virtualenvs/shop-x")
    program = tmp_path / "bin/poetry"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n[ "$1 $2" = "env info" ] && echo {tmp_path}/virtualenvs/shop-x/bin/python\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    assert (await found(repo, repo)).python == str(tmp_path / "virtualenvs/shop-x/bin/python")


async def test_a_repository_without_python_hears_nothing_of_pytest(tmp_path, cache) -> None:
    repo = make_repository(tmp_path / "crate", {"Cargo.toml": "[package]\n"})
    bare_venv(repo / ".venv")
    assert (await found(repo, repo)).note == ""


async def test_a_module_of_the_repository_does_not_shadow_the_probe(tmp_path, cache) -> None:
    repo = make_repository(tmp_path / "shop", {"json.py": "raise SystemExit('shadowed')\n", "importlib.py": "1/0\n"})
    bare_venv(repo / ".venv")
    assert (await found(repo, repo)).python == str(repo / ".venv/bin/python")


async def test_the_pythonpath_of_the_user_points_to_the_worktree(tmp_path, cache, monkeypatch) -> None:
    repo = make_repository(tmp_path / "shop", {**FILES, "vendored/extra.py": "X = 'checkout'\n"})
    monkeypatch.setenv("PYTHONPATH", "/ours")
    monkeypatch.setenv("ROLECALL_ORIGINAL_PYTHONPATH", f"{repo / 'vendored'}:/elsewhere")
    workspace = await opened(repo)
    entries = (await found(repo, workspace.root)).env["PYTHONPATH"].split(":")
    assert entries[:2] == [str(workspace.root / "src"), str(workspace.root)]
    assert str(workspace.root / "vendored") in entries
    assert "/elsewhere" in entries
    assert "/ours" not in entries


async def test_two_runs_may_lend_at_once_and_only_what_is_missing(cache) -> None:
    loans = await asyncio.gather(*(asyncio.to_thread(install_bundle, (3, 12), ["packaging"]) for _ in range(4)))
    names = sorted(folder.name.rpartition("-")[0] for folder in loans[0].folders)
    assert names == ["iniconfig", "pluggy", "pygments", "pytest"]
    assert all(loan == loans[0] for loan in loans)
    assert sorted(path.name for path in (cache / "rolecall/lent").iterdir()) == sorted(f.name for f in loans[0].folders)
    assert not [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".py"]


def test_a_python_too_old_for_our_pytest_gets_no_loan(cache) -> None:
    loan = install_bundle((3, 8), [])
    assert not loan.folders
    assert "needs Python" in loan.problem


class TestAnInterpreterOfTheRepository:
    """A tracked interpreter that leaves a mark when it is run."""

    def canary(self, tmp_path: Path, answer: str = "{}") -> tuple[Path, str]:
        mark = tmp_path / "mark" / "was-run"
        mark.parent.mkdir()
        return mark, f"#!/bin/sh\ntouch {mark}\ncat <<'END'\n{answer}\nEND\n"

    def repository(self, tmp_path: Path, files: dict[str, str], links: dict[str, str] | None = None) -> Path:
        repo = make_repository(tmp_path / "shop", {"a.py": "", ".gitignore": ".venv\nignored\n"})
        write(repo, files)
        for name in files:
            (repo / name).chmod(0o755)
        for name, target in (links or {}).items():
            (repo / name).parent.mkdir(parents=True, exist_ok=True)
            (repo / name).symlink_to(target)
        git(repo, "add", "--force", "--all")
        git(repo, "commit", "--quiet", "-m", "x")
        return repo

    async def found(self, repo: Path, mode: str) -> TargetPython:
        settings = SandboxSettings(mode=mode)  # type: ignore[arg-type]
        workspace = await opened(repo)
        sandbox = await open_sandbox(settings, SandboxPaths(workspace.root, repo))
        return await find_target_python(sandbox)

    @pytest.mark.parametrize(
        ("files", "links"),
        [
            (".venv/bin/python", {}),
            ("venv/bin/python3", {}),
            ("tools/fake", {".venv/bin/python": "../../tools/fake"}),
            ("tools/bin/python", {".venv": "tools"}),
            ("tools/v/bin/python", {"t": "tools", ".venv": "t/v"}),
        ],
    )
    @pytest.mark.parametrize("mode", MODES)
    async def test_it_never_runs_on_the_host(self, tmp_path, cache, files, links, mode) -> None:
        mark, text = self.canary(tmp_path)
        target = await self.found(self.repository(tmp_path, {files: text}, links), mode)
        assert not mark.exists()
        assert not Path(target.python).is_relative_to(tmp_path)
        assert ("came with the repository" if mode == "host" else "does not run") in target.note

    @pytest.mark.parametrize("name", ["pyvenv.cfg", "lib/python3.11/site-packages/sitecustomize.py"])
    async def test_a_venv_of_which_anything_is_tracked_is_not_run(self, tmp_path, cache, name) -> None:
        mark, text = self.canary(tmp_path)
        repo = self.repository(tmp_path, {f".venv/{name}": "x"})
        write(repo, {".venv/bin/python": text})
        (repo / ".venv/bin/python").chmod(0o755)
        assert "came with the repository" in (await self.found(repo, "host")).note
        assert not mark.exists()

    async def test_a_link_of_the_users_own_venv_to_a_tracked_file_is_not_run(self, tmp_path, cache) -> None:
        mark, text = self.canary(tmp_path)
        repo = self.repository(tmp_path, {"tools/fake": text})
        (repo / ".venv/bin").mkdir(parents=True)
        (repo / ".venv/bin/python").symlink_to("../../tools/fake")
        assert "came with the repository" in (await self.found(repo, "host")).note
        assert not mark.exists()

    async def test_what_it_says_makes_nothing_readable(self, tmp_path, cache, monkeypatch) -> None:
        home = tmp_path / "home"
        write(home, {".ssh/id": "x", "notes/lib/python3.11/os.py": "", "notes/bin/python": ""})
        monkeypatch.setenv("HOME", str(home))
        for number, place in enumerate(("/", str(home), f"{home}/.ssh", f"{home}/notes", str(tmp_path), "/etc")):
            said = {"python": "/bin/true", "version": [3, 11], "prefix": place, "base": place, "present": ["pytest"],
                    "path": [place, f"{tmp_path}/shop/../home"], "mapped": [f"{place}/x"]}  # fmt: skip
            repo = make_repository(tmp_path / str(number) / "shop", {"a.py": ""})
            write(repo, {".venv/bin/python": self.canary(tmp_path / str(number), json.dumps(said))[1]})
            (repo / ".venv/bin/python").chmod(0o755)
            target = await found(repo, repo)
            assert target.python == "/bin/true"
            assert [folder for folder in target.readable if not folder.is_relative_to(cache)] == []
            assert "home" not in target.env["PYTHONPATH"]

    @pytest.mark.parametrize("said", ["", "{}", "[]", "x" * 2_000_000, '{"python": 3}', "[" * 50_000])
    async def test_an_answer_that_makes_no_sense_is_none(self, tmp_path, cache, said) -> None:
        _, text = self.canary(tmp_path, said)
        repo = make_repository(tmp_path / "shop", {"a.py": ""})
        write(repo, {".venv/bin/python": text})
        (repo / ".venv/bin/python").chmod(0o755)
        assert "does not run" in (await found(repo, repo)).note

    async def test_a_manager_is_not_asked_on_the_host_where_the_repository_brings_plugins(
        self, tmp_path, cache, monkeypatch
    ) -> None:
        mark, text = self.canary(tmp_path)
        write(tmp_path / "bin", {"pdm": text})
        (tmp_path / "bin/pdm").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
        repo = self.repository(tmp_path, {"pdm.lock": "", ".pdm-plugins/x.py": ""})
        await self.found(repo, "host")
        assert not mark.exists()
