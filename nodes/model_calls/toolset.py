"""The tools of a run, collected from its sources: who has a name, what is offered to whom, what fails.

The tools of a source that fails or hangs are missing for a while, which is reported; `tool_calls` makes the calls.
"""

import logging
import re
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from core.config.settings import Settings, ToolSettings
from core.context import ToolSource
from core.events import EventSink
from core.suggest import did_you_mean
from core.tool_effects import UNKNOWN, ToolEffects, effects_of
from nodes.model_calls.contained import contained

SOURCE_S = 30.0
"""Seconds a source may take to list its tools."""
AGAIN_S = 30.0
"""Seconds for which a failed source is not asked again."""
CLOSE_S = 10.0
_LONGEST_NAME = 64
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
"""What model servers reject in a tool's name."""
_LOG = logging.getLogger(__name__)


class StartedCalls(Protocol):
    """Remembers, even after the process ends, which calls started."""

    async def begin(self, call: str, tool: str) -> bool:
        """Record a call; false when it was already recorded."""

    async def forget(self, call: str) -> None:
        """Remove a call from the record."""


class Toolset:
    """Implements `core.context.Tools`.

    Args:
        sources: In the order in which they are asked; the first with a name keeps it.
        settings: What `tools` says about each.
        events: Told what fails and what is renamed.
        started: Where calls that must not simply be repeated are recorded.
    """

    def __init__(
        self, sources: Sequence[ToolSource], settings: Settings, events: EventSink, started: StartedCalls
    ) -> None:
        self._sources, self._settings, self._events = tuple(sources), settings, events
        self._started = started
        self._offered: dict[str, dict[str, BaseTool]] = {}
        self._effects: dict[str, ToolEffects] = {}
        self._told: set[str] = set()
        self._away: dict[str, float] = {}
        """Failed sources, and until when they are not asked."""

    async def offered(self, role: str) -> Sequence[BaseTool]:
        """What a role may call now; problems are reported once."""
        found: dict[str, BaseTool] = {}
        for source in self._sources:
            for tool in await self._of(source, role):
                named = self._named(tool, source, found)
                if named is not None and _may_use(self._settings.tool(named.name), role):
                    found[named.name] = named
        for name, tool in found.items():
            told = effects_of(tool)
            self._effects[name] = told if self._effects.get(name, told) == told else UNKNOWN
        self._offered[role] = found
        return tuple(found.values())

    async def find(self, name: str, role: str) -> BaseTool | None:
        """The tool that was offered to a role under a name; asks the sources if nothing was offered yet."""
        if role not in self._offered:
            await self.offered(role)
        return self._offered[role].get(name)

    def effects_of(self, name: str) -> ToolEffects:
        """What calls of that name may do; the worst if it was not offered."""
        return self._effects.get(name, UNKNOWN)

    async def begin(self, call: str, tool: str) -> bool:
        """Record that a call starts; false when it had started before."""
        return await self._started.begin(call, tool)

    async def forget(self, call: str) -> None:
        """Forget that a call started."""
        await self._started.forget(call)

    async def unknown(self) -> tuple[str, ...]:
        """The tools that the configuration names and no source has, a sentence each; none while a source fails."""
        known: set[str] = set()
        for source in self._sources if self._settings.tools else ():
            try:
                known |= set(await contained(source.names(), SOURCE_S))
            except Exception as error:  # noqa: BLE001 - of whatever kind, the source cannot say
                self._failed(source, error)
                return ()
        return unknown_tools(self._settings, known)

    async def close(self) -> None:
        """Close all sources; one that cannot be closed does not block the end."""
        for source in self._sources:
            try:
                await contained(source.close(), CLOSE_S)
            except Exception:  # noqa: BLE001 - of whatever kind, the run is over
                _LOG.warning("the tools of %s could not be closed", source.name, exc_info=True)

    async def _of(self, source: ToolSource, role: str) -> Sequence[BaseTool]:
        if self._away.get(source.name, 0.0) > time.monotonic():
            return ()
        try:
            given = await contained(_listed(source, role), SOURCE_S)
        except Exception as error:  # noqa: BLE001 - of whatever kind, the run goes on without them
            self._failed(source, error)
            return ()
        self._away.pop(source.name, None)
        return given

    def _failed(self, source: ToolSource, error: Exception) -> None:
        self._away[source.name] = time.monotonic() + AGAIN_S
        _LOG.warning("the tools of %s are not available", source.name, exc_info=error)
        self._tell(f"the tools of {source.name} are currently unavailable: {type(error).__name__}: {error}")

    def _named(self, tool: BaseTool, source: ToolSource, taken: Collection[str]) -> BaseTool | None:
        """The tool under a unique name; `None` if there is none, or no model could be offered it."""
        name = _NOT_IN_NAMES.sub("_", tool.name)[:_LONGEST_NAME]
        if name in taken:
            name = _NOT_IN_NAMES.sub("_", f"{source.name}_{tool.name}")[:_LONGEST_NAME]
        if name in taken or not name:
            self._tell(f"the tool {tool.name} of {source.name} is skipped: its names are taken")
            return None
        if name != tool.name:
            self._tell(f"the tool {tool.name} of {source.name} is renamed to {name}")
            tool = tool.model_copy(update={"name": name})
        if effects_of(tool).confined:
            return tool  # one of ours, whose form the tests know
        try:
            convert_to_openai_tool(tool)
        except Exception as error:  # noqa: BLE001 - schemas of others are wrong in many ways
            _LOG.warning("the schema of the tool %s is invalid", name, exc_info=error)
            self._tell(f"the tool {name} of {source.name} is skipped: the schema of its arguments is invalid")
            return None
        return tool

    def _tell(self, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            self._events.emit("warning", message=message)


async def _listed(source: ToolSource, role: str) -> list[BaseTool]:
    given: list[object] = list(await source.tools(role))
    tools = [tool for tool in given if isinstance(tool, BaseTool)]
    if len(tools) < len(given):
        message = "it listed something that is not a tool"
        raise TypeError(message)
    return tools


def _may_use(rule: ToolSettings, role: str) -> bool:
    offered = rule.offered_to is None or role in rule.offered_to
    return offered and rule.enabled and rule.approval != "deny"


def unknown_tools(settings: Settings, known: Iterable[str]) -> tuple[str, ...]:
    """The tools that the configuration names but no source has, one sentence each.

    Args:
        settings: The configuration.
        known: Names of tools.
    """
    names = sorted(known)
    return tuple(
        f"tools.{name}: there is no such tool{did_you_mean(name, names)}"
        for name in settings.tools
        if name not in names
    )
