"""The boundary between the tools and the model that calls them: a failure becomes a message that says what to do,
and no text containing a secret gets through."""

import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec

from langchain.tools import ToolRuntime
from langchain_core.tools import BaseTool, ToolException, tool
from langgraph.errors import GraphBubbleUp
from pydantic import ValidationError
from pydantic.v1 import ValidationError as ValidationErrorV1

from core.errors import BudgetError, DiskFullError, RolecallError, SandboxError, traceback_text
from core.redaction import Redactor
from core.storage.storage_errors import storage_error
from core.tool_effects import ToolEffects

P = ParamSpec("P")
AnyToolRuntime = ToolRuntime[Any, Any]
"""What a tool is called with besides its arguments. Its context is a `core.context.Context`; naming that here would
make pydantic look for a way to validate protocols."""
_LOG = logging.getLogger(__name__)
_RUNTIME = "runtime"
_MOST_MISFITS = 8


def agent_tool(effects: ToolEffects) -> Callable[[Callable[P, Awaitable[str]]], BaseTool]:
    """Turn an async function into a LangChain tool; its docstring is what the model reads.

    Failures come back as tool messages with the status "error". Interrupts, cancellation, an exhausted budget,
    a full disk and a failing sandbox pass through, because the model cannot fix them. Secrets are hidden in
    everything the tool returns.

    Args:
        effects: What a call may do.
    """
    return functools.partial(_made, effects=effects)


def _made(function: Callable[P, Awaitable[str]], effects: ToolEffects) -> BaseTool:
    @functools.wraps(function)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> str:
        redactor = _redactor(kwargs)
        try:
            return redactor.clean(await function(*args, **kwargs))
        except (GraphBubbleUp, BudgetError, SandboxError, DiskFullError, ToolException):
            raise
        except RolecallError as error:
            raise ToolException(redactor.clean(_told(error))) from error
        except OSError as error:
            if isinstance(full := storage_error(error), DiskFullError):
                raise full from error  # whatever the model tries next fails too
            # The machine's fault, such as a folder without permission.
            raise ToolException(redactor.clean(f"the tool failed: {error}. Try another approach.")) from error
        except Exception as error:
            _record(error, function.__name__, kwargs)
            raise ToolException(
                f"the tool {function.__name__} failed on these arguments because of a bug in rolecall, not a "
                "mistake of yours "
                f"({type(error).__name__}). Do not repeat this call; try another approach."
            ) from error

    made: Any = tool(guarded, parse_docstring=True, error_on_invalid_docstring=True)
    made.args_schema.model_config["allow_inf_nan"] = False
    made.args_schema.model_rebuild(force=True)
    made.handle_tool_error = True
    made.handle_validation_error = _misfit
    return effects.of_tool(made)


def _told(error: RolecallError) -> str:
    return f"{error.message}\n{error.hint}" if error.hint else error.message


def _record(error: Exception, tool_name: str, given: dict[str, Any]) -> None:
    """Record the traceback of an internal error in the run's record; the model could do nothing with it."""
    events = getattr(getattr(given.get(_RUNTIME), "context", None), "events", None)
    said = f"the tool {tool_name} failed with an internal error"
    if events is None:
        _LOG.error(said, exc_info=error)
    else:
        message = f"{said}, a bug in rolecall ({type(error).__name__}); `rolecall log` shows where"
        events.emit("warning", message=message, traceback=traceback_text(error))


def _redactor(given: dict[str, Any]) -> Redactor:
    """The run's redactor; one that knows no secrets by name if a tool is called without a run."""
    found = getattr(getattr(given.get(_RUNTIME), "context", None), "redactor", None)
    return found if isinstance(found, Redactor) else Redactor()


def _misfit(error: ValidationError | ValidationErrorV1) -> str:
    """What is wrong with the arguments, without quoting them: they may be of any size and contain anything."""
    wrong = [(".".join(map(str, found["loc"])), found["msg"]) for found in error.errors()]
    lines = [f"{name[:80]}: {reason[:200]}" for name, reason in wrong if not name.startswith(_RUNTIME)]
    return "\n".join(["invalid arguments:", *lines[:_MOST_MISFITS], "Correct them and call again."])
