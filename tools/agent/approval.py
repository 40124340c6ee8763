"""Which tool calls the user is asked about, in which words, and what an answer means.

Shell command lines are judged in `tools.commands.command_policy`. This is a courtesy, not the sandbox.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from core.config.settings import ToolApproval
from core.text import readable
from core.tool_effects import ToolEffects

_WIDE_GAP = re.compile(" {20,}")


def ask_before(effects: ToolEffects, rule: ToolApproval) -> bool:
    """Whether a call needs the user's yes before it is made.

    Args:
        effects: What the call may do. A tool that stays inside the worktree asks by itself if it must.
        rule: What the configuration says about the tool.
    """
    if rule != "auto":
        return rule == "ask"
    return not (effects.confined or effects.only_reads)


def call_question(tool: str, args: Mapping[str, Any]) -> dict[str, str]:
    """The full question about a call."""
    given = json.dumps(args, ensure_ascii=False, default=str)
    return {"kind": "approval", "tool": tool, "text": f"May the tool {tool} be called? {shown(given)}"}


def command_question(command: str) -> dict[str, str]:
    """The full question about a shell command line."""
    text = f"May this command run in the worktree? {shown(command)}"
    return {"kind": "approval", "command": command, "text": text}


def shown(text: str) -> str:
    """A whole command as a person can read it: nothing truncated, nothing invisible."""
    seen = "".join(_visible(letter) for letter in readable(text))
    seen = _WIDE_GAP.sub(lambda gap: f"[{len(gap.group())} spaces]", seen)
    return seen if "\n" not in seen else "\n" + "\n".join(f"  | {line}" for line in seen.split("\n"))


def _visible(letter: str) -> str:
    return letter if letter.isprintable() or letter == "\n" else letter.encode("unicode_escape").decode()


def user_refusal(answer: object) -> str | None:
    """What a person says besides no, empty when nothing; `None` for yes."""
    told = answer.get("text", "") if isinstance(answer, dict) else ""
    given = answer.get("approved", False) if isinstance(answer, dict) else answer
    if given is True or (isinstance(given, str) and given.strip().lower() in {"y", "yes", "true", "ok", "approve"}):
        return None
    if told:
        return str(told)
    return given.strip() if isinstance(given, str) and given.strip().lower() not in {"n", "no", "false"} else ""


def refusal_message(what: str, words: str) -> str:
    """What the model is told.

    Args:
        what: "command" or "call".
        words: What the user said besides no.
    """
    reason = f" They say: {words}" if words else ""
    return f"The user did not allow this {what}.{reason} Continue without it; do not try it in another form."
