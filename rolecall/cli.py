"""The command line: which commands there are, how they are parsed, and which module handles each.

Nothing heavy is imported before a command is known; what a command does is in `rolecall.commands`.
"""

import argparse
import difflib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from io import TextIOWrapper
from typing import NoReturn

from core.errors import UsageError
from rolecall import arguments
from rolecall.error_boundary import run_guarded
from rolecall.invocation import Invocation
from rolecall.output.streams import safe_streams

Handler = Callable[[argparse.Namespace, Invocation], int]


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its line in the help, its options, and where its code is."""

    name: str
    usage: str
    summary: str
    options: tuple[arguments.Option, ...]
    handler: str
    """`module:function` below `rolecall.commands`."""
    streams: bool = False
    """With `--json` it writes events that end with a result."""


GROUPS: dict[str, tuple[Command, ...]] = {
    "Work": (
        Command("run", "[TASK | -f FILE | -] [options]", "run a task on the repository, on its own branch",
                arguments.RUN, "run:run", streams=True),
        Command("resume", "[THREAD | --last] [options]", "resume a thread that was stopped or killed",
                arguments.RESUME, "run:resume", streams=True),
        Command("continue", "THREAD [TEXT | -f FILE | -] [options]", "give a thread that is not running a new request",
                arguments.CONTINUE, "run:continue_thread", streams=True),
        Command("demo", "[--dir DIR] [options]", "repair a small broken repository without a model",
                arguments.DEMO, "demo:demo", streams=True),
        Command("repair", "[--repo DIR] [options]", "search for a patch for failing tests without a model; "
                                                    "changes nothing",
                arguments.REPAIR, "repair:repair"),
    ),
    "Threads": (
        Command("threads", "[list | show THREAD | delete THREAD... | adopt] [options]",
                "list, show, delete or adopt threads",
                arguments.THREADS, "threads:threads"),
        Command("log", "THREAD [options]", "what happened in a thread, step by step",
                arguments.ONE_THREAD, "log_diff_apply:log"),
        Command("diff", "THREAD [--stat] [options]", "what a thread changed",
                arguments.DIFF, "log_diff_apply:diff"),
        Command("verify", "THREAD [options]", "run the checks again on a thread's last commit, in a fresh worktree",
                arguments.VERIFY, "verify:verify"),
        Command("apply", "THREAD [--squash | --no-commit] [options]", "apply a thread's work to your checkout",
                arguments.APPLY, "log_diff_apply:apply"),
    ),
    "Steering": (
        Command("watch", "THREAD [options]", "follow a thread running in another process",
                arguments.ONE_THREAD, "watch:watch"),
        Command("steer", "THREAD TEXT [--urgent] [options]", "send a message to a running thread",
                arguments.STEER, "steer:steer"),
        Command("pause", "THREAD [options]", "pause a running thread at its next step",
                arguments.ONE_THREAD, "steer:pause"),
        Command("supervise", "THREAD... | --all [options]", "supervise threads from a separate process",
                arguments.SUPERVISE, "supervise:supervise"),
    ),
    "Set-up": (
        Command("models", "[list | bench --role ROLE --model SPEC...] [options]",
                "which model serves which role, its usage, and how other models compare",
                arguments.MODELS, "models:models"),
        Command("doctor", "[--live] [options]", "what works, what does not, and which line to change",
                arguments.DOCTOR, "models:doctor"),
        Command("config", "[path | show | validate | "
                          "schema] [options]", "where the configuration is and what it contains",
                arguments.CONFIG, "config:config"),
        Command("studio", "[--port N] [options]", "open the repository's threads in LangGraph Studio",
                arguments.STUDIO, "studio:studio"),
        Command("version", "[--json]", "versions of rolecall and its dependencies",
                arguments.VERSION, "version:version"),
    ),
}  # fmt: skip

COMMANDS = {command.name: command for group in GROUPS.values() for command in group}


class ArgumentParser(argparse.ArgumentParser):
    """An argument parser that raises instead of exiting, and never guesses at shortened options."""

    def __init__(self, command: Command) -> None:
        super().__init__(
            prog=f"rolecall {command.name}",
            usage=f"rolecall {command.name} {command.usage}",
            description=f"{command.summary[0].upper()}{command.summary[1:]}.",
            formatter_class=HelpLayout,
            allow_abbrev=False,
            add_help=False,
        )
        self._positionals.title, self._optionals.title = "arguments", "options"
        for names, details in (*command.options, *arguments.COMMON):
            self.add_argument(*names, **details)

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong with the arguments."""
        raise UsageError(message.removeprefix("argument "))

    def unknown(self, words: Sequence[str]) -> NoReturn:
        """Raise for arguments that nothing accepted, with the nearest option."""
        word = words[0]
        if not word.startswith("-"):
            raise UsageError(f"unexpected {word!r}", hint="quote arguments that contain spaces")
        near = difflib.get_close_matches(word.partition("=")[0], self._option_string_actions, n=1, cutoff=0.5)
        raise UsageError(f"unknown option {word}", hint=f"did you mean {near[0]}?" if near else "")


class HelpLayout(argparse.HelpFormatter):
    """Help that looks the same under every Python: `-f, --file FILE`."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=100)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings:
            return str(action.metavar or action.dest)
        names = ", ".join(sorted(action.option_strings, key=len))
        return names if action.nargs == 0 else f"{names} {action.metavar or action.dest.upper()}"


def main(argv: Sequence[str]) -> int:
    """Parse the command line, run the command, return its exit code."""
    _fill_closed_streams()
    _speak_utf8()
    invocation = Invocation(argv=list(argv), json="--json" in argv, debug="--debug" in argv)
    with safe_streams():
        return run_guarded(partial(_dispatch, list(argv), invocation), invocation)


def _fill_closed_streams() -> None:
    """A closed stderr would send messages to stdout, and the next file opened would get its descriptor."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - lives as long as we


def _speak_utf8() -> None:
    """Write UTF-8 whatever the locale, as JSON requires; no file name may stop a run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _dispatch(argv: list[str], invocation: Invocation) -> int:
    if not argv:
        print(overview_text(), file=sys.stderr)
        raise UsageError("no command given")
    if argv[0] in {"-h", "--help", "help"}:
        print(_help(argv[1:]))
        return 0
    if argv[0] in {"-V", "--version"}:
        from rolecall.commands.version import version_of

        print(f"rolecall {version_of('rolecall')}")
        return 0
    command = _known(argv[0])
    invocation.command, invocation.streams = command.name, command.streams
    parser = ArgumentParser(command)
    try:
        options, rest = parser.parse_known_args(argv[1:])
    except SystemExit:  # argparse has printed the help
        return 0
    if rest:
        parser.unknown(rest)
    invocation.json = getattr(options, "json", False)
    if given := getattr(options, "repo", None):
        invocation.repo = str(given)
    module, _, function = command.handler.partition(":")
    handler: Handler = getattr(import_module(f"rolecall.commands.{module}"), function)
    if not options.verbose:
        return handler(options, invocation)
    from rolecall.output.verbose import verbose_logging

    with verbose_logging(options.verbose):
        return handler(options, invocation)


def _known(name: str) -> Command:
    if name in COMMANDS:
        return COMMANDS[name]
    what = "option" if name.startswith("-") else "command"
    near = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
    raise UsageError(f"unknown {what} {name!r}", hint=f"did you mean `rolecall {near[0]}`?" if near else "")


def _help(names: Sequence[str]) -> str:
    return ArgumentParser(_known(names[0])).format_help() if names and not names[0].startswith("-") else overview_text()


def overview_text() -> str:
    """The help of the whole program."""
    lines = [
        "usage: rolecall COMMAND [options]",
        "",
        "Runs a software task on your own repository with the models you own.",
    ]
    for title, group in GROUPS.items():
        lines += ["", f"{title}:", *(f"  {command.name:<11} {command.summary}" for command in group)]
    return "\n".join([
        *lines,
        "",
        "THREAD is a thread id or a unique prefix of it. See `rolecall COMMAND --help` for all options.",
        'Start with: rolecall demo, or in a repository with failing tests: rolecall run "Make the failing tests pass"',
    ])  # fmt: skip
