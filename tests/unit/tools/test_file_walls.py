"""What is outside the worktree stays untouched by the file tools, whatever is done to the paths meanwhile."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.context import Context
from core.errors import ToolError
from tests.repositories import git, write
from tests.unit.tools import exchanger
from tests.unit.tools.calling import call, context_of, error, text
from tools.agent import search_tool
from tools.files.path_guard import open_beneath

OUTSIDE = "what lies outside"
FILES = {"src/data.txt": "what lies inside\n", "calc.py": "def add(a, b):\n    return a + b\n"}
RACE_S = 1.5


@pytest.fixture
async def context(tmp_path: Path) -> Context:
    return await context_of(tmp_path / "repo", FILES)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    write(folder, {"data.txt": f"{OUTSIDE}\n"})
    return folder


@contextmanager
def exchanging(folder: Path, one: str, other: str) -> Iterator[None]:
    argv = [sys.executable, exchanger.__file__, str(folder), one, other]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "exchanging\n"
        yield
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


class TestExchangedFolders:
    """A folder and a symlink to the outside change places all the time, as a daemon of a command could do it."""

    @pytest.fixture
    def root(self, context: Context, outside: Path) -> Iterator[Path]:
        root = context.workspace.root
        (root / "link").symlink_to(outside)
        with exchanging(root, "src", "link"):
            yield root

    async def test_no_byte_outside_is_read(self, context, root) -> None:
        until, seen = time.monotonic() + RACE_S, set()
        while time.monotonic() < until:
            seen.add((await call(context, "read_file", path="src/data.txt")).text.strip()[:60])
        assert not [words for words in seen if OUTSIDE in words]
        assert len(seen) > 1, "the race was never met"

    def test_no_read_of_thousands_gets_outside(self, context, root) -> None:
        until, seen = time.monotonic() + RACE_S, set()
        while time.monotonic() < until:
            try:
                with open_beneath(root, "src/data.txt") as place:
                    seen.add(place.read(1000).decode())
            except ToolError as refusal:
                seen.add(refusal.message)
        assert not [words for words in seen if OUTSIDE in words]
        assert len(seen) > 1, "the race was never met"

    async def test_no_byte_outside_is_written(self, context, root, outside) -> None:
        until, count = time.monotonic() + RACE_S, 0
        while time.monotonic() < until:
            count += 1
            await call(context, "write_file", path="src/data.txt", content=f"{count}\n")
            await call(context, "edit_file", path="src/data.txt", old=f"{count}", new="edited")
            await call(context, "write_file", path="src/deep/new.txt", content="x\n")
        assert {path.name: path.read_text() for path in outside.rglob("*")} == {"data.txt": f"{OUTSIDE}\n"}

    async def test_nothing_outside_is_listed_or_found(self, context, root, outside) -> None:
        write(outside, {"private.txt": OUTSIDE})
        until = time.monotonic() + RACE_S
        while time.monotonic() < until:
            assert "private" not in (await call(context, "list_files", path="src")).text
            assert OUTSIDE not in (await call(context, "search_text", pattern="what lies")).text
            assert OUTSIDE not in (await call(context, "search_text", pattern="what lies", path="src/data.txt")).text


class TestExchangedFiles:
    async def test_a_file_that_becomes_a_symlink_is_not_followed_outside(self, context, outside) -> None:
        root = context.workspace.root
        (root / "src/link.txt").symlink_to(outside / "data.txt")
        until, seen = time.monotonic() + RACE_S, set()
        with exchanging(root / "src", "data.txt", "link.txt"):
            while time.monotonic() < until:
                seen.add((await call(context, "read_file", path="src/data.txt")).text[:60])
                seen.add((await call(context, "search_text", pattern=".", path="src/data.txt")).text[:60])
                await call(context, "write_file", path="src/data.txt", content="new\n")
        assert not [words for words in seen if OUTSIDE in words]
        assert (outside / "data.txt").read_text() == f"{OUTSIDE}\n"


class TestStandingLinks:
    @pytest.mark.parametrize("few", [0, 10_000], ids=["ripgrep", "python"])
    async def test_a_tracked_file_whose_folder_became_a_link_is_not_searched(
        self, context, outside, monkeypatch, few
    ) -> None:
        monkeypatch.setattr(search_tool, "_FEW_FILES", few)
        root = context.workspace.root
        (root / "src/data.txt").unlink()
        (root / "src").rmdir()
        (root / "src").symlink_to(outside)
        assert OUTSIDE not in await text(context, "search_text", pattern="what lies")
        assert await text(context, "list_files") == "calc.py\nsrc"
        assert "outside the worktree" in await error(context, "read_file", path="src/data.txt")
        assert "outside the worktree" in await error(context, "list_files", path="src")

    async def test_links_inside_are_followed_and_kept(self, context) -> None:
        root = context.workspace.root
        (root / "a").symlink_to("src")
        (root / "b.txt").symlink_to(root / "a" / "data.txt")
        assert "what lies inside" in await text(context, "read_file", path="b.txt")
        assert "changed" in await text(context, "edit_file", path="b.txt", old="inside", new="here")
        assert (root / "b.txt").is_symlink()
        assert (root / "src/data.txt").read_text() == "what lies here\n"
        assert await text(context, "list_files", path="a") == "src/data.txt"

    async def test_links_in_a_circle_end(self, context) -> None:
        (context.workspace.root / "x").symlink_to("y")
        (context.workspace.root / "y").symlink_to("x")
        assert "too many symlinks" in await error(context, "read_file", path="x/z")

    @pytest.mark.parametrize("path", [".git", "SRC/../.Git", ".gi\u200bt", "deep/.hg/hgrc", "g/config", "h"])
    async def test_private_folders_are_refused_as_resolved(self, context, path) -> None:
        root = context.workspace.root
        (root / "g").symlink_to(".git")
        (root / "h").symlink_to("src/../.GIT")
        for name in ("read_file", "list_files", "search_text"):
            more = {"pattern": "."} if name == "search_text" else {}
            assert "not accessible to tools" in await error(context, name, path=path, **more)
        assert "not accessible to tools" in await error(context, "write_file", path=path, content="x")

    @pytest.mark.parametrize("path", ["x" * 5000, "/".join("d" * 300), "n" * 300, "\ud800", "a\0b", "../" * 40])
    async def test_odd_paths_are_told_in_a_sentence(self, context, path) -> None:
        assert "the tool" not in await error(context, "read_file", path=path)
        assert "the tool" not in await error(context, "write_file", path=path, content="x")
        assert "the tool" not in await error(context, "list_files", path=path)


class TestOddFiles:
    @pytest.fixture
    def odd(self, context: Context) -> Iterator[dict[str, str]]:
        root = context.workspace.root
        os.mkfifo(root / "pipe")
        with socket.socket(socket.AF_UNIX) as made:
            here = Path.cwd()
            os.chdir(root)
            try:
                made.bind("sock")
            finally:
                os.chdir(here)
            (root / "null").symlink_to("/dev/null")
            yield {"pipe": "a named pipe", "sock": "a socket", "null": "outside the worktree"}

    async def test_what_is_no_file_is_named_and_never_waited_for(self, context, odd) -> None:
        async with asyncio.timeout(20):
            for path, kind in odd.items():
                assert kind in await error(context, "read_file", path=path)
                assert kind in await error(context, "edit_file", path=path, old="a", new="b")
                assert kind in await error(context, "write_file", path=path, content="x")
            await text(context, "search_text", pattern="inside")
            await text(context, "list_files")

    @pytest.mark.parametrize("few", [0, 10_000], ids=["ripgrep", "python"])
    async def test_a_huge_sparse_file_costs_nothing(self, context, monkeypatch, few) -> None:
        monkeypatch.setattr(search_tool, "_FEW_FILES", few)
        with (context.workspace.root / "calc.py").open("r+b") as file:
            file.seek(3 * 2**30)
            file.write(b"\nlies\n")
        started = time.monotonic()
        assert await text(context, "search_text", pattern="lies") == "src/data.txt:1:what lies inside"
        assert "no match" in await text(context, "search_text", pattern="lies", path="calc.py")
        assert "too many to read" in await error(context, "read_file", path="calc.py")
        assert "too many to read" in await error(context, "edit_file", path="calc.py", old="a", new="b")
        assert time.monotonic() - started < 20

    async def test_a_written_file_never_runs_as_another_user(self, context) -> None:
        place = context.workspace.root / "calc.py"
        place.chmod(0o6755)
        await text(context, "edit_file", path="calc.py", old="a + b", new="b + a")
        assert place.stat().st_mode & 0o7777 == 0o755

    async def test_a_hard_link_is_not_written_through(self, context, outside) -> None:
        os.link(outside / "data.txt", context.workspace.root / "hard.txt")
        await text(context, "write_file", path="hard.txt", content="new\n")
        assert (outside / "data.txt").read_text() == f"{OUTSIDE}\n"

    async def test_a_huge_text_is_not_written(self, context) -> None:
        assert "11000000 bytes" in await error(context, "write_file", path="big.txt", content="x" * 11_000_000)
        assert not (context.workspace.root / "big.txt").exists()


class TestTurns:
    async def test_no_file_tool_runs_beside_a_command(self, context) -> None:
        command = "echo begun > src/now.txt; sleep 1; rm src/now.txt"
        running = asyncio.create_task(call(context, "run_command", command=command))
        root = context.workspace.root
        while not (root / "src/now.txt").exists():
            await asyncio.sleep(0.01)
        waiting = [
            call(context, "read_file", path="src/now.txt"),
            call(context, "search_text", pattern="begun"),
            call(context, "list_files", path="src"),
            call(context, "edit_file", path="src/now.txt", old="begun", new="x"),
        ]
        async with asyncio.timeout(60):
            answers = await asyncio.gather(*waiting)
            await running
        assert not [answer.text for answer in answers if "begun" in answer.text or "now.txt changed" in answer.text]

    async def test_two_edits_of_one_file_in_one_message_are_both_kept(self, context) -> None:
        body = "".join(f"line {n}\n" for n in range(20))
        await text(context, "write_file", path="many.txt", content=body)
        calls = [call(context, "edit_file", path="many.txt", old=f"line {n}\n", new=f"LINE {n}\n") for n in range(20)]
        async with asyncio.timeout(60):
            await asyncio.gather(*calls)
        assert (context.workspace.root / "many.txt").read_text() == body.upper()

    async def test_a_cancelled_command_lets_the_file_tools_go_on(self, context) -> None:
        running = asyncio.create_task(call(context, "run_command", command="touch src/on; sleep 60"))
        while not (context.workspace.root / "src/on").exists():
            await asyncio.sleep(0.01)
        running.cancel()
        async with asyncio.timeout(20):
            assert "what lies inside" in await text(context, "read_file", path="src/data.txt")
        assert running.cancelled()
        assert git(context.workspace.root, "status", "--short")
