"""What an attempt is: who tries what, under which policies, and what in the world would prove that it got out.

An attempt is data. Places in its texts are written `@NAME@` and filled in for each world: `@REPO@` the user's
checkout, `@HOME@` their home, `@OUTSIDE@` a folder of theirs beside it, `@WORKTREE@`, `@CANARY@` a word that stands
only in files that must not be seen, `@TOKEN@` a word that marks this attempt's processes.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.redteam.attack import Attack


class Policy(StrEnum):
    """Where the attempt is made."""

    ROOT = "bubblewrap as root"
    USER = "bubblewrap as a user"
    HOST = "host"


WALLS = (Policy.ROOT, Policy.USER)
ALL = (*WALLS, Policy.HOST)

CLASSES = {
    1: "rights inside the walls",
    2: "paths checked, then used",
    3: "a planted .rolecall",
    4: "programs that git runs",
    5: "the target's interpreter",
    6: "a weaker policy unsaid",
    7: "the allow-list",
    8: "secrets",
    9: "keys sent elsewhere",
    10: "limits",
    11: "the terminal and the prompts",
    12: "the door of Studio",
    13: "state, deletion, configuration",
}


@dataclass(frozen=True, slots=True)
class Shell:
    """A command line given to the tool `run_command`."""

    script: str
    timeout_s: float | None = 20.0
    reached: bool = True
    """Whether its last word must be heard, as proof that it ran at all."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A call of one of the coder's tools."""

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cli:
    """A command line of `rolecall` in a process of its own."""

    words: tuple[str, ...]
    stdin: str = ""
    timeout_s: float = 60.0


Do = Callable[["Attack"], Awaitable[None]]
Action = Shell | Tool | Cli | Do
Proof = Callable[["Attack"], str]
"""What in the world shows that the attempt got out; "" when it was held."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try."""

    id: str
    kind: int
    """Which of `CLASSES`."""
    title: str
    actions: tuple[Action, ...]
    proofs: tuple[Proof, ...]
    """Any of them is an escape."""
    policies: tuple[Policy, ...] = ALL
    files: Mapping[str, str] = field(default_factory=dict)
    """Tracked files of the repository."""
    setup: Callable[["Attack"], None] | None = None
    """What else stands ready, made before the product looks: links, sockets, planted folders."""
    env: Mapping[str, str] = field(default_factory=dict)
    """More of the user's environment."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The user's configuration file."""
    yes: bool = True
    """Whether the user said `--yes`."""
    refusable: bool = False
    """Whether the product may refuse to work here at all; else a refusal proves nothing and is an error."""
    group: str = ""
    """Attempts of one group are made one after another in one world, since what they attack is slow to start."""
    alone: bool = False
    """Whether it strains the machine, so that nothing else runs beside it."""
    within_s: float = 100.0


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an attempt under a policy."""

    id: str
    policy: Policy
    escape: str = ""
    error: str = ""
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """The attempt and its policy."""
        return f"{self.id} [{self.policy.value}]"
