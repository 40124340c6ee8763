"""Reads `--model ROLE=SPEC`: another role, a named model, or `provider:model[@url]`.

Asks no server unless a name is unknown: then it asks the configured ones what they offer.
"""

from collections.abc import Mapping, Sequence

from core.config.settings import EMBEDDED, ROLES, LLMSettings, ModelSpec, Settings, role_name
from core.config.validation import alias_cycle
from core.errors import UsageError
from core.suggest import did_you_mean, near_matches
from llm_registry.calls.model_cache import spec_address
from llm_registry.discovery.probe import probe_endpoints
from llm_registry.discovery.server_info import EndpointFacts
from llm_registry.providers.catalog import provider_names
from llm_registry.specs.address_keys import fill_references, redact_spec
from llm_registry.specs.addresses import endpoint_url
from llm_registry.specs.role_chains import Chain, role_names

_OF_THE_SERVER = frozenset({"headers", "keep_alive", "threads", "slots", "idle_s", "start_s"})
"""Options that suit any model of a server."""


class UnknownModelError(UsageError):
    """A name that is not a role, a named model or `provider:model`."""


async def checked_overrides(settings: Settings, models: Mapping[str, str]) -> Settings:
    """`with_overrides` for a person at the command line: an error lists what the configured servers offer.

    Raises:
        UsageError: As there.
    """
    try:
        return with_overrides(settings, models)
    except UnknownModelError:
        return with_overrides(settings, models, await _offered(settings.llm))


async def _offered(llm: LLMSettings) -> list[str]:
    """Models of the configured servers, as `--model` accepts them."""
    entries = [*(llm.__pydantic_extra__ or {}).values(), *llm.models.values()]
    specs = [spec for spec in entries if isinstance(spec, ModelSpec) and spec.enabled]
    found = zip(specs, await probe_endpoints(specs), strict=True)
    return list(dict.fromkeys(f"{spec.provider}:{model}" for spec, facts in found for model in facts.models))


def _meant(wanted: str, offered: Sequence[str]) -> str:
    """Offered models that resemble a name given without its provider."""
    by_model = {name.partition(":")[2]: name for name in offered}
    near = near_matches(wanted, by_model)
    return f"; did you mean {' or '.join(f'`{by_model[name]}`' for name in near)}?" if near else ""


def with_overrides(settings: Settings, models: Mapping[str, str], offered: Sequence[str] = ()) -> Settings:
    """Return settings in which some roles are served by other specs.

    Args:
        settings: As configured.
        models: Role to spec, as given on the command line.
        offered: What the configured servers have, for the error.

    Raises:
        UsageError: A role, a model or a provider is unknown; near matches are named.
    """
    if not models:
        return settings
    entries = dict(settings.llm.__pydantic_extra__ or {})
    for role, wanted in ((role_name(role), role_name(wanted)) for role, wanted in models.items()):
        known = role_names(settings)
        if role not in known:
            raise UsageError(f"--model {role}={redact_spec(wanted)}: unknown role{did_you_mean(role, known)}",
                             hint=f"the roles are {', '.join(known)}")  # fmt: skip
        entries[role] = _read(settings.llm, role, wanted, offered)
    llm = LLMSettings(models=settings.llm.models, **entries)
    if circle := alias_cycle(llm):
        given = " ".join(f"--model {role}={redact_spec(wanted)}" for role, wanted in models.items())
        raise UsageError(
            f"{given}: the roles only refer to each other: {' -> '.join(circle)}", hint="give one of them a model"
        )
    return settings.model_copy(update={"llm": llm})


def check_models_offered(
    models: Mapping[str, str], chains: Mapping[str, Chain], facts: Mapping[str, EndpointFacts]
) -> None:
    """Refuse a model given for this run that its server does not have.

    Args:
        models: Role to spec, as given on the command line.
        chains: Role to chain.
        facts: What the servers said, by name of spec.

    Raises:
        UsageError: Lists what the server offers, near matches first.
    """
    for role, wanted in models.items():
        link = next(iter(chains[role_name(role)].links), None)
        seen = facts.get(link.name) if link else None
        if link is None or seen is None or seen.offers(link.spec.model) is not False:
            continue
        near = did_you_mean(link.spec.model, seen.models)
        raise UsageError(
            f"--model {role}={redact_spec(wanted)}: "
            f"{spec_address(link.spec)} offers no model {link.spec.model!r}{near}",
            hint=f"it offers {', '.join(seen.models[:20])}",
        )


def _read(llm: LLMSettings, role: str, wanted: str, offered: Sequence[str]) -> ModelSpec | str:
    entries = llm.__pydantic_extra__ or {}
    if wanted != role and (wanted in llm.models or wanted in entries or wanted in (*ROLES, EMBEDDED)):
        return wanted
    provider, colon, rest = wanted.partition(":")
    if not colon or provider not in provider_names():
        names = {*llm.models, *entries, EMBEDDED, *(f"{name}:" for name in provider_names())}
        near = did_you_mean(wanted if not colon else provider, names) or _meant(wanted, offered)
        also = f"; the configured servers offer {', '.join(offered[:20])}" if offered else ""
        raise UnknownModelError(
            f"--model {role}={redact_spec(wanted)}: unknown model{near}",
            hint=f"give a named model, a role, `embedded`, or PROVIDER:MODEL[@URL]{also}",
        )
    # A file may have any name, and is served here.
    model, _, url = (rest, "", "") if provider == "gguf" else rest.partition("@")
    if url and "://" not in fill_references(role, url):
        raise UsageError(
            f"--model {role}={redact_spec(wanted)}: its address has no scheme", hint="start it with http:// or https://"
        )
    own = entries.get(role)
    fallback = own.fallback if isinstance(own, ModelSpec) else None
    given = ModelSpec(provider=provider, model=model, base_url=fill_references(role, url), fallback=fallback)
    like = _configured(llm, given, own)
    return given if like is None else _beside(like, given)


def _configured(llm: LLMSettings, given: ModelSpec, own: ModelSpec | str | None) -> ModelSpec | None:
    """A configured spec of this provider and address; enabled ones, this model's and the role's own first."""
    entries = [own, *(llm.__pydantic_extra__ or {}).values(), *llm.models.values()]
    alike = [one for one in entries if isinstance(one, ModelSpec) and one.provider == given.provider]
    if given.base_url:
        alike = [one for one in alike if endpoint_url(one) == endpoint_url(given)]
    return min(alike, key=lambda one: (not one.enabled, one.model != given.model), default=None)


def _beside(like: ModelSpec, given: ModelSpec) -> ModelSpec:
    """Another model on a configured server: the server's settings are kept, the old model's are not."""
    if like.model == given.model and given.provider != "gguf":
        return like.model_copy(update={"fallback": given.fallback, "enabled": True})
    kept = ("base_url", "api_key", "timeouts", "max_concurrency", "api")
    options = {name: value for name, value in like.options.items() if name in _OF_THE_SERVER}
    return given.model_copy(update={name: getattr(like, name) for name in kept} | {"options": options})
