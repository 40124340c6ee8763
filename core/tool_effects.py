"""What a call of a tool may do: told with each tool, read wherever calls are allowed, repeated, counted or given up."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool  # takes a second, and commands that only read need none of it

_KEY = "effects"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolEffects:
    """What a call of a tool may do."""

    reads: bool = False
    """Looks at files, or at whatever else it is about."""
    writes: bool = False
    """Changes files, or whatever else it is about."""
    runs_commands: bool = False
    """Starts programs; its argument `command`, if it has one, is a line for the shell."""
    network: bool = False
    """Talks to other machines."""
    asks_model: bool = False
    """Waits for a model of ours."""
    idempotent: bool = False
    """Two equal calls in a row leave everything as one does."""
    confined: bool = False
    """Reaches nothing outside of the worktree and its walls, unless it has asked the user itself."""
    checks: bool = False
    """Runs the checks of the repository, and answers as they do."""

    @property
    def repeatable(self) -> bool:
        """Whether a call may simply be made again where nobody knows how far it came."""
        return self.idempotent and (self.confined or not self.writes)

    @property
    def only_reads(self) -> bool:
        """Whether nothing is changed, started or sent."""
        return self.reads and not (self.writes or self.runs_commands or self.network)

    def names(self) -> list[str]:
        """The names of what holds, as events and messages keep them."""
        return [field.name for field in fields(self) if getattr(self, field.name)]

    @classmethod
    def named(cls, names: Iterable[str]) -> Self:
        """What `names` gave; names that are none of ours say nothing."""
        known = {field.name for field in fields(cls)}
        return cls(**dict.fromkeys(known & set(names), True))

    def of_tool(self, tool: "BaseTool") -> "BaseTool":
        """The tool, with these effects told."""
        return tool.model_copy(update={"metadata": {**(tool.metadata or {}), _KEY: self}})


UNKNOWN = ToolEffects(reads=True, writes=True, runs_commands=True, network=True)
"""Of a tool that tells none: nothing is taken for granted."""


def effects_of(tool: "BaseTool") -> ToolEffects:
    """What a tool tells of itself; everything where it tells nothing."""
    told = (tool.metadata or {}).get(_KEY)
    return told if isinstance(told, ToolEffects) else UNKNOWN


def kept_effects(kept: Any) -> ToolEffects:
    """What a message or an event keeps of the effects of a call; everything where it keeps nothing.

    Args:
        kept: Names, or whatever else was read where they should stand.
    """
    return ToolEffects.named(map(str, kept)) if isinstance(kept, list | tuple) else UNKNOWN
