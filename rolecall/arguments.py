"""The options each command takes. It only parses; what they do is decided in `rolecall.commands`."""

import argparse
from pathlib import Path
from typing import Any

from core.storage.thread_ids import is_thread_id

_UNITS = {"k": 1_000, "m": 1_000_000}
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def whole(text: str) -> int:
    """A positive integer, `k` and `m` allowed: `200k`."""
    digits, factor = (text[:-1], _UNITS[text[-1].lower()]) if text[-1:].lower() in _UNITS else (text, 1)
    if not digits.isdecimal() or int(digits) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive integer")
    return int(digits) * factor


def amount(text: str) -> float:
    """A positive number."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return value


def duration(text: str) -> float:
    """Seconds, from `90`, `60s` or `2m`."""
    if text[-1:].lower() in _SECONDS:
        return amount(text[:-1]) * _SECONDS[text[-1].lower()]
    return amount(text)


def role_model(text: str) -> tuple[str, str]:
    """`ROLE=SPEC`, as a pair."""
    role, equals, spec = text.partition("=")
    if not (role and equals and spec):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form ROLE=SPEC, as in coder=embedded")
    return role, spec


def new_thread(text: str) -> str:
    """The id of a thread to be created."""
    if not is_thread_id(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a UUID")
    return text


Option = tuple[tuple[str, ...], dict[str, Any]]
"""What `ArgumentParser.add_argument` is called with."""


def option(*names: str, **details: Any) -> Option:
    """An option or argument with a value."""
    return names, details


def flag(*names: str, text: str) -> Option:
    """An option that is given or not."""
    return names, {"action": "store_true", "help": text}


COMMON = (
    option("--verbose", "-v", action="count", default=0, help="print what happens inside; -vv: all of it"),
    flag("--debug", text="show the traceback of an error"),
    option("-h", "--help", action="help", help="show this help and exit"),
)
"""What every command takes."""

_REPO = option("--repo", type=Path, metavar="DIR", help="the git repository (default: the current directory)")
_JSON = flag("--json", text="one JSON object on stdout")
_EVENTS = flag("--json", text="JSON lines on stdout, one per event; the last is the result")
_QUIET = flag("--quiet", "-q", text="no live display, only the result")
_ONE_THREAD = {"metavar": "THREAD", "default": "", "help": "a thread id or a unique prefix of it"}
_THREAD = option("thread", **_ONE_THREAD)
_CHECKS = option("--checks", action="append", default=[], metavar="CMD",
                 help="a command that must succeed (default: detected); may be repeated")  # fmt: skip
_CONFIGURATION = (
    option("--config", type=Path, metavar="FILE", help="configuration file, JSON or YAML"),
    flag("--trust-project", text="also read the repository's rolecall.json, which may start programs"),
)
_RUNNING = (
    option("--model", type=role_model, action="append", default=[], metavar="ROLE=SPEC",
           help="use SPEC for ROLE in this run; may be repeated"),
    option("--max-tokens", type=whole, metavar="N", help="stop after N tokens, input and output (e.g. 200k)"),
    option("--max-cost", type=amount, metavar="USD", help="stop after this many dollars"),
    option("--max-minutes", type=amount, metavar="N", help="stop after N minutes"),
    *_CONFIGURATION,
    flag("--yes", "-y", text="unattended: ask nothing, approve every command"),
    flag("--no-supervisor", text="disable the supervisor"),
    _EVENTS,
    _QUIET,
)  # fmt: skip
"""What serves each role, limits over all runs of the thread, and how a run is displayed and behaves."""

RUN = (
    option("task", nargs="*", metavar="TASK", help="the task, in quotes; - reads it from stdin"),
    option("--file", "-f", type=Path, metavar="FILE", help="read the task from a file"),
    _REPO,
    _CHECKS,
    *_RUNNING,
    flag("--background", text="run detached, print the thread id and return"),
    # The parent of a background run has promised this id already.
    option("--thread", help=argparse.SUPPRESS, type=new_thread),
)  # fmt: skip
RESUME = (
    option("thread", nargs="?", **_ONE_THREAD),
    flag("--last", text="the most recently used thread (default without THREAD)"),
    _REPO,
    *_RUNNING,
)
CONTINUE = (
    _THREAD,
    option("text", nargs="*", metavar="TEXT", help="what to do next, in quotes; - reads it from stdin"),
    option("--file", "-f", type=Path, metavar="FILE", help="read the request from a file"),
    _REPO,
    *_RUNNING,
)
DEMO = (
    option("--dir", type=Path, metavar="DIR",
           help="where to create the broken repository (default: a temporary directory)"),
    _EVENTS,
    _QUIET,
)  # fmt: skip
REPAIR = (
    _REPO,
    option(
        "--checks",
        default="",
        metavar="ARGS",
        help="arguments for pytest, as in 'tests/test_a.py -k x' (default: configured or detected, as for run)",
    ),
    option(
        "--budget",
        type=duration,
        default=0.0,
        metavar="TIME",
        help="how long to search, such as 60s (default: embedded.repair_budget_s, 60s)",
    ),
    _JSON,
)
THREADS = (
    option("action", nargs="?", default="list", choices=("list", "show", "delete", "adopt"), metavar="ACTION",
           help="list (default), show THREAD, delete THREAD with its worktree and branch, or adopt threads created "
                "here by another machine, user or version"),
    option("thread", metavar="THREAD", nargs="*", default=[],
           help="a thread id or a unique prefix of it; delete takes several"),
    flag("--yes", "-y", text="delete or adopt without asking"),
    _REPO,
    _JSON,
)  # fmt: skip
ONE_THREAD = (_THREAD, _REPO, _JSON)
DIFF = (_THREAD, flag("--stat", text="files and line counts only"), _REPO, _JSON)
VERIFY = (_THREAD, _CHECKS, _REPO, *_CONFIGURATION, _JSON, _QUIET)
APPLY = (
    _THREAD,
    flag("--squash", text="one commit on your branch instead of a merge"),
    flag("--no-commit", text="change your files without committing"),
    flag("--force", text="apply red, stuck or unfinished work without asking"),
    _REPO,
    _JSON,
)
STEER = (
    _THREAD,
    option("text", nargs="*", metavar="TEXT", help="what the run should know or do; - reads it from stdin"),
    flag("--urgent", text="interrupt the model call in progress"),
    _REPO,
    _JSON,
)
SUPERVISE = (
    option("threads", nargs="*", metavar="THREAD", help="threads to supervise from a separate process"),
    flag("--all", text="all running threads, including those started later"),
    flag("--wait", text="also wait for threads that are not running"),
    _REPO,
    *_CONFIGURATION,
)
MODELS = (
    option("action", nargs="?", default="list", choices=("list", "bench"), metavar="ACTION",
           help="list (default), or bench: ask several models the same questions"),
    option("--role", default="summarizer", metavar="ROLE",
           help="bench: role to compare models for (default: summarizer)"),
    option("--model", action="append", default=[], metavar="SPEC", dest="specs",
           help="bench: a role, a named model, or provider:model[@url]; may be repeated"),
    option("--limit", type=whole, default=10, metavar="N", help="bench: maximum number of questions (default: 10)"),
    _REPO,
    *_CONFIGURATION,
    _JSON,
)  # fmt: skip
DOCTOR = (
    flag("--live", text="also test each model: tool calls, JSON, tokens per second"),
    _REPO,
    *_CONFIGURATION,
    _JSON,
)
CONFIG = (
    option("action", nargs="?", default="show", choices=("path", "show", "validate", "schema"), metavar="ACTION",
           help="show (default), path, validate or schema"),
    flag("--user", text="path: of your own file, whether or not it exists"),
    _REPO,
    *_CONFIGURATION,
    _JSON,
)  # fmt: skip
STUDIO = (
    option("--port", type=whole, default=2024, metavar="N", help="port on 127.0.0.1 (default: 2024)"),
    flag("--browser", text="open LangGraph Studio in the browser"),
    option("--origin", action="append", default=[], metavar="URL",
           help="an additional web origin allowed to use the server"),
    _REPO,
    *_CONFIGURATION,
)  # fmt: skip
VERSION = (_JSON,)
