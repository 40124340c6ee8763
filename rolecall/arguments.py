"""The options each command takes. It only parses; what they do is decided in `rolecall.commands`."""

import argparse
from pathlib import Path

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
    """Seconds, out of `90`, `60s` or `2m`."""
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
    """The id of a thread that is to be made."""
    if not is_thread_id(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a UUID")
    return text


def common_options(parser: argparse.ArgumentParser) -> None:
    """What every command takes."""
    parser.add_argument("--verbose", "-v", action="count", default=0, help="print what happens inside; -vv: all of it")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_argument("-h", "--help", action="help", help="show this help and exit")


def repo_options(parser: argparse.ArgumentParser) -> None:
    """The repository."""
    parser.add_argument("--repo", type=Path, metavar="DIR", help="the git repository (default: the current directory)")


def json_options(parser: argparse.ArgumentParser, what: str = "one JSON object on stdout") -> None:
    """Output for programs."""
    parser.add_argument("--json", action="store_true", help=what)


def configuration_options(parser: argparse.ArgumentParser) -> None:
    """Where the settings come from."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file, JSON or YAML")
    parser.add_argument(
        "--trust-project",
        action="store_true",
        help="also read the repository's rolecall.json, which may start programs",
    )


def limits_options(parser: argparse.ArgumentParser) -> None:
    """Limits over all runs of the thread, and what serves each role."""
    parser.add_argument(
        "--model", type=role_model, action="append", default=[], metavar="ROLE=SPEC",
        help="use SPEC for ROLE in this run; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--max-tokens", type=whole, metavar="N", help="stop after N tokens, input and output (e.g. 200k)"
    )
    parser.add_argument("--max-cost", type=amount, metavar="USD", help="stop after this many dollars")
    parser.add_argument("--max-minutes", type=amount, metavar="N", help="stop after N minutes")


def running_options(parser: argparse.ArgumentParser) -> None:
    """How a run is displayed and behaves."""
    parser.add_argument("--yes", "-y", action="store_true", help="unattended: ask nothing, approve every command")
    parser.add_argument("--no-supervisor", action="store_true", help="disable the supervisor")
    json_options(parser, "JSON lines on stdout, one per event; the last is the result")
    parser.add_argument("--quiet", "-q", action="store_true", help="no live display, only the result")


def run_options(parser: argparse.ArgumentParser) -> None:
    """`run_options`."""
    parser.add_argument("task", nargs="*", metavar="TASK", help="the task, in quotes; - reads it from stdin")
    parser.add_argument("--file", "-f", type=Path, metavar="FILE", help="read the task from a file")
    repo_options(parser)
    parser.add_argument(
        "--checks", action="append", default=[], metavar="CMD",
        help="a command that must succeed (default: detected); may be repeated",
    )  # fmt: skip
    limits_options(parser)
    configuration_options(parser)
    running_options(parser)
    parser.add_argument("--background", action="store_true", help="run detached, print the thread id and return")
    # The parent of a background run has promised this id already.
    parser.add_argument("--thread", help=argparse.SUPPRESS, type=new_thread)


def resume_options(parser: argparse.ArgumentParser) -> None:
    """`resume_options`."""
    thread_options(parser, optional=True)
    parser.add_argument("--last", action="store_true", help="the most recently used thread (default without THREAD)")
    repo_options(parser)
    limits_options(parser)
    configuration_options(parser)
    running_options(parser)


def continue_options(parser: argparse.ArgumentParser) -> None:
    """`continue`."""
    thread_options(parser)
    parser.add_argument(
        "text", nargs="*", metavar="TEXT", help="what is to be done next, in quotes; - reads it from stdin"
    )
    parser.add_argument("--file", "-f", type=Path, metavar="FILE", help="read the request from a file")
    repo_options(parser)
    limits_options(parser)
    configuration_options(parser)
    running_options(parser)


def thread_options(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """A thread."""
    parser.add_argument(
        "thread", metavar="THREAD", nargs="?" if optional else None, default="",
        help="a thread id or a unique prefix of it",
    )  # fmt: skip


def threads_options(parser: argparse.ArgumentParser) -> None:
    """`threads_options`."""
    parser.add_argument("action", nargs="?", default="list", choices=("list", "show", "delete", "adopt"),
                        metavar="ACTION", help="list (default), show THREAD, delete THREAD with its worktree and "
                        "branch, or adopt threads created here by another machine, user or version")  # fmt: skip
    parser.add_argument("thread", metavar="THREAD", nargs="*", default=[],
                        help="a thread's id, or a beginning that fits one only; delete takes several")  # fmt: skip
    parser.add_argument("--yes", "-y", action="store_true", help="delete or adopt without asking")
    repo_options(parser)
    json_options(parser)


def single_thread_options(parser: argparse.ArgumentParser) -> None:
    """Commands on one thread that take nothing else."""
    thread_options(parser)
    repo_options(parser)
    json_options(parser)


def apply_options(parser: argparse.ArgumentParser) -> None:
    """`apply_options`."""
    thread_options(parser)
    parser.add_argument("--squash", action="store_true", help="one commit on your branch instead of a merge")
    parser.add_argument("--no-commit", action="store_true", help="change your files without committing")
    parser.add_argument("--force", action="store_true", help="apply red, stuck or unfinished work without asking")
    repo_options(parser)
    json_options(parser)


def diff_options(parser: argparse.ArgumentParser) -> None:
    """`diff_options`."""
    thread_options(parser)
    parser.add_argument("--stat", action="store_true", help="files and line counts only")
    repo_options(parser)
    json_options(parser)


def steer_options(parser: argparse.ArgumentParser) -> None:
    """`steer_options`."""
    thread_options(parser)
    parser.add_argument("text", nargs="*", metavar="TEXT", help="what the run should know or do; - reads it from stdin")
    parser.add_argument("--urgent", action="store_true", help="interrupt the model call in progress")
    repo_options(parser)
    json_options(parser)


def supervise_options(parser: argparse.ArgumentParser) -> None:
    """`supervise_options`."""
    parser.add_argument("threads", nargs="*", metavar="THREAD", help="threads to supervise from a separate process")
    parser.add_argument("--all", action="store_true", help="all running threads, including those started later")
    parser.add_argument("--wait", action="store_true", help="also wait for threads that are not running")
    repo_options(parser)
    configuration_options(parser)


def config_options(parser: argparse.ArgumentParser) -> None:
    """`config_options`."""
    parser.add_argument("action", nargs="?", default="show", choices=("path", "show", "validate", "schema"),
                        metavar="ACTION", help="show (default), path, validate or schema")  # fmt: skip
    parser.add_argument("--user", action="store_true", help="path: of your own file, whether or not it exists")
    repo_options(parser)
    configuration_options(parser)
    json_options(parser)


def demo_options(parser: argparse.ArgumentParser) -> None:
    """`demo_options`."""
    parser.add_argument(
        "--dir", type=Path, metavar="DIR", help="where to create the broken repository (default: a temporary directory)"
    )
    json_options(parser, "JSON lines on stdout, one per event; the last is the result")
    parser.add_argument("--quiet", "-q", action="store_true", help="no live display, only the result")


def repair_options(parser: argparse.ArgumentParser) -> None:
    """`repair_options`."""
    repo_options(parser)
    parser.add_argument(
        "--checks", default="", metavar="ARGS", help="arguments for pytest, as in 'tests/test_a.py -k x'"
    )
    parser.add_argument(
        "--budget", type=duration, default=60.0, metavar="TIME", help="how long to search: 60s (default)"
    )
    json_options(parser)


def models_options(parser: argparse.ArgumentParser) -> None:
    """`models_options`."""
    parser.add_argument("action", nargs="?", default="list", choices=("list", "bench"), metavar="ACTION",
                        help="list (default), or bench: ask several models the same questions")  # fmt: skip
    parser.add_argument(
        "--role", default="summarizer", metavar="ROLE", help="bench: role to compare models for (default: summarizer)"
    )
    parser.add_argument("--model", action="append", default=[], metavar="SPEC", dest="specs",
                        help="bench: a role, a named model, or provider:model[@url]; may be repeated")  # fmt: skip
    parser.add_argument(
        "--limit", type=whole, default=10, metavar="N", help="bench: maximum number of questions (default: 10)"
    )
    repo_options(parser)
    configuration_options(parser)
    json_options(parser)


def doctor_options(parser: argparse.ArgumentParser) -> None:
    """`doctor_options`."""
    parser.add_argument("--live", action="store_true", help="also test each model: tool calls, JSON, tokens per second")
    repo_options(parser)
    configuration_options(parser)
    json_options(parser)


def studio_options(parser: argparse.ArgumentParser) -> None:
    """`studio_options`."""
    parser.add_argument("--port", type=whole, default=2024, metavar="N", help="port on 127.0.0.1 (default: 2024)")
    parser.add_argument("--browser", action="store_true", help="open LangGraph Studio in the browser")
    parser.add_argument(
        "--origin",
        action="append",
        default=[],
        metavar="URL",
        help="an additional web origin allowed to use the server",
    )
    repo_options(parser)
    configuration_options(parser)


def version_options(parser: argparse.ArgumentParser) -> None:
    """`version_options`."""
    json_options(parser)
