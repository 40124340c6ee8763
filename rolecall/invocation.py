"""How rolecall was called: the name the user typed, what they asked to see, and the command that continues."""

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.storage.thread_ids import short_id

if TYPE_CHECKING:
    from core.threads import ThreadRow


@dataclass(slots=True)
class Invocation:
    """One call of the command line. Commands fill in the thread as soon as they know it."""

    argv: list[str]
    command: str = ""
    json: bool = False
    streams: bool = False
    """The command writes a stream of events that must end with a result."""
    debug: bool = False
    thread: str = ""
    repo: str = ""
    """`--repo` as the user gave it; empty when they did not."""
    resumable: bool = False
    """`rolecall resume` resumes the thread."""
    approves: bool = False
    """The user approved every command, which must be given again on resume."""
    raised: tuple[str, ...] = ()
    """Options with higher limits, for a thread that its budget stopped."""
    environment: str = ""
    """An assignment that must precede the resume command."""
    next_command: str = ""
    """The command that continues, if it is not one of rolecall's."""
    result_written: bool = False

    def about(self, row: "ThreadRow") -> None:
        """Take note of the thread this call is about."""
        self.thread, self.resumable = row.thread_id, not row.finished

    def call(self, *words: str) -> str:
        """A complete command line a person can paste into their shell."""
        return f"{launched_as()} {shlex.join(words)}"

    def named(self, text: str) -> str:
        """A text whose commands use the name this program was started by."""
        return text.replace("`rolecall ", f"`{launched_as()} ")

    def on_thread(self, *verb: str, options: tuple[str, ...] = ()) -> str:
        """The command line of a verb on this call's thread, in the repository the user named."""
        repo = ("--repo", self.repo) if self.repo else ()
        return self.call(*verb, short_id(self.thread), *options, *repo)

    def continuation(self, *, usage: bool) -> str:
        """The command that continues after a failure.

        Args:
            usage: The command line itself was wrong, so repeating it would not help.
        """
        if self.next_command:
            return self.next_command
        if self.thread and self.resumable:
            command = self.on_thread("resume", options=(*(("--yes",) if self.approves else ()), *self.raised))
            return f"{self.environment} {command}".lstrip()
        if self.thread and (self.streams or self.command in {"steer", "pause"}):
            return self.on_thread("log")  # it came to its end: what it did tells what to ask next
        if usage:
            return self.call(*([self.command] if self.command else []), "--help")
        return self.call(*(_presentable(word) for word in self.argv))


def _presentable(word: str) -> str:
    """A command line word without any key in it."""
    from core.redaction import Redactor, redact, without_query

    clean = Redactor().clean(word)
    return without_query(redact(clean)) if "://" in clean else clean


def launched_as() -> str:
    """The name the user started this program by, in a form their shell understands."""
    import shutil

    words = sys.orig_argv
    if "-m" in words[:-1] and words[words.index("-m") + 1] == "rolecall":
        return shlex.join(words[: words.index("-m") + 2])
    started = sys.argv[0]
    if Path(started).name == "__main__.py":
        return shlex.join([words[0], started])
    found = shutil.which(Path(started).name)
    if found and Path(found).exists() and Path(started).exists() and os.path.samefile(found, started):  # noqa: PTH121
        return Path(started).name
    return shlex.quote(started)
