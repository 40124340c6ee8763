"""The boundary between a loop and its tools: what is offered, what needs approval, and what happens to each call.

Whatever a tool does, the run continues: it raises, hangs, or returns something that is not text. Only what no model
can fix is raised: cancellation by the user, questions, a used-up budget, a failing sandbox and a full disk.
"""

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool, ToolException
from langgraph.errors import GraphBubbleUp
from langgraph.types import Command, interrupt

from core.context import Context
from core.errors import BudgetError, DiskFullError, RolecallError, SandboxError, traceback_text
from core.storage.storage_errors import storage_error
from core.text import readable
from core.tool_effects import ToolEffects, effects_of
from nodes.model_calls.contained import EscapedError, contained, kept_in
from nodes.text.quoting import intended_args, quote
from nodes.text.shorten import clip
from tools.agent.approval import ask_before, call_question, refusal_message, user_refusal
from tools.commands.outputs import OutputStore

INTERRUPTED = "Interrupted before this call returned. Check the current state before retrying."
TIMEOUT_S = 300.0
"""Default limit in seconds for a call of a third-party tool; our own limit themselves."""
MOST_CHARS = 100_000
"""Of what one of our own tools returns, which limits itself too."""
MOST_KEPT = 8_000_000
"""Of what a third-party tool returns; the rest is dropped unread."""
_MOST_SAID = 2000
_NOT_DONE = (GraphBubbleUp, BudgetError, SandboxError)
"""After these a call did nothing, or only asked, and is made again when the run continues."""
_LOG = logging.getLogger(__name__)

_Answer = ToolMessage | Command[Any]
_Handler = Callable[[ToolCallRequest], Awaitable[_Answer]]


class ToolCallsMiddleware(AgentMiddleware[Any, Context, Any]):
    """Offer a loop its role's tools, and make their calls.

    Args:
        role: Who calls.
    """

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    async def awrap_model_call(
        self,
        request: ModelRequest[Context],
        handler: Callable[[ModelRequest[Context]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        """Offer what the sources have now."""
        offered = await request.runtime.context.tools.offered(self._role)
        return await handler(request.override(tools=list(offered)))

    async def awrap_tool_call(self, request: ToolCallRequest, handler: _Handler) -> _Answer:
        """Make a call, and return its answer as text, with its possible effects."""
        context: Any = request.runtime.context
        name = str(request.tool_call["name"])
        tool = await context.tools.find(name, self._role)
        if tool is None:
            offered = ", ".join(one.name for one in await context.tools.offered(self._role)) or "none"
            said = quote(f"There is no tool {clip(name, 80)}. Available tools: {offered}.")
            return _message(request, said, ToolEffects(reads=True), status="error")
        call = _Call(request.override(tool=_guarded(tool)), context, tool)
        return await call.made(handler)


class _Call:
    """One call of one tool."""

    def __init__(self, request: ToolCallRequest, context: Context, tool: BaseTool) -> None:
        self._request, self._context = request, context
        self._name, self._effects = tool.name, effects_of(tool)
        self._rule = context.settings.tool(tool.name)
        self._place = _place_of(request)

    async def made(self, handler: _Handler) -> ToolMessage:
        """Its answer, whatever becomes of it."""
        begun = time.monotonic()
        try:
            message = await self._answer(handler)
        except _NOT_DONE:
            if not self._effects.repeatable:
                await self._context.tools.forget(self._place)
            raise
        except DiskFullError:
            raise
        except Exception as error:  # noqa: BLE001 - of any kind: it is the tool's, and the run goes on
            message = self._failed(error)
        _LOG.info("tool %s: %s in %.3f s", self._name, message.status, time.monotonic() - begun)
        return message

    async def _answer(self, handler: _Handler) -> ToolMessage:
        call = self._request.tool_call
        args = intended_args(call["args"], self._context.redactor.give_back)
        request = self._request.override(tool_call={**call, "args": args})
        no = self._refusal(args)
        if no is not None:
            return self._error(refusal_message("call", no))
        if not self._effects.repeatable and not await self._context.tools.begin(self._place, self._name):
            return self._error(INTERRUPTED)
        answer = await contained(handler(request), self._timeout_s())
        return await asyncio.to_thread(self._as_text, answer)

    def _refusal(self, args: dict[str, Any]) -> str | None:
        """What the user says besides no; `None` if the call may be made."""
        asks_itself = self._effects.confined and self._effects.runs_commands
        if self._context.options.approve_all or asks_itself or not ask_before(self._effects, self._rule.approval):
            return None
        return user_refusal(interrupt(call_question(self._name, self._context.redactor.clean_tree(args))))

    def _timeout_s(self) -> float | None:
        return self._rule.timeout_s or (None if self._effects.confined else TIMEOUT_S)

    def _as_text(self, answer: object) -> ToolMessage:
        """The answer as our own message: of a tool's result, only the text and whether it failed count."""
        if not isinstance(answer, ToolMessage):
            return self._error(f"{self._name} returned {type(answer).__name__}, which is not text.")
        text = _words(answer.content)
        if self._effects.confined:
            shown = clip(text, MOST_CHARS)
        else:
            most = self._context.settings.sandbox.max_output_bytes
            store = OutputStore(self._context.workspace.run_dir, max_bytes=most, redactor=self._context.redactor)
            shown = store.keep(readable(text[:MOST_KEPT]))
        return _message(self._request, quote(shown), self._effects, status=answer.status)

    def _failed(self, error: Exception) -> ToolMessage:
        if isinstance(full := storage_error(error), DiskFullError):
            raise full from error  # whatever the model tries next fails too
        cause = error.__cause__ if isinstance(error, EscapedError) and error.__cause__ else error
        _LOG.warning("the tool %s failed", self._name, exc_info=cause)
        if isinstance(error, TimeoutError):
            return self._error(f"{self._name} timed out. Check the current state before retrying.")
        if not isinstance(error, ToolException | RolecallError):
            message = f"the tool {self._name} failed ({type(cause).__name__}); `rolecall log` shows where"
            self._context.events.emit("warning", message=message, traceback=traceback_text(cause))
        return self._error(f"{self._name} failed: {_said(cause)} Try another way.")

    def _error(self, text: str) -> ToolMessage:
        safe = quote(clip(self._context.redactor.clean(readable(text)), _MOST_SAID))
        return _message(self._request, safe, self._effects, status="error")


def _guarded(tool: BaseTool) -> BaseTool:
    """The tool, raising nothing but `Exception`s: LangChain runs it in its own task."""
    guarded = tool.model_copy()
    inner = tool._arun  # noqa: SLF001 - what every tool implements

    @functools.wraps(inner)
    async def run(*args: Any, **named: Any) -> Any:
        return await kept_in(inner(*args, **named))

    vars(guarded)["_arun"] = run
    return guarded


def _place_of(request: ToolCallRequest) -> str:
    """What distinguishes a call from all others of the thread: its task, which is the same after a restart."""
    task = request.runtime.config.get("configurable", {}).get("checkpoint_ns", "")
    return f"{task}#{request.tool_call['id']}"


def _message(request: ToolCallRequest, text: str, effects: ToolEffects, *, status: Any) -> ToolMessage:
    call = request.tool_call
    kept = {"effects": effects.names()}
    return ToolMessage(text, tool_call_id=call["id"] or "", name=call["name"], status=status, additional_kwargs=kept)


def _words(content: str | list[Any]) -> str:
    """The text of an answer; a text-only model is told what else it contained."""
    if isinstance(content, str):
        return content
    return "\n".join(part if isinstance(part, str) else str(part.get("text") or f"({part.get('type')}, not shown)")
                     for part in content)  # fmt: skip


def _said(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an error of somebody else may fail even here
        text = "without words"
    return f"{type(error).__name__}: {text}"
