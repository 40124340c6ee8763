"""How foreign text is quoted to a model: it can neither end its fence nor speak as somebody else.

Files, output, plans, words of other models and of programs are quoted here and nowhere else. What could be read as a
tag of ours, as a token of a chat template or as the head of a message gets a dot after its first character. The dot
can be taken out again: a model that copies what it was shown into a tool call means the text without it.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from langchain.agents.middleware import AgentMiddleware
from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import ToolMessage
from langgraph.types import Command

from core.context import Context

DOT = "·"
TAGS = (
    "calls", "checks", "criteria", "diff", "diffstat", "done", "earlier", "facts", "file", "files", "guidance", "notes",
    "outcome", "plan", "question", "reason", "result", "review", "scope", "setback", "step", "steps", "summary", "task",
    "text",
)  # fmt: skip
"""Every tag that a prompt uses."""

_GAP = r"[\s\u00ad\u200b-\u200f\u2060-\u2064\ufeff]*"
_TOKENS = (
    r"/?s>|/?(?:bos|eos|unk|pad|sop|eop)>|</?SYS>>|(?:start|end)_of_(?:turn|image)>|/?think>|"
    r"/?tool_(?:call|response)>|/?function_(?:call|response)>|extra_id_\d+>|SPECIAL_\d+>|"
    r"[|\uff5c][^\s<>|\uff5c]{1,60}[|\uff5c]?>|\w{1,40}[|\uff5c]>"
)
_MARKS = (
    # Models are no parsers: to them a closing tag in capitals, with spaces or in wide characters closes too. The task
    # and guidance are what a model follows, so nothing foreign may open one either.
    rf"[<\uff1c\ufe64](?P<tag>·*)(?={_GAP}[/\uff0f]{_GAP}(?:{'|'.join(TAGS)})\b|{_GAP}(?:task|guidance)\b)",
    rf"<(?P<token>·*)(?={_TOKENS})",
    r"\[(?P<bracket>·*)(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|THINK|gMASK)\])",
    r"^[ \t]*#(?P<heading>·*)(?=##?[ \t]*(?:Instruction|Response|System|Human|User|Assistant|Input)\b)",
    r"^[ \t]*(?P<role>·*)(?=(?-i:SYSTEM|System|USER|User|HUMAN|Human|ASSISTANT|Assistant)[ \t]*:)",
)
_MARK = re.compile("|".join(_MARKS), re.IGNORECASE | re.MULTILINE)


def quote(text: str) -> str:
    """The text with a dot in everything that could end a fence, a message or a turn."""
    return _MARK.sub(lambda found: f"{found[0]}{DOT}", text)


def unquote(text: str) -> str:
    """The text that was quoted; a text without dots of ours is itself."""
    return _MARK.sub(lambda found: found[0].removesuffix(DOT), text) if DOT in text else text


def fence(text: object, tag: str) -> str:
    """Wrap text from files, tools or people in tags which the text itself can neither close nor forge.

    Args:
        text: What to show; shown stripped.
        tag: One of `TAGS`.
    """
    return f"<{tag}>\n{quote(str(text).strip())}\n</{tag}>"


class QuotingMiddleware(AgentMiddleware[Any, Any, Any]):
    """Quote what tools return; take the dots out of what a model hands to them."""

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]]
    ) -> ToolMessage | Command[Any]:
        """Run the tool on the text that is meant."""
        context: Any = request.runtime.context
        mean = _meant_in(context) if isinstance(context, Context) else unquote
        meant = {**request.tool_call, "args": _tree(request.tool_call["args"], mean)}
        answer = await handler(request.override(tool_call=meant))  # type: ignore[arg-type]  # a tool call with new args
        if not isinstance(answer, ToolMessage):
            return answer
        return answer.model_copy(update={"content": _tree(answer.content, quote)})


def _meant_in(context: Context) -> Callable[[str], str]:
    return lambda text: context.redactor.give_back(unquote(text))


def _tree(value: Any, change: Callable[[str], str]) -> Any:
    # Any: arguments and contents are JSON.
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _tree(inner, change) for key, inner in value.items()}
    return [_tree(inner, change) for inner in value] if isinstance(value, list) else value
