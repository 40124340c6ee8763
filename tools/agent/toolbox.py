"""Which tools an agent gets. The tools themselves are in their families' files."""

from langchain_core.tools import BaseTool

from tools.agent.command_tools import git_diff, repair_search, run_checks, run_command
from tools.agent.file_tools import edit_file, list_files, read_file, write_file
from tools.agent.search_tool import search_text


def reading_tools() -> list[BaseTool]:
    """Tools that change nothing."""
    return [list_files, read_file, search_text, git_diff]


def coding_tools() -> list[BaseTool]:
    """Tools of the coding loop."""
    return [*reading_tools(), edit_file, write_file, run_command, run_checks, repair_search]
