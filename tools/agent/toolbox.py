"""Which of rolecall's own tools an agent gets. The tools themselves are in their own modules."""

from collections.abc import Collection, Sequence

from langchain_core.tools import BaseTool

from core.config.settings import ModelRole
from tools.agent.command_tools import git_diff, repair_search, run_checks, run_command
from tools.agent.file_tools import edit_file, list_files, read_file, write_file
from tools.agent.search_tool import search_text


def reading_tools() -> list[BaseTool]:
    """Tools that change nothing."""
    return [list_files, read_file, search_text, git_diff]


def coding_tools() -> list[BaseTool]:
    """Tools of the coding loop."""
    return [*reading_tools(), edit_file, write_file, run_command, run_checks, repair_search]


class WorkspaceTools:
    """The source of tools that work on the worktree: all of them for the coder, only reading ones for others."""

    name = "workspace"

    async def tools(self, role: str) -> Sequence[BaseTool]:
        """The tools of a role."""
        return coding_tools() if role == ModelRole.CODER else reading_tools()

    async def names(self) -> Collection[str]:
        """The coder's tools are all there are."""
        return [tool.name for tool in coding_tools()]

    async def close(self) -> None:
        """Nothing to close."""
