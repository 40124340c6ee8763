"""The collaborators a node is given through `Runtime[Context]`: protocols only, so that any package can be replaced."""

from asyncio.subprocess import Process
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydantic import BaseModel

from core.artifacts import CheckRun, RoleUsage, Served
from core.config.settings import Settings
from core.events import EventSink
from core.redaction import Redactor
from core.replies import NOWHERE, CallSite, ModelReply
from core.tool_effects import ToolEffects

if TYPE_CHECKING:
    # These take a second to import, and commands that only read the inbox need none of them.
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import MessageLikeRepresentation
    from langchain_core.tools import BaseTool

A = TypeVar("A", bound=BaseModel)


class Models(Protocol):
    """The registry as the nodes see it: roles, never model names."""

    async def chat(
        self,
        role: str,
        messages: "Sequence[MessageLikeRepresentation]",
        *,
        site: CallSite = NOWHERE,
        tools: Sequence[Any] = (),
    ) -> ModelReply:
        """Ask the chain of a role.

        Args:
            role: Who is asked.
            messages: The conversation; plain `{"role", "content"}` objects will do.
            site: Where in the graph.
            tools: What may be called.

        Raises:
            ModelError: No spec of the chain could serve; its text lists what happened to each.
            BudgetError: A limit of the thread is used up.
        """

    async def ask(
        self, role: str, messages: "Sequence[MessageLikeRepresentation]", artifact: type[A], *, site: CallSite = NOWHERE
    ) -> tuple[A, ModelReply]:
        """Ask for a structured answer; errors are fed back and methods changed until it validates.

        Raises:
            ModelError: No spec of the chain gave a valid object.
            BudgetError: A limit of the thread is used up.
        """

    def chat_model(self, role: str, *, site: CallSite = NOWHERE) -> "BaseChatModel":
        """A LangChain chat model that calls the chain of the role; for agent loops.

        Its answers carry `response_metadata["rolecall"] = {"role", "spec", "reason"}`.
        """

    def span(self, node: str) -> AbstractAsyncContextManager[None]:
        """Trace a node: calls made inside belong to it."""

    async def note(self, decision: str, attributes: Mapping[str, Any]) -> None:
        """Record a decision in the trace, at the current node."""

    def served(self, role: str) -> Served:
        """What serves the role now, and why."""

    def usage(self) -> Mapping[str, RoleUsage]:
        """What each role used in this thread so far, over all its runs."""

    def seconds(self) -> float:
        """How long runs have worked on this thread, as of the last model call."""

    def window(self, role: str) -> int | None:
        """Context window in tokens of the spec that serves the role; `None` when unknown."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What a thread changed since its base, as it was at one moment."""

    diff: str
    stat: str
    """The same as a table of files and lines."""
    uncommitted: bool
    """Some of it is not in any commit of the branch."""


class Workspace(Protocol):
    """The git worktree of the thread. The user's checkout is never written."""

    @property
    def root(self) -> Path:
        """The worktree."""

    @property
    def repo(self) -> Path:
        """The user's checkout."""

    @property
    def branch(self) -> str:
        """`rolecall/<short-id>`."""

    @property
    def run_dir(self) -> Path:
        """Where events, report, diff and full outputs are stored."""

    async def commit(self, message: str) -> str | None:
        """Commit all changes; `None` when there are none."""

    def notices(self) -> tuple[str, ...]:
        """What was left out of commits and snapshots since the last call, one sentence each."""

    async def tip(self) -> str | None:
        """The last commit the thread made; `None` when it made none."""

    async def diff(self, *, stat: bool = False) -> str:
        """Everything the thread changed since its base, committed or not, new files included."""

    async def changed_files(self, commit: str | None = None) -> tuple[str, ...]:
        """Paths changed since the base, or by one commit of the thread; relative and sorted."""

    async def changes(self) -> Changes:
        """The same plus what else a report says about it, at one moment."""

    async def snapshot(self) -> str:
        """Git tree of the worktree as it is now, untracked files included; touches no index."""

    async def files(self) -> list[str]:
        """The tracked and new files, sorted, including secret-looking ones."""

    async def submodules(self) -> tuple[str, ...]:
        """Paths of the submodules."""

    async def listing(self, *, limit: int = 200) -> str:
        """The tracked and new files, one per line, large directories collapsed."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """A command that ran to its end or was stopped."""

    command: str
    exit_code: int
    output: str
    """Head and tail of stdout and stderr, interleaved as they came."""
    output_path: str
    duration_s: float
    timed_out: bool = False


class ReadWriteLock(Protocol):
    """Keeps file tools and commands apart: many of the former at once, or one of the latter. Turns do not nest."""

    def shared(self) -> AbstractAsyncContextManager[None]:
        """For code that reads or writes files in the worktree."""

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        """For code that runs the repository's code."""


class OutputWatch(Protocol):
    """Follows what a command writes while it runs."""

    @property
    def env(self) -> Mapping[str, str]:
        """Additional variables the command gets."""

    def look(self, descriptor: int) -> None:
        """Read what is new; blocking."""

    def close(self, code: int) -> tuple[int, str]:
        """The effective exit code, and a last line for the output."""

    def clean(self, data: bytes) -> bytes:
        """The output as it is to be stored."""


class Commands(Protocol):
    """Runs commands in the worktree, in the sandbox."""

    @property
    def turns(self) -> ReadWriteLock:
        """Taken by anything that touches the worktree; `run` takes its own."""

    @property
    def policy(self) -> str:
        """What the sandbox does, in one sentence for the report."""

    @property
    def count(self) -> int:
        """How many commands were started so far; each may have changed what no git tree shows."""

    async def run(
        self, command: str, *, timeout_s: float | None = None, watch: OutputWatch | None = None
    ) -> CommandResult:
        """Run a shell command, with a watch on its output; never raises for what the command does."""

    async def spawn(self, argv: Sequence[str]) -> Process:
        """Start a program of ours where commands run, with its output piped; the caller must have a turn and end it.

        Raises:
            OSError: The program cannot be started.
        """

    def allowed(self, command: str) -> bool:
        """Whether the command runs without asking."""


class Checks(Protocol):
    """The repository's own checks."""

    async def commands(self) -> tuple[str, ...]:
        """Given, configured or detected; may be empty."""

    async def run(self, *, before: Sequence[str] = ()) -> tuple[CheckRun, ...]:
        """Run them all, one after another.

        Args:
            before: What was detected before the work started; it is run even if it is no longer detected.
        """


class Repair(Protocol):
    """The search for a patch without any model."""

    async def search(self, *, budget_s: float, skip: Sequence[str] = ()) -> BaseModel:
        """Search the worktree, without the patches to skip; changes nothing in it."""


class ToolSource(Protocol):
    """Provides tools to the models of a run. It may fail or hang: that loses its tools, never the run."""

    @property
    def name(self) -> str:
        """A word that identifies the source; prefixes the names of its tools that others have too."""

    async def tools(self, role: str) -> "Sequence[BaseTool]":
        """The tools a role may have now; asked before each model call, so anything slow is cached.

        Tools declare what they do with `core.tool_effects`; if one does not, the worst is assumed.
        """

    async def names(self) -> Collection[str]:
        """The names of all tools it knows, whoever may have them and whether or not they are turned on."""

    async def close(self) -> None:
        """Release its resources, at the end of the run."""


class Tools(Protocol):
    """The tools of a run, from all its sources."""

    async def offered(self, role: str) -> "Sequence[BaseTool]":
        """What a role may call now."""

    async def find(self, name: str, role: str) -> "BaseTool | None":
        """The tool that a role means by a name; `None` when it has no such tool."""

    def effects_of(self, name: str) -> ToolEffects:
        """What calls of that name may do, if it was offered in this run."""

    async def begin(self, call: str, tool: str) -> bool:
        """Record the start of a call that must not simply be repeated; false when it had started before.

        Args:
            call: What identifies it among all calls of the thread, even after a restart.
            tool: Its tool.
        """

    async def forget(self, call: str) -> None:
        """Forget that a call started: it did nothing yet, and will be made again."""


class InboxItem(BaseModel):
    """A row of the inbox."""

    id: int
    thread_id: str
    kind: str
    author: str
    text: str
    payload: dict[str, Any] = {}
    created: float


class Inbox(Protocol):
    """Guidance for a thread, append only; the cursor lives in graph state."""

    async def after(self, cursor: int) -> list[InboxItem]:
        """Rows of this thread with an id above the cursor, oldest first."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the caller of this run wants, beyond the settings."""

    interactive: bool = False
    """A person is there to answer questions."""
    approve_all: bool = False
    """Commands outside the allow-list run without asking (`--yes`)."""


@dataclass(frozen=True, slots=True)
class Context:
    """Everything a node may use."""

    thread_id: str
    settings: Settings
    models: Models
    workspace: Workspace
    commands: Commands
    checks: Checks
    repair: Repair
    inbox: Inbox
    events: EventSink
    tools: Tools
    options: RunOptions = field(default_factory=RunOptions)
    redactor: Redactor = field(default_factory=Redactor)
    """Removes secrets from content before it is stored or sent."""
