"""What is compared: all that a run said, and all that really happened, each gathered without the other's help."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the command line, and everything it said."""

    words: tuple[str, ...]
    code: int
    """As a shell has it: negative when a signal ended it."""
    out: str = ""
    err: str = ""
    """On a terminal both are one, and stand in `out`."""
    began: float = 0.0
    ended: float = 0.0
    """Seconds since the epoch."""
    asked: int = 0
    """Requests that reached the servers meanwhile."""
    drives: bool = False
    """It drove the thread: a `run` or a `resume`."""

    @property
    def said(self) -> str:
        return f"{self.out}\n{self.err}"

    @property
    def refused(self) -> bool:
        """It ended before it began: a `resume` of what is finished, say."""
        return self.code in {2, 3, 75} or "error[" in self.said


@dataclass(frozen=True, slots=True)
class Request:
    """One call of a model, as its server saw it."""

    role: str
    model: str
    title: str
    """Of the object asked for; empty for words and tools."""
    prompt: str
    input_tokens: int
    output_tokens: int
    """As the server told, or would have."""
    good: bool = True
    """It was answered with what a competent model says."""
    whole: bool = True
    """Nobody hung up before the end."""


@dataclass(frozen=True, slots=True)
class Check:
    """A check run by us, in a fresh copy of a commit."""

    command: str
    code: int
    output: str


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of the thread's branch."""

    name: str
    files: frozenset[str]


@dataclass(frozen=True, slots=True)
class Real:
    """What really happened."""

    base: str
    tip: str
    """Empty when there is no branch."""
    commits: tuple[Commit, ...] = ()
    numstat: Mapping[str, tuple[int, int] | None] = field(default_factory=dict)
    """Lines added and removed by file; `None` for a binary one."""
    standing: Mapping[str, tuple[int, int] | None] = field(default_factory=dict)
    """The same for the worktree, with what is in no commit yet."""
    before: tuple[Check, ...] = ()
    after: tuple[Check, ...] = ()
    requests: tuple[Request, ...] = ()
    always_up: bool = True
    """The servers were there all the time."""
    traces: Mapping[str, bool] = field(default_factory=dict)
    """Command to whether the file is there that it leaves."""
    untouched: bool = True
    """The user's checkout is as it was before the run."""
    sent: tuple[str, ...] = ()
    """Words sent to the run by `steer` or typed."""
    named: Mapping[str, str] = field(default_factory=dict)
    """Models that go by a name of the user's, as in `llm.models`."""
    paid: frozenset[str] = frozenset()
    """Models that have a price."""
    supervised: bool = False
    """The supervisor asks its own model when it likes."""

    @property
    def green(self) -> bool:
        return bool(self.after) and all(check.code == 0 for check in self.after)


@dataclass(frozen=True, slots=True)
class Seen:
    """A thread at its end."""

    name: str
    thread: str
    calls: tuple[Call, ...]
    """In their order; the last that drives says how it ended."""
    real: Real
    report: str = ""
    show: str = ""
    log: str = ""
    patch: str = ""
    """The file `diff.patch`."""
    diff: str = ""
    """What `diff --stat` prints."""
    followed: tuple[Call, ...] = ()
    """Commands that were suggested, run word by word, in the end."""

    @property
    def status(self) -> str:
        """As `threads show` has it."""
        return shown(self.show, "status")

    @property
    def last(self) -> Call:
        """The last call that drove the thread."""
        return [call for call in self.calls if call.drives and not call.refused][-1]

    @property
    def result(self) -> Mapping[str, Any]:
        """The last line of a call with `--json`."""
        if "--json" not in self.last.words:
            return {}
        found: Mapping[str, Any] = json.loads(self.last.out.strip().splitlines()[-1])
        return found


@dataclass(frozen=True, slots=True)
class Claim:
    """Something said, next to what is so."""

    kind: str
    where: str
    said: object
    real: object
    holds: bool


def same(kind: str, where: str, said: object, real: object) -> Claim:
    """A claim that must be word for word what is so."""
    return Claim(kind, where, said, real, said == real)


def shown(text: str, name: str) -> str:
    """What stands behind a label of `threads show`."""
    found = re.search(rf"^{name} +(.*)$", text, re.MULTILINE)
    return found[1].strip() if found else ""
