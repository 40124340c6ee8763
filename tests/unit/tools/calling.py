"""The tools as a model calls them, on the worktree of a real repository."""

from pathlib import Path
from typing import Any

from langchain.tools import ToolRuntime
from langchain_core.messages import ToolMessage

from core.config.settings import SandboxSettings, Settings
from core.context import Context, RunOptions
from core.redaction import Redactor
from tests.repositories import make_repository, thread
from tests.unit.tools.assembly import open_toolset
from tests.unit.tools.bench import Events
from tools.agent.toolbox import coding_tools

TOOLS = {tool.name: tool for tool in coding_tools()}


async def context_of(folder: Path, files: dict[str, Any], *, known: dict[str, str] | None = None,
                     **sandbox: Any) -> Context:  # fmt: skip
    """A run on a new repository with these files; `known` are the secrets it was configured with."""
    settings = Settings(sandbox=SandboxSettings(**sandbox))
    events: Any = Events()
    redactor = Redactor(known)
    repo = make_repository(folder, files)
    tools = await open_toolset(repo, identity := thread(), settings, events, redactor=redactor)
    unused: Any = None
    return Context(
        thread_id=identity, settings=settings, models=unused, workspace=tools.workspace, commands=tools.commands,
        checks=tools.checks, repair=tools.repair, inbox=unused, events=events, tools=unused,
        options=RunOptions(approve_all=True), redactor=redactor,
    )  # fmt: skip


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
