"""The tools of a run, put together out of its sources: who has a name, what is offered to whom, what fails.

A source that fails or hangs costs its tools for a while, and is told of; calls themselves are made in `tool_calls`.
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
"""Seconds a source may take to say what it has."""
AGAIN_S = 30.0
"""Seconds in which a source that failed is not asked again."""
CLOSE_S = 10.0
_LONGEST_NAME = 64
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
"""What servers of models refuse in the name of a tool."""
_LOG = logging.getLogger(__name__)


class StartedCalls(Protocol):
    """Remembers beyond the end of the process which calls began."""

    async def begin(self, call: str, tool: str) -> bool:
        """Write a call down; false when it was."""

    async def forget(self, call: str) -> None:
        """Take a call back."""


class Toolset:
    """Implements `core.context.Tools`.

    Args:
        sources: In the order in which they are asked; the first that has a name keeps it.
        settings: What `tools` says of each.
        events: Told of what fails and what is renamed.
        started: Where calls are written down that are not simply repeated.
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
        """Sources that failed, and until when they are not asked."""

    async def offered(self, role: str) -> Sequence[BaseTool]:
        """What a role may call now; what is in the way is told once."""
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
        """The tool that was offered to a role under a name; asks the sources where nothing was offered yet."""
        if role not in self._offered:
            await self.offered(role)
        return self._offered[role].get(name)

    def effects_of(self, name: str) -> ToolEffects:
        """What calls of that name may do; the worst where it was not offered."""
        return self._effects.get(name, UNKNOWN)

    async def begin(self, call: str, tool: str) -> bool:
        """Write down that a call begins; false when it had begun before."""
        return await self._started.begin(call, tool)

    async def forget(self, call: str) -> None:
        """Take back that a call began."""
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
        """Close all sources; one that cannot be closed keeps nobody from the end."""
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
        self._tell(f"the tools of {source.name} are not available at present: {type(error).__name__}: {error}")

    def _named(self, tool: BaseTool, source: ToolSource, taken: Collection[str]) -> BaseTool | None:
        """The tool under a name of its own; `None` where there is none, or no model could be told of it."""
        name = _NOT_IN_NAMES.sub("_", tool.name)[:_LONGEST_NAME]
        if name in taken:
            name = _NOT_IN_NAMES.sub("_", f"{source.name}_{tool.name}")[:_LONGEST_NAME]
        if name in taken or not name:
            self._tell(f"the tool {tool.name} of {source.name} is left out: others have its names")
            return None
        if name != tool.name:
            self._tell(f"the tool {tool.name} of {source.name} is called {name} here")
            tool = tool.model_copy(update={"name": name})
        if effects_of(tool).confined:
            return tool  # one of ours, whose form the tests know
        try:
            convert_to_openai_tool(tool)
        except Exception as error:  # noqa: BLE001 - schemas of others are wrong in many ways
            _LOG.warning("the form of the tool %s is wrong", name, exc_info=error)
            self._tell(f"the tool {name} of {source.name} is left out: the form of its arguments is wrong")
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
        message = "it gave something for a tool that is none"
        raise TypeError(message)
    return tools


def _may_use(rule: ToolSettings, role: str) -> bool:
    offered = rule.offered_to is None or role in rule.offered_to
    return offered and rule.enabled and rule.approval != "deny"


def unknown_tools(settings: Settings, known: Iterable[str]) -> tuple[str, ...]:
    """The tools that the configuration names and nobody has, a sentence each.

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
