"""A small set of tasks per role for comparing models where no calls were recorded, each with a check of the answer.

Owns questions and checks only. The checks are crude on purpose: they tell a model that can do the work from one that
cannot, not a good one from a better one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from langchain_core.messages import HumanMessage, SystemMessage

from core.artifacts import RoutingDecision, Scope, StepSummary
from core.replies import ModelReply
from llm_registry.records.prompt_log import LoggedPrompt

AnswerCheck = Callable[[ModelReply], bool]

_LOG = (
    "$ pytest -q\n" + "." * 240 + "F" + "." * 61 + "\n"
    "FAILED tests/test_cart.py::test_total_with_discount - AssertionError: assert 90.0 == 81.0\n"
    "1 failed, 301 passed in 12.43s\n"
)
_READ_FILE = {
    "type": "function",
    "function": {
        "name": "read_file",
        "description": "Read a file of the repository.",
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
    },
}


@dataclass(frozen=True, slots=True)
class BenchTask:
    """A question and what a usable answer to it looks like."""

    prompt: LoggedPrompt
    check: AnswerCheck
    title: str = ""
    """What is asked, if the question's text does not show it."""


def tasks_for(role: str) -> Sequence[BenchTask]:
    """The tasks of a role; a role the user added gets those of `primary`."""
    return _TASKS.get(role, _TASKS["primary"])


def accept_any(reply: ModelReply) -> bool:
    """For recorded calls: anything complete, valid and not empty."""
    if reply.parsed is not None:
        return any(reply.parsed.model_dump().values())
    return bool(reply.tool_calls or reply.text.strip())


def _says(*words: str, at_most: int = 10_000) -> AnswerCheck:
    def check(reply: ModelReply) -> bool:
        text = reply.text.casefold()
        return all(word in text for word in words) and 0 < len(text) <= at_most

    return check


def _routes(decision: str) -> AnswerCheck:
    return lambda reply: str(getattr(reply.parsed, "routing_decision", "")).endswith(decision)


def _reads(path: str) -> AnswerCheck:
    return lambda reply: any(path in str(call.args.get("path", "")) for call in reply.tool_calls)


def _ask(role: str, text: str, *, system: str = "", artifact: str = "", tools: bool = False) -> LoggedPrompt:
    rules = (SystemMessage(system),) if system else ()
    return LoggedPrompt(role, (*rules, HumanMessage(text)), artifact, (_READ_FILE,) if tools else ())


_BRIEF = "Summarize what happened in at most two sentences. Name the failing test. Add nothing."
_ROUTER = "Decide whether a question can be answered directly (HANDLE) or needs work on the repository (DELEGATE)."
_TASKS: dict[str, tuple[BenchTask, ...]] = {
    "summarizer": (
        BenchTask(_ask("summarizer", _LOG, system=_BRIEF), _says("discount", at_most=400),
             "the output of a failing test run, to be summarized"),
        BenchTask(
            _ask("summarizer", f"Step 2 of 3, 'fix the total of a cart'. Output of the checks:\n{_LOG}",
                 artifact=StepSummary.__name__),
            lambda reply: bool(getattr(reply.parsed, "status_line", "").strip()),
            "a step and the output of its checks",
        ),
    ),
    "router": (
        BenchTask(_ask("router", "What is a Python decorator?", system=_ROUTER, artifact=RoutingDecision.__name__),
             _routes("HANDLE")),
        BenchTask(_ask("router", "Add pagination to the /orders endpoint and test it.", system=_ROUTER,
                  artifact=RoutingDecision.__name__), _routes("DELEGATE")),
    ),
    "coder": (
        BenchTask(_ask("coder", "The total of a cart in src/cart.py is wrong. Start by reading that file.", tools=True,
                  system="You change a repository through tools. Call one tool at a time."), _reads("src/cart.py")),
        BenchTask(_ask("coder", "Write a Python function `slug(text)` that lowercases a text and replaces "
                                "spaces with `-`."),
             _says("def slug", "return")),
    ),
    "primary": (
        BenchTask(_ask("primary", "Task: add a function `slugify` to src/text.py, with tests in tests/test_text.py. "
                             "Files: src/text.py, tests/test_text.py, pyproject.toml.", artifact=Scope.__name__),
             lambda reply: reply.parsed is not None),
        BenchTask(_ask("primary", f"Why does this fail? Answer in one sentence.\n{_LOG}"), _says("discount"),
             "the output of a failing test run, and why it fails"),
    ),
}  # fmt: skip
