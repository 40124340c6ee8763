"""The registry: roles in, replies out. Combines chains, calls and records to implement `core.context.Models`."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, MessageLikeRepresentation, convert_to_messages
from pydantic import BaseModel

from core.artifacts import RoleUsage, Served
from core.config.settings import Settings, role_name
from core.events import EventSink
from core.known_secrets import llm_secrets, redactor_of
from core.redaction import Redactor
from core.replies import NOWHERE, CallSite, ModelReply
from core.storage.database import Database
from llm_registry.assignment import assign_roles
from llm_registry.calls.client import SpecClient
from llm_registry.calls.feedback import ask_plain
from llm_registry.calls.model_cache import ModelCache
from llm_registry.calls.prompt_redaction import PromptRedactor
from llm_registry.calls.requests import (
    Attempt,
    CallResult,
    RoleRequest,
    ToolForms,
    text_answer_problem,
    without_lone_surrogates,
)
from llm_registry.calls.structured_output import ask_structured
from llm_registry.endpoints.breaker import Breakers
from llm_registry.endpoints.shared_state import open_shared_state
from llm_registry.endpoints.slots import Slots
from llm_registry.fallback.fallback import AskSpec, FallbackRunner
from llm_registry.overrides import check_models_offered, with_overrides
from llm_registry.providers.catalog import check_spec
from llm_registry.records.budget import Budget
from llm_registry.records.call_log import CallLog, known_sum
from llm_registry.records.capability_cache import CapabilityCache
from llm_registry.records.prompt_log import LoggedPrompt, PromptLog
from llm_registry.records.telemetry import span_export
from llm_registry.records.tracing import Trace
from llm_registry.records.wall_clock import WallClock
from llm_registry.role_model import RoleChatModel
from llm_registry.specs.role_chains import Chain, ChainLink, resolve_chain, role_names

A = TypeVar("A", bound=BaseModel)


class Registry:
    """The models of one thread. Created by `open_registry`.

    Args:
        settings: Including the run's overrides.
        thread: Whose calls these are.
        log: The log of calls.
        prompts: Stores questions if that is wanted.
        capabilities: What was learned about specs.
        breakers: Shared with all other runs.
        slots: Shared with all other runs.
        events: Told what happens.
        overridden: Role to spec, as given for this run.
        trace: Of this run.
        clock: Of the thread.
        redactor: Cleans what is sent.
    """

    def __init__(  # noqa: PLR0913 - the one place where everything meets
        self, settings: Settings, thread: str, *, log: CallLog, prompts: PromptLog, capabilities: CapabilityCache,
        breakers: Breakers, slots: Slots, events: EventSink, overridden: Mapping[str, str], trace: Trace,
        clock: WallClock, redactor: Redactor,
    ) -> None:  # fmt: skip
        self._thread, self._log, self._prompts, self._capabilities = thread, log, prompts, capabilities
        self._breakers, self._events, self._overridden = breakers, events, overridden
        self._trace, self._clock = trace, clock
        self._llm, self._roles = settings.llm, role_names(settings)
        self._chains = {role: resolve_chain(settings.llm, role) for role in self._roles}
        links = [link for chain in self._chains.values() for link in chain.links]
        for link in links:
            check_spec(link.spec, link.origin)
        self._models = ModelCache(links, capabilities)
        self._fallback = FallbackRunner(self._models, breakers, events)
        budget = Budget(settings.budget, log, thread, clock, events)
        self._client = SpecClient(self._models, log, slots, budget, events, PromptRedactor(redactor))
        self._tool_forms = ToolForms()
        self._served: dict[str, Served] = {}
        self._usage: dict[str, RoleUsage] = {}

    async def close(self) -> None:
        """Close connections to servers, and record how long the run took."""
        await self._models.close()
        await self._clock.close()

    async def assign(self) -> Mapping[str, Served]:
        """Probe all endpoints in parallel and say what serves each role; under a second when nothing is listening.

        Raises:
            UsageError: A model asked for with `--model` is not offered by its server; the text lists what is.
        """
        chains = {role: self._chain(role) for role in self._roles}
        facts, self._served = await assign_roles(chains, self._breakers)
        check_models_offered(self._overridden, chains, facts)
        self._models.facts.update(facts)
        self._fallback.revive()
        links = [(role, link) for role, chain in chains.items() for link in chain.links]
        terms = {(role, link.name): link.terms for role, link in links}
        shown = {
            role: {"spec": one.spec, "reason": one.reason, "terms": terms.get((role, one.spec), "")}
            for role, one in self._served.items()
        }
        self._events.emit("roles", roles=shown, **_so_far(self._usage))
        serving = {link.name: (role, link) for role, link in links if link.name == self._served[role].spec}
        for role, link in serving.values():
            if warning := self._models.window(link).warning:
                self._events.emit("model_warning", role=role, spec=link.name, message=warning)
        return self._served

    async def refresh_usage(self) -> None:
        """Read what earlier runs of the thread used."""
        self._usage = await self._log.usage(self._thread)

    async def chat(
        self,
        role: str,
        messages: Sequence[MessageLikeRepresentation],
        *,
        site: CallSite = NOWHERE,
        tools: Sequence[Any] = (),
        options: Mapping[str, Any] | None = None,
    ) -> ModelReply:
        """Ask the chain of a role.

        Args:
            role: Who is asked.
            messages: The conversation; plain `{"role", "content"}` objects will do.
            site: Where in the graph.
            tools: What may be called.
            options: Further arguments for the chat model.

        Raises:
            ModelError: No spec of the chain could serve; its text lists what happened to each.
            BudgetError: A limit of the thread is used up.
        """
        question = self._question(role, messages, site, tools, options or {})
        if not tools:
            question = replace(question, judge=text_answer_problem)

        async def asking(link: ChainLink, attempt: Attempt) -> CallResult:
            return await ask_plain(self._client, link, question, attempt)

        return await self._walk(question, asking)

    async def ask(
        self, role: str, messages: Sequence[MessageLikeRepresentation], artifact: type[A], *, site: CallSite = NOWHERE
    ) -> tuple[A, ModelReply]:
        """Ask for a structured answer; errors are fed back and methods changed until it validates.

        Raises:
            ModelError: No spec of the chain gave a valid object.
            BudgetError: A limit of the thread is used up.
        """
        question = replace(self._question(role, messages, site, (), {}), structured=True)

        async def asking(link: ChainLink, attempt: Attempt) -> CallResult:
            return await ask_structured(self._client, self._capabilities, link, question, artifact, attempt)

        reply = await self._walk(question, asking, artifact.__name__)
        found: A = reply.parsed
        return found, reply

    def chat_model(self, role: str, *, site: CallSite = NOWHERE) -> BaseChatModel:
        """A LangChain chat model that calls the chain of the role; for agent loops."""

        async def ask_role(
            messages: Sequence[BaseMessage], tools: Sequence[Any], options: dict[str, Any]
        ) -> ModelReply:
            return await self.chat(role, messages, site=site, tools=tools, options=options)

        window = self.window(role)
        profile: Any = {"max_input_tokens": window} if window else None
        return RoleChatModel(role=role, site=site, ask_role=ask_role, profile=profile)

    def span(self, node: str) -> AbstractAsyncContextManager[None]:
        """Trace a node: calls made inside belong to it."""
        return self._trace.node(node)

    async def note(self, decision: str, attributes: Mapping[str, Any]) -> None:
        """Record a decision in the trace, at the current node."""
        await self._trace.note(decision, attributes)

    def served(self, role: str) -> Served:
        """What serves the role now, and why."""
        if role not in self._served:
            links = self._chain(role).links
            self._served[role] = Served(role=role, spec=links[0].name if links else "", reason="not asked yet")
        return self._served[role]

    def usage(self) -> Mapping[str, RoleUsage]:
        """What each role used in this thread so far, over all its runs."""
        return dict(self._usage)

    def seconds(self) -> float:
        """How long runs have worked on this thread, as of the last model call."""
        return self._clock.last_s

    def window(self, role: str) -> int | None:
        """Context window in tokens of the spec that serves the role; `None` when unknown."""
        spec = self.served(role).spec
        link = next((link for link in self._chain(role).links if link.name == spec), None)
        return self._models.window(link).tokens if link and not link.embedded else None

    def _chain(self, role: str) -> Chain:
        """The chain of a role, or of a named model."""
        if role not in self._chains:
            self._chains[role] = resolve_chain(self._llm, role)
        return self._chains[role]

    async def _walk(self, question: RoleRequest, asking: AskSpec[CallResult], artifact: str = "") -> ModelReply:
        try:
            reply = (await self._fallback.walk(self._chain(question.role), question, asking)).reply
        finally:
            await self.refresh_usage()
        self._served[reply.role] = Served(role=reply.role, spec=reply.spec, reason=reply.reason)
        await self._prompts.keep(LoggedPrompt(reply.role, question.messages, artifact, question.tools), question.trace)
        return reply

    def _question(
        self, role: str, messages: Sequence[MessageLikeRepresentation], site: CallSite, tools: Sequence[Any],
        options: Mapping[str, Any],
    ) -> RoleRequest:  # fmt: skip
        placed = site if site.thread else site.model_copy(update={"thread": self._thread})
        trace = self._trace
        return RoleRequest(
            trace=trace.id,
            parent=trace.parent,
            role=role_name(role),
            site=placed,
            messages=without_lone_surrogates(convert_to_messages(messages)),
            tools=self._tool_forms.of(tools),
            options=options,
        )


def _so_far(usage: Mapping[str, RoleUsage]) -> dict[str, int | None]:
    """What earlier runs of the thread used, for reporting it only now; empty when there were none."""
    if not usage:
        return {}
    return {
        "calls": sum(one.calls for one in usage.values()),
        "input_tokens": known_sum(one.input_tokens for one in usage.values()),
        "output_tokens": known_sum(one.output_tokens for one in usage.values()),
    }


@asynccontextmanager
async def open_registry(  # noqa: PLR0913 - what a thread brings along
    settings: Settings,
    *,
    thread_id: str,
    database: Database,
    events: EventSink,
    models: Mapping[str, str] | None = None,
    state_dir: Path | None = None,
    breaker_dir: Path | None = None,
    redactor: Redactor | None = None,
    since: float = 0.0,
) -> AsyncIterator[Registry]:
    """Open the registry of a thread.

    Args:
        settings: Roles, chains and budget.
        thread_id: Whose calls are made and counted.
        database: Of the repository.
        events: Told what happens.
        models: Role to spec for this run, as given by `--model`.
        state_dir: Directory of what all runs share; `None` means the user's own.
        breaker_dir: Directory of breakers for this registry alone; `None` means those all runs share.
        redactor: Cleans what is sent and stored; `None` means that it knows settings and environment.
        since: Seconds since the epoch; what was used before does not count towards the budget.

    Raises:
        UsageError: An override names an unknown role or model.
        ConfigError: An alias or fallback names nothing, or a provider lacks something.
    """
    effective = with_overrides(settings, models or {})
    secrets, redactor = llm_secrets(effective.llm), redactor or redactor_of(effective)

    def warn(message: str) -> None:
        events.emit("warning", message=message)

    async with AsyncExitStack() as stack:
        state = own = await stack.enter_async_context(open_shared_state(state_dir))
        if breaker_dir is not None:
            own = await stack.enter_async_context(open_shared_state(breaker_dir))
        watch = await stack.enter_async_context(span_export(effective.telemetry, warn=warn))
        trace = Trace(database, thread_id, redactor=redactor, watch=watch)
        opened = Registry(
            effective, thread_id, log=CallLog(database, secrets=secrets, redactor=redactor, watch=watch),
            prompts=PromptLog(database, effective.telemetry, redactor=redactor), capabilities=CapabilityCache(database),
            breakers=Breakers(own), slots=Slots(state), events=events, overridden=models or {},
            trace=trace, clock=WallClock(database, thread_id, since=since), redactor=redactor,
        )  # fmt: skip
        await opened.refresh_usage()
        try:
            async with trace.run():
                yield opened
        finally:
            await opened.close()
