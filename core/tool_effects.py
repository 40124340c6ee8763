"""What a tool call may do: declared with each tool, read wherever calls are allowed, repeated, counted or given up."""

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
    """Reads files, or whatever else it works on."""
    writes: bool = False
    """Changes files, or whatever else it works on."""
    runs_commands: bool = False
    """Starts programs; its argument `command`, if any, is a shell command line."""
    network: bool = False
    """Talks to other machines."""
    asks_model: bool = False
    """Waits for one of our models."""
    idempotent: bool = False
    """Two identical calls in a row have the effect of one."""
    confined: bool = False
    """Reaches nothing outside the worktree and its sandbox, unless it has asked the user itself."""
    checks: bool = False
    """Runs the repository's checks and returns their result."""

    @property
    def repeatable(self) -> bool:
        """Whether a call may simply be repeated when it is unknown how far it got."""
        return self.idempotent and (self.confined or not self.writes)

    @property
    def only_reads(self) -> bool:
        """Whether nothing is changed, started or sent."""
        return self.reads and not (self.writes or self.runs_commands or self.network)

    def names(self) -> list[str]:
        """The names of the effects that apply, as events and messages store them."""
        return [field.name for field in fields(self) if getattr(self, field.name)]

    @classmethod
    def named(cls, names: Iterable[str]) -> Self:
        """The inverse of `names`; unknown names are ignored."""
        known = {field.name for field in fields(cls)}
        return cls(**dict.fromkeys(known & set(names), True))

    def of_tool(self, tool: "BaseTool") -> "BaseTool":
        """The tool, with these effects declared."""
        return tool.model_copy(update={"metadata": {**(tool.metadata or {}), _KEY: self}})


UNKNOWN = ToolEffects(reads=True, writes=True, runs_commands=True, network=True)
"""For a tool that declares none: nothing is taken for granted."""


def effects_of(tool: "BaseTool") -> ToolEffects:
    """What a tool declares; everything when it declares nothing."""
    told = (tool.metadata or {}).get(_KEY)
    return told if isinstance(told, ToolEffects) else UNKNOWN


def kept_effects(kept: Any) -> ToolEffects:
    """The effects of a call as stored in a message or event; everything when none are stored.

    Args:
        kept: Names, or whatever else was found in their place.
    """
    return ToolEffects.named(map(str, kept)) if isinstance(kept, list | tuple) else UNKNOWN
