"""What the embedded engine can read from a prompt: fenced sections, check output, what kind of task it is."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

_SECTION = re.compile(r"<(?P<tag>[a-z]+)>\n(?P<body>.*?)\n</(?P=tag)>", re.DOTALL)
_ENDING = re.compile(r"^(?:exit code (?P<code>-?\d+) after|stopped: not finished)", re.MULTILINE)
_COMMAND = re.compile(r"^\$ (.+)$", re.MULTILINE)
_FAILED = re.compile(r"^(?:FAILED|ERROR) ([^\s:]+(?:::[^\s]+)*)", re.MULTILINE)
_PLACE = re.compile(r"^([\w./-]+\.py):\d+", re.MULTILINE)
_REPAIRS = re.compile(
    r"\b(fix|fixes|fixed|repair|mend|debug|bug|fail|fails|failing|failed|failure|broken|breaks|red|green|error|errors|"
    r"wrong|incorrect|regression|crash|crashes|raises|pass|passes|passing)\b",
    re.IGNORECASE,
)
_CREATES = re.compile(
    r"^\W*(?:please\s+)?(add|implement|create|write|build|introduce|refactor|rename|document|support|migrate|upgrade|"
    r"convert|port|optimi[sz]e|extend|remove|delete|explain|describe|review|translate)\b",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"^\W*(what|why|how|where|when|who|which|is|are|does|do|can|could|should|explain|describe)\b", re.IGNORECASE
)

_CHECKED = re.compile(r"\b(tests?|testsuite|suite|checks?|pytest|unittests?|ci)\b", re.IGNORECASE)
_SETTLED = re.compile(r"\b(pass|passes|passing|fail|fails|failing|failed|failures?|red|green|broken)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CheckReading:
    """What the check output in a prompt says."""

    commands: tuple[str, ...]
    red: bool
    failing: tuple[str, ...]
    """Names of failing tests as pytest prints them."""
    files: tuple[str, ...]
    """Python files named in tracebacks."""


def sections(messages: Sequence[BaseMessage]) -> dict[str, str]:
    """The fenced sections of prompts; a later one replaces an earlier one of the same name.

    Only what the graph itself says counts: tool output and guidance may contain anything.
    """
    found: dict[str, str] = {}
    for message in messages:
        if not isinstance(message, SystemMessage | HumanMessage) or message.name is not None:
            continue
        found |= {match["tag"]: match["body"] for match in _SECTION.finditer(message.text)}
    return found


def read_checks(text: str) -> CheckReading:
    """Read the section that shows the repository's checks."""
    endings = list(_ENDING.finditer(text))
    return CheckReading(
        commands=tuple(_COMMAND.findall(text)),
        red=any(ending["code"] != "0" for ending in endings),
        failing=unique(_FAILED.findall(text)),
        files=unique(_PLACE.findall(text)),
    )


def unique(items: Iterable[str]) -> tuple[str, ...]:
    """The items without repeats, in order."""
    return tuple(dict.fromkeys(items))


def wants_repair(task: str) -> bool:
    """Whether a task may be meant as "turn the red checks green".

    A task that starts with a word for something new or different and mentions no fault is not.
    """
    return bool(_REPAIRS.search(task)) or not _CREATES.search(task)


def asks_for_green(task: str) -> bool:
    """Whether a task asks only for tests or checks to pass."""
    return wants_repair(task) and bool(_CHECKED.search(task)) and bool(_SETTLED.search(task))


def is_question(task: str) -> bool:
    """Whether a task only asks: it ends with a question mark or starts like a question, and names no fault."""
    text = task.strip()
    return (text.endswith("?") or bool(_ASKS.search(text))) and not _REPAIRS.search(text)


def sentences(text: str, count: int) -> str:
    """The first sentences of a text, on one line."""
    parts = re.split(r"(?<=[.!?])\s+", " ".join(text.split()))
    return " ".join(parts[:count])
