"""How foreign text is quoted to a model: it can neither end its fence nor speak as someone else.

Files, output, plans, text from other models and programs are quoted here and nowhere else. What could be read as a
tag of ours, as a chat template token or as the header of a message gets a dot after its first character. The dot
can be removed again: a model that copies what it was shown into a tool call means the text without it.
"""

import re
from collections.abc import Callable
from typing import Any

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
    """The text that was quoted; text without our dots is unchanged."""
    return _MARK.sub(lambda found: found[0].removesuffix(DOT), text) if DOT in text else text


def fence(text: object, tag: str) -> str:
    """Wrap text from files, tools or people in tags which the text itself can neither close nor forge.

    Args:
        text: What to show; shown stripped.
        tag: One of `TAGS`.
    """
    return f"<{tag}>\n{quote(str(text).strip())}\n</{tag}>"


def intended_args(args: dict[str, Any], give_back: Callable[[str], str]) -> dict[str, Any]:
    """The arguments that a model means: without the dots it copied, and with what was withheld from it.

    Args:
        args: Of a tool call.
        give_back: Replaces placeholders with their secrets.
    """
    changed: dict[str, Any] = _tree(args, lambda text: give_back(unquote(text)))
    return changed


def _tree(value: Any, change: Callable[[str], str]) -> Any:
    # Any: arguments are JSON.
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _tree(inner, change) for key, inner in value.items()}
    return [_tree(inner, change) for inner in value] if isinstance(value, list) else value
