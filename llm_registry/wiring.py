"""What a registry is made of, put together once. Owns the wiring and nothing that happens later."""

from collections.abc import Mapping

from core.config.settings import Settings
from core.events import EventSink
from core.redaction import Redactor
from llm_registry.calls.client import SpecClient
from llm_registry.calls.model_cache import ModelCache
from llm_registry.calls.plain_output import PlainClient
from llm_registry.calls.prompt_redaction import PromptRedactor
from llm_registry.calls.structured_output import StructuredClient
from llm_registry.endpoints.breaker import Breakers
from llm_registry.endpoints.slots import Slots
from llm_registry.fallback.fallback import FallbackRunner
from llm_registry.providers.catalog import check_spec
from llm_registry.records.budget import Budget
from llm_registry.records.call_log import CallLog
from llm_registry.records.capability_cache import CapabilityCache
from llm_registry.records.prompt_log import PromptLog
from llm_registry.records.tracing import Trace
from llm_registry.records.wall_clock import WallClock
from llm_registry.specs.role_chains import Chain, resolve_chain, role_names


class Parts:
    """What a registry is made of.

    Args:
        settings: With the overrides of the run in them.
        thread: Whose calls these are.
        store: The call log.
        prompts: Stores prompts if configured.
        traits: What was learnt about specs.
        breakers: Shared with all other runs.
        slots: Shared with all other runs.
        events: Told what happens.
        overridden: Role to spec, as given for this run.
        trace: Of this run.
        clock: Of the thread.
        redactor: Cleans what is sent.
    """

    def __init__(  # noqa: PLR0913 - the one place where everything meets
        self, settings: Settings, thread: str, *, store: CallLog, prompts: PromptLog, traits: CapabilityCache,
        breakers: Breakers, slots: Slots, events: EventSink, overridden: Mapping[str, str],
        trace: Trace, clock: WallClock, redactor: Redactor,
    ) -> None:  # fmt: skip
        self.thread = thread
        self.store = store
        self.prompts = prompts
        self.overridden = overridden
        self.trace = trace
        self.breakers = breakers
        self.events = events
        self.roles = role_names(settings)
        self._llm = settings.llm
        self._chains = {role: resolve_chain(settings.llm, role) for role in self.roles}
        links = [link for chain in self._chains.values() for link in chain.links]
        for link in links:
            check_spec(link.spec, link.origin)
        self.shelf = ModelCache(links, traits)
        self.walker = FallbackRunner(self.shelf, breakers, events)
        self.clock = clock
        budget = Budget(settings.budget, store, thread, clock, events)
        client = SpecClient(self.shelf, store, slots, budget, events, PromptRedactor(redactor))
        self.plain = PlainClient(client)
        self.structured = StructuredClient(client, traits)

    def chain(self, role: str) -> Chain:
        """The chain of a role, or of a named model."""
        if role not in self._chains:
            self._chains[role] = resolve_chain(self._llm, role)
        return self._chains[role]
