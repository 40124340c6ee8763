"""The tools as a model calls them, on a real worktree."""

import json
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.tools import ToolRuntime
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from core.config.settings import SandboxSettings, Settings
from core.context import Context, RunOptions
from tests.repositories import git, make_repository, thread, write
from tests.unit.tools.assembly import open_toolset
from tests.unit.tools.bench import Events
from tools.agent import search_tool
from tools.agent.command_tools import fitting_json
from tools.agent.toolbox import coding_tools, reading_tools
from tools.commands.outputs import OutputStore

FILES = {
    "calc.py": "def add(a, b):\n    return a + 1\n\n\ndef twice(a):\n    return add(a, a)\n",
    "tests/test_calc.py": "import calc\n\ndef test_add():\n    assert calc.add(2, 3) == 5\n",
    ".gitignore": "*.log\n",
}
TOOLS = {tool.name: tool for tool in coding_tools()}


async def context_of(repo: Path, *, approve_all: bool = False) -> Context:
    # Small outputs, so that paging and cutting happen in small files.
    settings = Settings(sandbox=SandboxSettings(max_output_bytes=2000))
    events: Any = Events()
    tools = await open_toolset(repo, identity := thread(), settings, events)
    unused: Any = None
    return Context(
        thread_id=identity, settings=settings, models=unused, workspace=tools.workspace, commands=tools.commands,
        checks=tools.checks, repair=tools.repair, inbox=unused, events=events, tools=unused,
        options=RunOptions(approve_all=approve_all),
    )  # fmt: skip


@pytest.fixture
async def context(tmp_path: Path) -> Context:
    return await context_of(make_repository(tmp_path / "my calc", FILES), approve_all=True)


async def call(context: Context, name: str, **args: Any) -> ToolMessage:
    runtime: Any = ToolRuntime(
        state={}, context=context, config={}, stream_writer=lambda _: None, tool_call_id="1", store=None
    )
    message = {"type": "tool_call", "id": "1", "name": name, "args": {**args, "runtime": runtime}}
    result = await TOOLS[name].ainvoke(message)
    assert isinstance(result, ToolMessage)
    return result


async def text(context: Context, name: str, **args: Any) -> str:
    result = await call(context, name, **args)
    assert result.status == "success", result.text
    return result.text


async def error(context: Context, name: str, **args: Any) -> str:
    result = await call(context, name, **args)
    assert result.status == "error", result.text
    return result.text


def test_reading_tools_change_nothing() -> None:
    names = {tool.name for tool in reading_tools()}
    assert names == {"list_files", "read_file", "search_text", "git_diff"}
    assert names < set(TOOLS)


def test_a_model_is_told_each_argument_and_not_the_runtime() -> None:
    for tool in coding_tools():
        schema: Any = tool.tool_call_schema
        properties = schema.model_json_schema()["properties"]
        assert "runtime" not in properties
        assert all(entry["description"] for entry in properties.values())


class TestReading:
    async def test_files_are_listed(self, context) -> None:
        assert (await text(context, "list_files")).splitlines() == [".gitignore", "calc.py", "tests/test_calc.py"]
        assert await text(context, "list_files", path="tests") == "tests/test_calc.py"
        assert await text(context, "list_files", pattern="*calc.py") == "calc.py\ntests/test_calc.py"
        assert "is not a directory" in await error(context, "list_files", path="nowhere")

    async def test_an_ignored_folder_can_be_looked_into(self, context) -> None:
        write(context.workspace.root, {"out/run.log": "x"})
        assert await text(context, "list_files", path="out") == "out/run.log"

    async def test_lines_come_with_numbers(self, context) -> None:
        assert await text(context, "read_file", path="calc.py", start=5, end=6) == (
            "     5\tdef twice(a):\n     6\t    return add(a, a)"
        )
        assert "has 6 lines" in await error(context, "read_file", path="calc.py", start=7)

    async def test_a_long_file_is_paged(self, context) -> None:
        write(context.workspace.root, {"long.txt": "".join(f"line {n}\n" for n in range(1, 1001)) + "y" * 5000})
        first = await text(context, "read_file", path="long.txt")
        assert len(first) < 2200
        start = int(first.rpartition("start=")[2])
        assert (await text(context, "read_file", path="long.txt", start=start)).startswith(f"{start:6}\tline {start}")
        assert "(5000 characters)" in await text(context, "read_file", path="long.txt", start=1001)

    async def test_the_whole_of_a_cut_output_can_be_read(self, context) -> None:
        shown = await text(context, "run_command", command="seq 1 5000")
        name = shown.partition("full text in ")[2].split()[0]
        assert "  2500\t2500" in await text(context, "read_file", path=name, start=2500, end=2500)
        assert "is outside" in await error(context, "read_file", path="outputs/../../../rolecall.db")

    async def test_odd_files_are_named_for_what_they_are(self, context) -> None:
        write(
            context.workspace.root,
            {"b.bin": b"\x7fELF\0\0", "empty.txt": "", "latin.txt": "caf\xe9\n".encode("latin-1")},
        )
        assert "binary" in await error(context, "read_file", path="b.bin")
        assert "empty" in await text(context, "read_file", path="empty.txt")
        assert "café" in await text(context, "read_file", path="latin.txt")
        assert "is a directory" in await error(context, "read_file", path="tests")
        assert "no file" in await error(context, "read_file", path="nope.py")


class TestPaths:
    @pytest.mark.parametrize("path", ["../../../calc.py", "/etc/passwd", "tests/../../x", "link/passwd", "~/x\0"])
    async def test_nothing_outside_is_read_or_written(self, context, path) -> None:
        (context.workspace.root / "link").symlink_to("/etc")
        await error(context, "read_file", path=path)
        await error(context, "write_file", path=path, content="x")

    @pytest.mark.parametrize(
        "path", [".git", ".git/hooks/pre-commit", ".GIT/config", ".rolecall/x", "tests/../.git", "g"]
    )
    async def test_git_is_out_of_reach(self, context, path) -> None:
        (context.workspace.root / "g").symlink_to(".git")
        before = (context.workspace.root / ".git").read_text()
        assert "not accessible to tools" in await error(context, "write_file", path=path, content="x")
        assert (context.workspace.root / ".git").read_text() == before

    async def test_a_path_in_the_users_checkout_is_refused(self, context) -> None:
        assert "outside" in await error(context, "read_file", path=str(context.workspace.repo / "calc.py"))

    async def test_an_absolute_path_inside_is_fine(self, context) -> None:
        assert "def add" in await text(context, "read_file", path=str(context.workspace.root / "calc.py"))


class TestEditing:
    async def test_an_edit_is_made_once_however_often_it_is_called(self, context) -> None:
        args = {"path": "calc.py", "old": "def twice(a):\n", "new": "def twice(a):\n    # by two\n"}
        assert "line 5" in await text(context, "edit_file", **args)
        once = (context.workspace.root / "calc.py").read_text()
        assert "already" in await text(context, "edit_file", **args)
        assert (context.workspace.root / "calc.py").read_text() == once
        assert once.count("by two") == 1

    async def test_a_miss_shows_what_is_there(self, context) -> None:
        assert "return a + 1" in await error(context, "edit_file", path="calc.py", old="return a + b + 1", new="x")
        spaces = await error(context, "edit_file", path="calc.py", old="def add(a,b):\n  return a+1", new="x")
        assert "whitespace" in spaces
        assert "def add(a, b):\n    return a + 1" in spaces
        assert "at lines 1, 5" in await error(context, "edit_file", path="calc.py", old="def ", new="x")
        numbered = "     5\tdef twice(a):\n     6\t    return add(a, a)"
        assert "line numbers" in await error(context, "edit_file", path="calc.py", old=numbered, new="x")
        assert "nor anything similar" in await error(context, "edit_file", path="calc.py", old="§§§§", new="x")
        assert "old is empty" in await error(context, "edit_file", path="calc.py", old="", new="x")

    async def test_line_ends_encoding_and_mode_survive(self, context) -> None:
        root = context.workspace.root
        write(root, {"dos.txt": b"a\r\nb\r\nc", "mixed.txt": b"a\r\nb\nc\r\nd\r\n", "bom.txt": b"\xef\xbb\xbfa\n",
                     "latin.py": "# é\nx = 1\n".encode("latin-1"), "run.sh": "#!/bin/sh\necho a\n"})  # fmt: skip
        (root / "run.sh").chmod(0o750)
        await text(context, "edit_file", path="dos.txt", old="a\nb\n", new="a\nB\n+\n")
        await text(context, "edit_file", path="mixed.txt", old="c\nd\n", new="C\nD\n")
        await text(context, "edit_file", path="bom.txt", old="a", new="b")
        await text(context, "edit_file", path="latin.py", old="# é\n", new="# éü\n")
        await text(context, "edit_file", path="run.sh", old="echo a", new="echo b")
        assert (root / "dos.txt").read_bytes() == b"a\r\nB\r\n+\r\nc"
        assert (root / "mixed.txt").read_bytes() == b"a\r\nb\nC\r\nD\r\n"
        assert (root / "bom.txt").read_bytes() == b"\xef\xbb\xbfb\n"
        assert (root / "latin.py").read_bytes() == "# éü\nx = 1\n".encode("latin-1")
        assert (root / "run.sh").stat().st_mode & 0o777 == 0o750
        assert "latin-1" in await error(context, "edit_file", path="latin.py", old="x = 1", new="x = '→'")

    async def test_a_file_is_written_where_folders_are_missing(self, context) -> None:
        assert "2 lines" in await text(context, "write_file", path="a/b/c.py", content="x = 1\ny = 2\n")
        assert (context.workspace.root / "a/b/c.py").read_text() == "x = 1\ny = 2\n"
        assert "already" in await text(context, "write_file", path="a/b/c.py", content="x = 1\ny = 2\n")
        assert "cannot be written" in await error(context, "write_file", path="calc.py/x.py", content="x")
        assert not list(context.workspace.root.rglob(".rolecall-*"))

    async def test_a_submodule_is_not_changed(self, tmp_path) -> None:
        library = make_repository(tmp_path / "lib", {"lib.py": "LIB = 1\n"})
        repo = make_repository(tmp_path / "app", FILES)
        git(repo, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "vendor")
        git(repo, "commit", "--quiet", "--message", "Vendor")
        context = await context_of(repo)
        assert "submodule vendor" in await error(context, "write_file", path="vendor/lib.py", content="x")


class TestSearching:
    @pytest.fixture(params=["ripgrep where it is", "python"])
    async def wide(self, request: pytest.FixtureRequest, context: Context, monkeypatch: pytest.MonkeyPatch) -> Context:
        monkeypatch.setattr(search_tool, "_FEW_FILES", 0 if request.param.startswith("ripgrep") else 10_000)
        write(context.workspace.root, {"skip.log": "def add\n", "u.txt": "Größe ADD\n", "b.bin": b"def add\0"})
        return context

    async def test_matches_come_with_path_and_line(self, wide) -> None:
        assert (await text(wide, "search_text", pattern=r"\badd\(")).splitlines() == [
            "calc.py:1:def add(a, b):",
            "calc.py:6:    return add(a, a)",
            "tests/test_calc.py:4:    assert calc.add(2, 3) == 5",
        ]

    async def test_the_search_can_be_narrowed(self, wide) -> None:
        assert (await text(wide, "search_text", pattern="add", path="tests")).count("\n") == 1
        assert (await text(wide, "search_text", pattern="add", glob="u.*", ignore_case=True)) == "u.txt:1:Größe ADD"
        assert (await text(wide, "search_text", pattern="größe", path="u.txt", ignore_case=True)).startswith("u.txt:1:")

    async def test_what_is_no_expression_is_taken_as_text(self, wide) -> None:
        found = await text(wide, "search_text", pattern="add(a")
        assert "plain text" in found
        assert "calc.py:6:" in found

    async def test_expressions_only_python_knows_work(self, wide) -> None:
        assert "calc.py:6" in await text(wide, "search_text", pattern=r"(?<=return )add")

    async def test_an_expression_that_never_ends_is_stopped(self, wide, monkeypatch) -> None:
        monkeypatch.setattr(search_tool, "_TIMEOUT_S", 1)
        write(wide.workspace.root, {"trap.txt": "a" * 60 + "!\n"})
        assert "longer than 1 s" in await error(wide, "search_text", pattern=r"^(?=a)(a+)+$", path="trap.txt")

    async def test_no_match_and_too_many_are_said(self, wide) -> None:
        assert "no match in 5 files" in await text(wide, "search_text", pattern="nowhere to be found")
        write(wide.workspace.root, {"many.txt": "hit\n" * 500})
        found = await text(wide, "search_text", pattern="hit")
        assert "more than 200 matches" in found
        assert found.count("\n") == 200
        assert "nowhere does not exist" in await error(wide, "search_text", pattern="x", path="nowhere")


class TestRunning:
    async def test_checks_and_diff_follow_the_files(self, context) -> None:
        assert "RED, exit code 1" in await text(context, "run_checks")
        assert await text(context, "git_diff") == "no changes"
        await text(context, "edit_file", path="calc.py", old="a + 1", new="a + b")
        assert "[green" in await text(context, "run_checks")
        assert "+    return a + b" in await text(context, "git_diff")
        assert "1 file changed" in await text(context, "git_diff", stat=True)

    async def test_a_long_diff_is_cut_and_kept(self, context) -> None:
        write(context.workspace.root, {"long.txt": "".join(f"line {n}\n" for n in range(1000))})
        shown = await text(context, "git_diff")
        assert len(shown) < 2300
        name = shown.partition("full text in ")[2].split()[0]
        assert "+line 500" in await text(context, "read_file", path=name, start=500, end=520)

    async def test_a_command_tells_its_end(self, context) -> None:
        assert "[exit code 3" in await text(context, "run_command", command="exit 3")
        assert "[timed out" in await text(context, "run_command", command="sleep 50", timeout_s=0.2)

    async def test_the_search_for_a_repair_gives_edits_that_fit(self, context) -> None:
        found = json.loads(await text(context, "repair_search", budget_s=30))
        assert found["status"] == "plausible"
        for edit in found["patches"][0]["edits"]:
            assert "changed" in await text(context, "edit_file", **edit)
        assert "[green" in await text(context, "run_checks")
        assert {event["phase"] for event in context.events.of("repair")} >= {"baseline"}

    def test_a_large_result_stays_readable_json(self, tmp_path) -> None:
        store = OutputStore(tmp_path, max_bytes=2000)
        lines = [{"path": "calc.py", "line": number, "score": 0.5, "text": "x = 1"} for number in range(99)]
        found = {"status": "plausible", "patches": [{"line": n} for n in range(20)], "suspicious": lines, "failing": []}
        shown = json.loads(fitting_json(found, store))
        assert shown["patches"] == found["patches"][:3]
        assert shown["suspicious"] == lines[:5]
        assert json.loads((tmp_path / shown["whole_result"]).read_text()) == found
        assert json.loads(fitting_json({"status": "none"}, store)) == {"status": "none"}


class Scripted(GenericFakeChatModel):
    """A model that says what it is given, with tools or without."""

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        return self


class TestApproval:
    async def asked(self, context: Context, answer: Any, *, command: str = "touch made.txt") -> tuple[Any, str]:
        calls = [{"name": "run_command", "args": {"command": command}, "id": "1"}]
        model = Scripted(messages=iter([AIMessage("", tool_calls=calls), AIMessage("end")]))
        agent: Any = create_agent(model, coding_tools(), context_schema=Context, checkpointer=InMemorySaver())
        config = {"configurable": {"thread_id": "1"}}
        first = await agent.ainvoke({"messages": [("user", "x")]}, config, context=context)
        (question,) = first["__interrupt__"]
        assert not (context.workspace.root / "made.txt").exists()
        last = await agent.ainvoke(Command(resume=answer), config, context=context)
        return question.value, next(m.text for m in last["messages"] if isinstance(m, ToolMessage))

    @pytest.mark.parametrize("answer", ["y", "Yes", True, {"approved": True}])
    async def test_yes_runs_the_command(self, tmp_path, answer) -> None:
        context = await context_of(make_repository(tmp_path / "r", FILES))
        question, told = await self.asked(context, answer)
        assert question["kind"] == "approval"
        assert question["command"] == "touch made.txt"
        assert "exit code 0" in told
        assert (context.workspace.root / "made.txt").exists()

    @pytest.mark.parametrize(
        "answer", ["n", "", False, "use another name", {"approved": False, "text": "use another name"}]
    )
    async def test_anything_else_does_not(self, tmp_path, answer) -> None:
        context = await context_of(make_repository(tmp_path / "r", FILES))
        _, told = await self.asked(context, answer)
        assert "did not allow" in told
        assert ("use another name" in told) is (answer not in ("n", "", False))
        assert not (context.workspace.root / "made.txt").exists()

    async def test_the_whole_command_is_shown_before_it_is_approved(self, tmp_path) -> None:
        hidden = "true " + "# " * 300 + "\nrm -rf \x1b[8m.\u202e" + " " * 300 + "; touch made.txt\r"
        context = await context_of(make_repository(tmp_path / "r", FILES))
        question, _ = await self.asked(context, "n", command=hidden)
        assert question["command"] == hidden
        assert question["text"].endswith(r"rm -rf \x1b[8m.\u202e[300 spaces]; touch made.txt\r")
        assert "true " + "# " * 300 + "\n" in question["text"]
        assert question["text"].replace("\n", "").isprintable()

    async def test_the_allow_list_runs_without_asking(self, tmp_path) -> None:
        context = await context_of(make_repository(tmp_path / "r", FILES))
        assert "calc.py" in await text(context, "run_command", command="ls")
