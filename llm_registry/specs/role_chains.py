"""Turns the roles of the settings into chains: for each role the ordered specs that may serve it.

Owns aliases, fallbacks and the names of specs. It knows nothing of servers and never asks one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from core.config.settings import EMBEDDED, ROLES, USUAL_FALLBACK, LLMSettings, ModelRole, ModelSpec, Settings, role_name
from core.errors import ConfigError
from core.redaction import NOT_SECRET
from core.suggest import did_you_mean
from llm_registry.specs.addresses import endpoint_url, model_name
from llm_registry.specs.network import is_local

EMBEDDED_SPEC = ModelSpec(provider=EMBEDDED, model="")
PAID_PROVIDERS = frozenset({"openrouter"})


@dataclass(frozen=True, slots=True)
class ChainLink:
    """One spec of a chain."""

    name: str
    """As reports show it: `role:model`, the named model, or `embedded`."""
    origin: str
    """The role or named model that configures it."""
    spec: ModelSpec

    @property
    def endpoint(self) -> str:
        """What is shared by all specs on one server: `host:port`, or the provider where there is no address."""
        return endpoint_of(self.spec)

    @property
    def embedded(self) -> bool:
        """Whether it is the embedded engine."""
        return self.spec.provider == EMBEDDED

    @property
    def paid(self) -> bool:
        """Whether a call costs money according to the settings: a key for a server on the internet means it is
        paid."""
        cost = self.spec.cost
        if cost is not None:
            return cost.input > 0 or cost.output > 0
        keyed = bool(self.spec.api_key) and self.spec.api_key not in NOT_SECRET
        return self.spec.provider in PAID_PROVIDERS or (keyed and not is_local(endpoint_url(self.spec)))

    @property
    def remote(self) -> bool:
        """Whether its prompts leave the user's own network."""
        url = endpoint_url(self.spec)
        return bool(url) and not is_local(url)

    @property
    def terms(self) -> str:
        """What a person should know before it is asked; empty when a call costs nothing and stays local."""
        host = urlsplit(endpoint_url(self.spec)).hostname
        said = ["calls cost money"] if self.paid else []
        return ", ".join([*said, *([f"prompts are sent to {host} on the internet"] if self.remote else [])])


@dataclass(frozen=True, slots=True)
class Chain:
    """The ordered specs behind a role; the disabled ones are left out and named in `notes`."""

    role: str
    links: tuple[ChainLink, ...]
    notes: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    """Names of the disabled specs that come before the first of `links`: why that one is used first."""

    @property
    def opening(self) -> tuple[str, ...]:
        """What to announce about the choice before any spec is asked."""
        return tuple(f"{name} is disabled" for name in self.skipped)


def endpoint_of(spec: ModelSpec) -> str:
    """Name the server a spec talks to, so that roles on one server share its breaker and its slots."""
    if not (url := endpoint_url(spec)):
        path = str(spec.options.get("path", "")) if spec.provider == "gguf" else ""
        return f"{spec.provider}:{path or spec.model}"
    parts = urlsplit(url)
    host = {"localhost": "127.0.0.1", "::1": "127.0.0.1"}.get(parts.hostname or "", parts.hostname or "")
    return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def role_names(settings: Settings) -> tuple[str, ...]:
    """All roles: the known ones first, then those the user added, and the named models that serve tools."""
    added = [*(settings.llm.__pydantic_extra__ or {}), *(tool.role for tool in settings.tools.values())]
    extra = [name for name in dict.fromkeys(added) if name and name not in {*ROLES, EMBEDDED}]
    return (*ROLES, *extra)


def resolve_chain(llm: LLMSettings, role: str) -> Chain:
    """Follow aliases and fallbacks of a role; cycles are cut, `embedded` comes last.

    A role without configuration follows `primary`; without a `primary` it is served by `embedded`. After a spec
    without `fallback` comes what `USUAL_FALLBACK` sets for the role.

    Raises:
        ConfigError: The role, or a name it refers to, is unknown.
    """
    entries, role = llm.__pydantic_extra__ or {}, role_name(role)
    if role not in entries and role not in ROLES and role not in llm.models and role != EMBEDDED:
        raise ConfigError(
            f"unknown role {role!r}{did_you_mean(role, {*ROLES, *entries})}", hint="use one that `llm` configures"
        )
    off: dict[str, bool] = {}
    links: dict[str, ChainLink] = {}
    for link in _walk(llm, role, set()):
        if link.spec.enabled:
            links.setdefault(link.name, link)
        else:
            off.setdefault(link.name, not links)
    ordered = sorted(links.values(), key=lambda link: link.embedded)
    notes = tuple(f"{name} is disabled" for name in off)
    return Chain(role, tuple(ordered), notes, tuple(name for name, first in off.items() if first))


def _walk(llm: LLMSettings, name: str, seen: set[str], usual: tuple[str, ...] = ()) -> Iterator[ChainLink]:
    if name in seen:
        return
    seen.add(name)
    entry = _entry(llm, name)
    if ModelRole.PRIMARY in (llm.__pydantic_extra__ or {}):
        usual = usual or USUAL_FALLBACK.get(name, ())
    if isinstance(entry, str):
        yield from _walk(llm, entry, seen, usual)
        return
    yield ChainLink(_link_name(llm, name, entry), name, entry)
    if entry.fallback is None and entry.provider == EMBEDDED:
        # Whoever names the engine wants it, and it always answers.
        return
    for following in usual if entry.fallback is None else entry.fallback:
        yield from _walk(llm, following, seen)


def _entry(llm: LLMSettings, name: str) -> ModelSpec | str:
    if name == EMBEDDED:
        return EMBEDDED_SPEC
    entries = llm.__pydantic_extra__ or {}
    if name in entries:
        return entries[name]
    if name in llm.models:
        return llm.models[name]
    if name in ROLES:
        return "primary" if "primary" in entries and name != "primary" else EMBEDDED
    known = {*ROLES, *entries, *llm.models, EMBEDDED}
    raise ConfigError(f"llm: {name!r} is neither a role nor a named model{did_you_mean(name, known)}")


def _link_name(llm: LLMSettings, name: str, spec: ModelSpec) -> str:
    if spec.provider == EMBEDDED:
        return EMBEDDED
    model = model_name(spec)
    return name if name in llm.models else f"{name}:{model}" if model else name
