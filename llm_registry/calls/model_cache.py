"""Stores a run's chat models, and decides which protocol is used for each spec."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable

from core.config.settings import ModelSpec
from core.redaction import redact, without_query
from llm_registry.discovery.context_window import ContextWindow, context_window, num_ctx_for
from llm_registry.discovery.server_info import EndpointFacts
from llm_registry.failures.errors import CallFailure, ErrorKind
from llm_registry.providers.catalog import Api, BuiltModel, build_model
from llm_registry.records.capability_cache import CapabilityCache
from llm_registry.specs.addresses import endpoint_url
from llm_registry.specs.role_chains import ChainLink

_API = "api"
_STREAM = "stream"
_CHAT = "chat"
_CHAT_ONLY = frozenset({"ollama", "gguf", "embedded", "scripted"})
_NOT_RESPONSES = frozenset({ErrorKind.NO_ENDPOINT, ErrorKind.UNSUPPORTED, ErrorKind.BAD_REQUEST})
"""Refusals that count against the protocol; an unusable answer counts only the second time."""


class ModelCache:
    """Builds each chat model once.

    Args:
        links: All specs of the run, to know how many calls each endpoint accepts at a time.
        traits: What is known about specs.
    """

    def __init__(self, links: Iterable[ChainLink], traits: CapabilityCache) -> None:
        self._traits = traits
        self._built: dict[tuple[str, Api], BuiltModel] = {}
        self._building: defaultdict[tuple[str, Api], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._limits: dict[str, int] = {}
        self._silent: set[str] = set()
        self._doubted: set[str] = set()
        self.facts: dict[str, EndpointFacts] = {}
        """What the endpoints said, by name of spec."""
        for link in links:
            if (limit := link.spec.max_concurrency) is not None:
                self._limits[link.endpoint] = min(limit, self._limits.get(link.endpoint, limit))

    def limit(self, link: ChainLink) -> int | None:
        """Calls a spec's endpoint accepts at a time: the smallest number set by any of its specs."""
        return self._limits.get(link.endpoint)

    def window(self, link: ChainLink) -> ContextWindow:
        """Context window, configured or as the server said."""
        return context_window(link.spec, self.facts.get(link.name))

    async def api(self, link: ChainLink, *, structured: bool) -> Api:
        """Which protocol to use. Structured answers use chat completions where there is a choice.

        Several servers offer `/v1/responses` but ignore the format requested there.
        """
        spec = link.spec
        if spec.api != "auto":
            return "responses" if spec.api == "responses" else "chat"
        if spec.provider in _CHAT_ONLY:
            return "chat"
        if structured and await self._traits.get(spec, _CHAT) != "no":
            return "chat"
        known = await self._traits.get(spec, _API)
        if known is None:
            facts = self.facts.get(link.name)
            if facts is None or facts.responses_api is None:
                return "chat"
            known = "responses" if facts.responses_api else "chat"
            await self._traits.put(spec, _API, known)
        return "responses" if known == "responses" else "chat"

    async def change_protocol(self, link: ChainLink, failure: CallFailure, *, structured: bool) -> bool:
        """Permanently give up a protocol that proved unusable with this server.

        Args:
            link: The spec.
            failure: What its server answered.
            structured: Whether an object was requested, which uses chat completions.

        Returns:
            Whether the call may be made again in the other protocol.
        """
        if link.spec.api != "auto":
            return False
        if structured:
            lacks_chat = (
                failure.kind is ErrorKind.NO_ENDPOINT and await self._traits.get(link.spec, _API) == "responses"
            )
            if not lacks_chat or await self._traits.get(link.spec, _CHAT) == "no":
                return False
            await self._traits.put(link.spec, _CHAT, "no")
            return True
        if await self.api(link, structured=False) != "responses" or not self._speaks_against_responses(link, failure):
            return False
        if await self._traits.get(link.spec, _CHAT) == "no":
            return False
        await self._traits.put(link.spec, _API, "chat")
        return True

    def understood(self, link: ChainLink) -> None:
        """Record that an answer was usable."""
        self._doubted.discard(link.name)

    def _speaks_against_responses(self, link: ChainLink, failure: CallFailure) -> bool:
        if failure.kind is not ErrorKind.BAD_OUTPUT:
            return failure.kind in _NOT_RESPONSES
        again = failure.final or link.name in self._doubted
        self._doubted.add(link.name)
        return again

    async def streams(self, link: ChainLink) -> bool:
        """Whether the server is known to stream, or not known not to."""
        return await self._traits.get(link.spec, _STREAM) != "no"

    def streamed(self, link: ChainLink) -> None:
        """Record that a stream arrived."""
        self._silent.discard(link.name)

    def silent_again(self, link: ChainLink) -> bool:
        """A stream was empty; returns whether the previous one was too. A single one may be an accident."""
        again = link.name in self._silent
        self._silent.add(link.name)
        return again

    async def give_up_streams(self, link: ChainLink) -> None:
        """Ask for whole answers from now on."""
        await self._traits.put(link.spec, _STREAM, "no")

    async def get(self, link: ChainLink, api: Api) -> BuiltModel:
        """The chat model of a spec."""
        key = (link.name, api)
        # Calls made at once would each build one, and only the last would ever be closed.
        async with self._building[key]:
            built = self._built.get(key)
            if built is None or (built.current is not None and not await built.current()):
                if built is not None and built.close is not None:
                    await built.close()
                built = self._built[key] = await build_model(
                    link.spec, api=api, num_ctx=num_ctx_for(link.spec, self.facts.get(link.name))
                )
            return built

    async def close(self) -> None:
        """Close all connections."""
        for built in self._built.values():
            if built.close is not None:
                await built.close()
        self._built.clear()


def spec_address(spec: ModelSpec) -> str:
    """Where a spec is served, for messages."""
    return without_query(redact(endpoint_url(spec))) or spec.provider
