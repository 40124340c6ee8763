"""The registry: roles in, replies out. Joins chains, calls and records into what `core.context.Models` promises."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel

from core.artifacts import RoleUsage, Served
from core.events import EventSink
from core.replies import CallSite, ModelReply
from core.settings import Settings
from llm_registry.assign import look_around
from llm_registry.breaker import Breakers
from llm_registry.budget import Budget
from llm_registry.calls import CallStore
from llm_registry.chain import ChainWalker
from llm_registry.client import Client
from llm_registry.links import Chain, Link, resolve_chain, role_names
from llm_registry.models import ModelShelf
from llm_registry.overrides import with_overrides
from llm_registry.plain import PlainClient
from llm_registry.prompts import Prompt, PromptStore
from llm_registry.providers.catalog import require
from llm_registry.question import Ask, Done, Try
from llm_registry.role_model import RoleChatModel
from llm_registry.shared_state import open_shared_state
from llm_registry.slots import Slots
from llm_registry.structured import StructuredClient
from llm_registry.telemetry import span_export
from llm_registry.traits import Traits

A = TypeVar("A", bound=BaseModel)


class Registry:
    """The models of one thread. Made by `open_registry`."""

    def __init__(self, parts: "Parts") -> None:
        self._parts = parts
        self._served: dict[str, Served] = {}
        self._usage: dict[str, RoleUsage] = {}

    async def assign(self) -> Mapping[str, Served]:
        """Look at all endpoints at once and say who serves each role; under a second when nothing listens."""
        chains = {role: self._parts.chain(role) for role in self._parts.roles}
        look = await look_around(chains, self._parts.breakers)
        self._parts.shelf.facts.update(look.facts)
        self._parts.walker.revive()
        self._served = dict(look.served)
        shown = {role: {"spec": served.spec, "reason": served.reason} for role, served in self._served.items()}
        self._parts.events.emit("roles", roles=shown)
        return self._served

    async def refresh_usage(self) -> None:
        """Read what earlier runs of the thread used."""
        self._usage = await self._parts.store.usage(self._parts.thread)

    async def chat(
        self, role: str, messages: Sequence[BaseMessage], *, site: CallSite, tools: Sequence[Any] = ()
    ) -> ModelReply:
        """Ask the chain of a role.

        Raises:
            ModelError: No spec of the chain could serve; its text lists what happened to each.
            BudgetError: A limit of the thread is used up.
        """
        return await self._chat(role, messages, site, tools, {})

    async def ask(
        self, role: str, messages: Sequence[BaseMessage], artifact: type[A], *, site: CallSite
    ) -> tuple[A, ModelReply]:
        """Ask for a structured answer; errors are fed back and methods changed until it validates.

        Raises:
            ModelError: No spec of the chain gave a valid object.
            BudgetError: A limit of the thread is used up.
        """
        question = self._question(role, messages, site, (), {})

        async def asking(link: Link, attempt: Try) -> Done:
            return await self._parts.structured.ask(link, question, artifact, attempt)

        done = await self._parts.walker.walk(self._parts.chain(role), question, asking)
        await self._account(question, done.reply, artifact.__name__)
        found: A = done.reply.parsed
        return found, done.reply

    def chat_model(self, role: str, *, site: CallSite) -> BaseChatModel:
        """A LangChain chat model that calls the chain of the role; for agent loops."""

        async def ask_role(
            messages: Sequence[BaseMessage], tools: Sequence[Any], options: dict[str, Any]
        ) -> ModelReply:
            return await self._chat(role, messages, site, tools, options)

        window = self.window(role)
        profile: Any = {"max_input_tokens": window} if window else None
        return RoleChatModel(role=role, site=site, ask_role=ask_role, profile=profile)

    def served(self, role: str) -> Served:
        """Who serves the role at present, and why."""
        if role not in self._served:
            links = self._parts.chain(role).links
            self._served[role] = Served(role=role, spec=links[0].name if links else "", reason="not asked yet")
        return self._served[role]

    def usage(self) -> Mapping[str, RoleUsage]:
        """What each role used in this thread so far, over all its runs."""
        return dict(self._usage)

    def window(self, role: str) -> int | None:
        """Context window in tokens of the spec that serves the role; `None` when unknown."""
        spec = self.served(role).spec
        link = next((link for link in self._parts.chain(role).links if link.name == spec), None)
        return self._parts.shelf.window(link).tokens if link and not link.embedded else None

    async def _chat(
        self, role: str, messages: Sequence[BaseMessage], site: CallSite, tools: Sequence[Any], options: dict[str, Any]
    ) -> ModelReply:
        question = self._question(role, messages, site, tools, options)

        async def asking(link: Link, attempt: Try) -> Done:
            return await self._parts.plain.ask(link, question, attempt)

        done = await self._parts.walker.walk(self._parts.chain(role), question, asking)
        await self._account(question, done.reply)
        return done.reply

    def _question(
        self, role: str, messages: Sequence[BaseMessage], site: CallSite, tools: Sequence[Any], options: dict[str, Any]
    ) -> Ask:
        placed = site if site.thread else site.model_copy(update={"thread": self._parts.thread})
        return Ask(role=role, site=placed, messages=tuple(messages), tools=tuple(tools), options=options)

    async def _account(self, question: Ask, reply: ModelReply, artifact: str = "") -> None:
        self._served[reply.role] = Served(role=reply.role, spec=reply.spec, reason=reply.reason)
        tools = tuple(convert_to_openai_tool(tool) for tool in question.tools)
        await self._parts.prompts.keep(Prompt(reply.role, question.messages, artifact, tools), question.trace)
        await self.refresh_usage()


class Parts:
    """What a registry is made of.

    Args:
        settings: With the overrides of the run in them.
        thread: Whose calls these are.
        store: The book of calls.
        prompts: Keeps questions where that is wanted.
        traits: What was learnt about specs.
        breakers: Shared with all other runs.
        slots: Shared with all other runs.
        events: Told what happens.
    """

    def __init__(  # noqa: PLR0913 - the one place where everything meets
        self, settings: Settings, thread: str, *, store: CallStore, prompts: PromptStore, traits: Traits,
        breakers: Breakers, slots: Slots, events: EventSink,
    ) -> None:  # fmt: skip
        self.thread = thread
        self.store = store
        self.prompts = prompts
        self.breakers = breakers
        self.events = events
        self.roles = role_names(settings)
        self._llm = settings.llm
        self._chains = {role: resolve_chain(settings.llm, role) for role in self.roles}
        links = [link for chain in self._chains.values() for link in chain.links]
        for link in links:
            require(link.spec, link.origin)
        self.shelf = ModelShelf(links, traits)
        self.walker = ChainWalker(self.shelf, breakers, events)
        client = Client(self.shelf, store, slots, Budget(settings.budget, store, thread), events)
        self.plain = PlainClient(client)
        self.structured = StructuredClient(client, traits)

    def chain(self, role: str) -> Chain:
        """The chain of a role, or of a named model."""
        if role not in self._chains:
            self._chains[role] = resolve_chain(self._llm, role)
        return self._chains[role]


@asynccontextmanager
async def open_registry(
    settings: Settings,
    *,
    thread_id: str,
    database: Path,
    events: EventSink,
    models: Mapping[str, str] | None = None,
    state_dir: Path | None = None,
) -> AsyncIterator[Registry]:
    """Open the registry of a thread.

    Args:
        settings: Roles, chains and budget.
        thread_id: Whose calls are made and counted.
        database: The repository's database; its folder must exist.
        events: Told what happens.
        models: Role to spec for this run, as given by `--model`.
        state_dir: Folder of what all runs share; `None` means the user's own.

    Raises:
        UsageError: An override names an unknown role or model.
        ConfigError: An alias or fallback names nothing, or a provider misses something.
    """
    effective = with_overrides(settings, models or {})
    entries = [*(effective.llm.__pydantic_extra__ or {}).values(), *effective.llm.models.values()]
    secrets = [entry.api_key for entry in entries if not isinstance(entry, str) and entry.api_key]
    async with open_shared_state(state_dir) as state, span_export(effective.telemetry) as watch:
        parts = Parts(
            effective, thread_id, store=CallStore(database, secrets=secrets, watch=watch),
            prompts=PromptStore(database, effective.telemetry, secrets=secrets), traits=Traits(database),
            breakers=Breakers(state), slots=Slots(state), events=events,
        )  # fmt: skip
        registry = Registry(parts)
        await registry.refresh_usage()
        try:
            yield registry
        finally:
            await parts.shelf.close()
