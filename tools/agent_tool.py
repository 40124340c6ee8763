"""The boundary between the tools and the model that calls them: a failure becomes a message that says what to do."""

import functools
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec

from langchain.tools import ToolRuntime
from langchain_core.tools import BaseTool, ToolException, tool
from langgraph.errors import GraphBubbleUp

from core.errors import BudgetError, RolecallError

P = ParamSpec("P")
ToolCall = ToolRuntime[Any, Any]
"""What a tool is called with besides its arguments. Its context is a `core.context.Context`; naming that here would
make pydantic look for a way to validate protocols."""


def agent_tool(function: Callable[P, Awaitable[str]]) -> BaseTool:
    """Make a LangChain tool of an async function; its docstring is what the model reads.

    Failures come back as tool messages with the status "error". Interrupts, cancellation and an exhausted budget
    pass through, since they are not the model's to mend.
    """

    @functools.wraps(function)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> str:
        try:
            return await function(*args, **kwargs)
        except (GraphBubbleUp, BudgetError, ToolException):
            raise
        except RolecallError as error:
            raise ToolException(_told(error)) from error
        except Exception as error:
            raise ToolException(
                f"the tool failed: {type(error).__name__}: {error}. Try another way, or the same call once more."
            ) from error

    made: Any = tool(guarded, parse_docstring=True, error_on_invalid_docstring=True)
    made.handle_tool_error = True
    return made  # type: ignore[no-any-return] # the decorator is overloaded beyond what mypy can follow


def _told(error: RolecallError) -> str:
    return f"{error.message}\n{error.hint}" if error.hint else error.message
