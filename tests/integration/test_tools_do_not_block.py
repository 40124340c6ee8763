"""The tools in an event loop where blocking calls raise, as in `langgraph dev`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain.tools import ToolRuntime

from core.config.settings import Settings
from core.context import Context, RunOptions
from tests.repositories import make_repository, thread, write
from tests.unit.tools.assembly import open_toolset
from tests.unit.tools.bench import Events
from tools.agent import search_tool
from tools.agent.toolbox import coding_tools
from tools.worktree.apply import apply_branch

blockbuster = pytest.importorskip("blockbuster")

ALLOWED = ("os.stat", "os.listdir", "os.remove", "io.BufferedReader.read", "io.BufferedWriter.write",
           "io.TextIOWrapper.read", "io.TextIOWrapper.write", "threading.Lock.acquire")  # fmt: skip
CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("list_files", {}),
    ("read_file", {"path": "calc.py"}),
    ("search_text", {"pattern": "add"}),
    ("edit_file", {"path": "calc.py", "old": "a + 1", "new": "a + b"}),
    ("write_file", {"path": "deep/new.py", "content": "x = 1\n"}),
    ("run_command", {"command": "seq 1 9000"}),
    ("read_file", {"path": "outputs/001.txt"}),
    ("run_command", {"command": "sleep 30", "timeout_s": 0.2}),
    ("run_command", {"command": "mkdir out && echo x > out/y"}),
    ("list_files", {"path": "out"}),
    ("git_diff", {}),
    ("run_checks", {}),
    ("repair_search", {"budget_s": 10}),
)


@pytest.fixture
def detector() -> Iterator[Any]:
    made = blockbuster.BlockBuster(excluded_modules=[])
    yield made
    made.deactivate()


async def test_no_tool_blocks_the_loop(tmp_path: Path, detector: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_tool, "_FEW_FILES", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    files = {"calc.py": "def add(a, b):\n    return a + 1\n", ".gitignore": "out/\n",
             "test_calc.py": "import calc\ndef test_add():\n    assert calc.add(2, 3) == 5\n"}  # fmt: skip
    repo = make_repository(tmp_path / "repo", files)
    write(repo, {"draft.txt": "d\n"})
    for name, function in detector.functions.items():
        if name not in ALLOWED:
            function.activate()
    events: Any = Events()
    tools = await open_toolset(repo, identity := thread(), Settings(), events)
    unused: Any = None
    context = Context(
        thread_id=identity, settings=Settings(), models=unused, workspace=tools.workspace, commands=tools.commands,
        checks=tools.checks, repair=tools.repair, inbox=unused, events=events, tools=unused,
        options=RunOptions(approve_all=True),
    )  # fmt: skip
    by_name = {tool.name: tool for tool in coding_tools()}
    assert {name for name, _ in CALLS} == set(by_name)
    for name, args in CALLS:
        runtime: Any = ToolRuntime(
            state={}, context=context, config={}, stream_writer=lambda _: None, tool_call_id="1", store=None
        )
        call = {"type": "tool_call", "id": "1", "name": name, "args": {**args, "runtime": runtime}}
        answer = await by_name[name].ainvoke(call)
        assert answer.status == "success", f"{name}: {answer.text}"
    tree = await tools.workspace.snapshot()
    await tools.workspace.commit("Add")
    await tools.workspace.restore(tree)
    await tools.workspace.discard()
    await tools.workspace.listing()
    assert (await apply_branch(repo, identity)).applied
    await tools.workspace.remove()
