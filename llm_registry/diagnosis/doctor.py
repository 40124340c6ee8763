"""Checks every role: what serves it, what does not and why, and which line to change. Data only; shows nothing.

Every text is safe to paste into a public report: no key, no home directory, no password in a URL.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from pydantic import BaseModel, ConfigDict

from core.config.settings import ROLES, ModelRole, ModelSpec, Settings
from core.errors import ConfigError
from core.known_secrets import llm_secrets
from core.redaction import MIN_SECRET, map_texts, redact_for_sharing
from llm_registry.assignment import why_unavailable
from llm_registry.diagnosis.advice import Advice, Adviser
from llm_registry.diagnosis.config_edits import NOWHERE, ConfigFile, ConfigOrigin
from llm_registry.diagnosis.endpoint_guesses import FoundServer, find_nearby
from llm_registry.diagnosis.live_checks import LiveCheck, LiveChecks, run_live_checks
from llm_registry.discovery.context_window import context_window
from llm_registry.discovery.probe import DEADLINE_S, probe_endpoints
from llm_registry.discovery.server_info import EndpointFacts
from llm_registry.providers.catalog import check_spec
from llm_registry.records.telemetry import require_exporter
from llm_registry.specs.addresses import endpoint_url
from llm_registry.specs.role_chains import Chain, ChainLink, resolve_chain, role_names

USUAL_PLACES = (
    ("ollama", "http://127.0.0.1:11434"),
    ("openai_compatible", "http://127.0.0.1:8080/v1"),
    ("openai_compatible", "http://127.0.0.1:1234/v1"),
    ("openai_compatible", "http://127.0.0.1:5000/v1"),
    ("openai_compatible", "http://127.0.0.1:8000/v1"),
)
"""Where Ollama, llama.cpp, LM Studio, text-generation-webui and vLLM listen by default."""
PATIENCE_S = 2.5
"""For probing a configured endpoint: a diagnosis may take longer than starting a run."""


class _Finding(BaseModel):
    model_config = ConfigDict(frozen=True)


class SpecHealth(_Finding):
    """One spec of the chains."""

    name: str
    provider: str
    model: str
    address: str
    quantization: str
    """As configured; servers do not say."""
    ok: bool
    """It can serve now."""
    error: str
    server: str
    model_present: bool | None
    """`None` when the server lists no models."""
    models_offered: tuple[str, ...]
    calls_tools: bool | None
    """What the server says about the model; `None` when it says nothing."""
    window: int | None
    """Tokens one request may contain; `None` when unknown."""
    window_source: str
    window_warning: str
    responses_api: bool | None
    seconds: float
    tool_call: LiveCheck | None = None
    json_object: LiveCheck | None = None
    tokens_per_s: float | None = None
    first_token_s: float | None = None


class RoleHealth(_Finding):
    """One role."""

    role: str
    serves: str
    """Name of the spec that would serve it now; empty when none can."""
    reason: str
    replaced: bool
    """What serves it stands in for a spec that cannot serve now."""
    engine_only: bool
    """Models are configured for it, and none can serve: only the embedded engine, which is no LLM."""
    falls_to: tuple[str, ...]
    """Its fallbacks, in order."""
    chain: tuple[str, ...]
    notes: tuple[str, ...]
    needed: bool
    """Runs use it. Otherwise it would only serve a tool, which is not offered."""


class Diagnosis(_Finding):
    """Everything the doctor found."""

    config: str
    own_config: str
    """Where the user would create a file, while the one shipped with the program is read."""
    roles: tuple[RoleHealth, ...]
    specs: tuple[SpecHealth, ...]
    remedies: tuple[Advice, ...]
    invalid: tuple[str, ...]
    """What makes every run refuse the configuration, regardless of servers."""
    servers_found: tuple[str, ...]
    """Model servers that answer on the usual local ports."""
    live: bool

    @property
    def unserved(self) -> tuple[str, ...]:
        """Roles that runs need and nothing can serve."""
        return tuple(role.role for role in self.roles if role.needed and not role.serves)

    @property
    def healthy(self) -> bool:
        """Every role is served by its first choice."""
        replaced = any(role.needed and role.replaced for role in self.roles)
        return not (self.unserved or self.invalid or replaced or any(remedy.urgent for remedy in self.remedies))


async def diagnose_roles(settings: Settings, *, origin: ConfigOrigin = NOWHERE, live: bool = False) -> Diagnosis:
    """Check all roles.

    Args:
        settings: As loaded.
        origin: Where they came from, so that lines can be named.
        live: Let every model that can serve do three small tasks; costs a few hundred tokens each.

    Raises:
        ConfigError: An alias or fallback names nothing.
    """
    chains = {role: resolve_chain(settings.llm, role) for role in role_names(settings)}
    needed = [role for role, chain in chains.items() if _is_needed(chain, settings)]
    links = {link.name: link for chain in chains.values() for link in chain.links}
    looks, found = await asyncio.gather(
        probe_endpoints([link.spec for link in links.values()], deadline_s=PATIENCE_S), find_servers()
    )
    facts = dict(zip(links, looks, strict=True))
    nearby = await _look_nearby(links, facts)
    trips = await _try_out(links, facts) if live else {}
    file = await asyncio.to_thread(ConfigFile, origin)
    adviser = Adviser(settings, file, found, nearby)
    diagnosis = Diagnosis(
        config=str(origin.path or ""),
        own_config=str(origin.new or "") if origin.sample else "",
        roles=tuple(_role(chain, facts, trips, needed=chain.role in needed) for chain in chains.values()),
        specs=tuple(_spec(link, facts[link.name], trips.get(link.name)) for link in links.values()),
        invalid=tuple(await asyncio.to_thread(_refusals, links.values(), settings)),
        remedies=tuple(_remedies(adviser, {role: chains[role] for role in needed}, facts, trips)),
        servers_found=tuple(f"{one.facts.server} at {one.url}: {', '.join(one.facts.models[:8])}" for one in found),
        live=live,
    )
    secrets = [secret for secret in llm_secrets(settings.llm) if len(secret) >= MIN_SECRET]
    return Diagnosis.model_validate(map_texts(diagnosis.model_dump(), partial(redact_for_sharing, secrets=secrets)))


def _refusals(links: Iterable[ChainLink], settings: Settings) -> list[str]:
    checks = [partial(check_spec, link.spec, link.origin) for link in links]
    checks.append(partial(require_exporter, settings.telemetry))
    found = []
    for check in checks:
        try:
            check()
        except ConfigError as error:
            found.append(f"{error.message} ({error.hint})" if error.hint else error.message)
    return found


async def find_servers(deadline_s: float = DEADLINE_S) -> list[FoundServer]:
    """The model servers that answer on the usual ports of this machine and have a model."""
    specs = [ModelSpec(provider=provider, base_url=url, api="chat") for provider, url in USUAL_PLACES]
    looks = await probe_endpoints(specs, deadline_s=deadline_s)
    return [FoundServer(endpoint_url(spec), facts) for spec, facts in zip(specs, looks, strict=True) if facts.models]


async def _look_nearby(links: Mapping[str, ChainLink], facts: Mapping[str, EndpointFacts]) -> dict[str, FoundServer]:
    asked = [link for link in links.values() if endpoint_url(link.spec)]
    found = await asyncio.gather(*(find_nearby(link.spec, facts[link.name], deadline_s=DEADLINE_S) for link in asked))
    return {link.name: one for link, one in zip(asked, found, strict=True) if one is not None}


async def _try_out(links: Mapping[str, ChainLink], facts: Mapping[str, EndpointFacts]) -> dict[str, LiveChecks]:
    """Servers work in parallel, the models of one server one after another."""
    by_endpoint: dict[str, list[ChainLink]] = {}
    for link in links.values():
        if not link.embedded and why_unavailable(link, facts[link.name]) is None:
            by_endpoint.setdefault(link.endpoint, []).append(link)

    async def in_turn(queue: Sequence[ChainLink]) -> list[tuple[str, LiveChecks]]:
        return [(link.name, await run_live_checks(link.spec)) for link in queue]

    done = await asyncio.gather(*(in_turn(queue) for queue in by_endpoint.values()))
    return dict(pair for pairs in done for pair in pairs)


def _obstacle(link: ChainLink, facts: Mapping[str, EndpointFacts], trips: Mapping[str, LiveChecks]) -> str | None:
    tried = trips.get(link.name)
    return why_unavailable(link, facts[link.name]) or (tried.error if tried is not None and tried.error else None)


def _is_needed(chain: Chain, settings: Settings) -> bool:
    """Whether runs need a role that nothing serves."""
    if chain.role in ROLES and chain.role != ModelRole.RESEARCH:
        return True
    return bool(chain.links) and chain.role in {tool.role for tool in settings.tools.values()}


def _role(
    chain: Chain, facts: Mapping[str, EndpointFacts], trips: Mapping[str, LiveChecks], *, needed: bool
) -> RoleHealth:
    obstacles = {link.name: _obstacle(link, facts, trips) for link in chain.links}
    able = [name for name, obstacle in obstacles.items() if obstacle is None]
    serves = able[0] if able else ""
    down: list[str] = []
    for name, obstacle in obstacles.items():
        if obstacle is None:
            break
        down.append(f"{name}: {obstacle}")
    engine = {link.name for link in chain.links if link.embedded}
    return RoleHealth(
        role=chain.role, serves=serves, reason="; ".join([*chain.opening, *down]) or "first choice",
        replaced=bool(serves and down), engine_only=bool(down) and serves in engine, falls_to=tuple(able[1:]),
        chain=tuple(link.name for link in chain.links), notes=chain.notes, needed=needed,
    )  # fmt: skip


def _spec(link: ChainLink, facts: EndpointFacts, trips: LiveChecks | None) -> SpecHealth:
    window = context_window(link.spec, facts)
    obstacle = why_unavailable(link, facts)
    if trips is not None and trips.error:
        # Said once, not again for each task.
        obstacle, trips = obstacle or trips.error, None
    return SpecHealth(
        name=link.name, provider=link.spec.provider, model=link.spec.model, address=endpoint_url(link.spec),
        quantization=link.spec.quantization, ok=obstacle is None, error=obstacle or facts.error, server=facts.server,
        model_present=None if link.embedded else facts.offers(link.spec.model), models_offered=facts.models[:20],
        calls_tools=facts.calls_tools(link.spec.model),
        window=window.tokens, window_source=window.source, window_warning=window.warning,
        responses_api=facts.responses_api, seconds=round(facts.seconds, 3),
        tool_call=trips.tool_call if trips else None, json_object=trips.json if trips else None,
        tokens_per_s=trips.tokens_per_s if trips else None, first_token_s=trips.first_token_s if trips else None,
    )  # fmt: skip


def _remedies(
    adviser: Adviser, chains: Mapping[str, Chain], facts: Mapping[str, EndpointFacts], trips: Mapping[str, LiveChecks]
) -> Iterable[Advice]:
    users: dict[str, list[str]] = {}
    links: dict[str, ChainLink] = {}
    firsts = {chain.links[0].name for chain in chains.values() if chain.links}
    for chain in chains.values():
        for link in chain.links:
            links[link.name] = link
            users.setdefault(link.name, []).append(chain.role)
    callers = [links[name].origin for name, trip in trips.items() if name in links and trip.tool_call.ok]
    writers = [links[name].origin for name, trip in trips.items() if name in links and trip.json.ok]
    for name, link in links.items():
        advices = list(adviser.for_spec(link, facts[name], users[name]))
        if (trip := trips.get(name)) is not None:
            behind = {one.origin for chain in chains.values() if link in chain.links for one in chain.links}
            advices += adviser.for_trips(link, trip, users[name], callers=callers, writers=writers, behind=behind)
        for advice in advices:
            yield replace(advice, urgent=advice.urgent and name in firsts)
    usable = [link for name, link in links.items() if why_unavailable(link, facts[name]) is None]
    yield from adviser.for_pairs(usable, facts)
    bare = [chain for chain in chains.values() if all(link.embedded for link in chain.links)]
    wanted = [chain for chain in bare if chain.role == "primary"] or bare[:1]
    for chain in wanted:
        yield from adviser.for_role(chain)
