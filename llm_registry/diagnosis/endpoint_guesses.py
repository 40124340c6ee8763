"""Addresses a person may have meant: another scheme, path or protocol on the same host. Checks whether they answer.

Owns only the guesses; `advice` decides what is proposed to the user.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from core.config.settings import ModelSpec
from llm_registry.discovery.probe import probe_endpoints
from llm_registry.discovery.server_info import EndpointFacts, EndpointProblem
from llm_registry.failures.redirects import same_origin
from llm_registry.specs.addresses import DEFAULT_URLS, endpoint_url

_TAILS = ("/v1", "", "/api/v1", "/openai/v1")
"""Path suffixes under which servers offer the OpenAI protocol."""
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_MOST = 24


@dataclass(frozen=True, slots=True)
class FoundServer:
    """A model server that answers, whether configured or not."""

    url: str
    facts: EndpointFacts

    @property
    def provider(self) -> str:
        """The provider that speaks to it."""
        native = self.facts.server == "ollama" and not self.url.endswith("/v1")
        return "ollama" if native else "openai_compatible"

    def first_model(self) -> str:
        """The first model that looks like a chat model; empty when it lists none."""
        able = [name for name in self.facts.models if "embed" not in name.casefold()]
        return next(iter([*able, *self.facts.models]), "")

    def as_override(self) -> str:
        """The same as `--model ROLE=` accepts it."""
        place = "" if self.url == DEFAULT_URLS.get(self.provider) else f"@{self.url}"
        return f"{self.provider}:{self.first_model()}{place}"

    def as_spec(self) -> dict[str, str]:
        """The spec that would use it."""
        return {"provider": self.provider, "model": self.first_model(), "base_url": self.url}


async def find_nearby(spec: ModelSpec, facts: EndpointFacts, *, deadline_s: float) -> FoundServer | None:
    """Look for the server that a wrong address means.

    Args:
        spec: What is configured.
        facts: What probing it found.
        deadline_s: Seconds for all guesses together, which are asked at the same time.

    Returns:
        The closest one that lists models, preferring one that has the wanted model; `None` when none answers,
        or when the address is not what is wrong.
    """
    # A key, a credit or a busy server is no matter of the address.
    if not facts.misplaced and (facts.reachable or facts.connected):
        return None
    guesses = list(_guesses(spec, facts))[:_MOST]
    looks = await probe_endpoints(guesses, deadline_s=deadline_s)
    answering = [
        FoundServer(endpoint_url(guess), look)
        for guess, look in zip(guesses, looks, strict=True)
        if look.models and not look.error
    ]
    having = [one for one in answering if one.facts.offers(spec.model)]
    return next(iter([*having, *answering]), None)


def _guesses(spec: ModelSpec, facts: EndpointFacts) -> Iterator[ModelSpec]:
    given = endpoint_url(spec)
    seen = {(spec.provider, given)}
    # The same protocol is nearer than the same path.
    for provider, url in sorted(_addresses(given, facts), key=lambda one: one[0] != spec.provider):
        if (provider, url) not in seen:
            seen.add((provider, url))
            # Keys are for the server that their owner named: this scheme, host and port, and no other.
            bare = {} if same_origin(url, given) else {"api_key": "", "options": {}}
            yield spec.model_copy(update={"provider": provider, "base_url": url, "api": "chat", **bare})


def _addresses(given: str, facts: EndpointFacts) -> Iterator[tuple[str, str]]:
    if same_origin(facts.suggested_url, given):
        yield "openai_compatible", facts.suggested_url
    other_scheme = not facts.reachable and facts.problem is not EndpointProblem.NOTHING_LISTENS
    origins = list(_origins(given, other_scheme=other_scheme))
    for origin in origins:
        for tail in _TAILS:
            for head in _heads(given):
                yield "openai_compatible", origin + head + tail
        yield "ollama", origin


def _origins(given: str, *, other_scheme: bool) -> Iterator[str]:
    """Schemes and hosts, the nearest first."""
    parts = urlsplit(given)
    schemes = [parts.scheme]
    if other_scheme:
        schemes.append("http" if parts.scheme == "https" else "https")
    name = parts.netloc.rpartition("@")[2]
    host, colon, port = name.rpartition(":") if not name.endswith("]") else (name, "", "")
    hosts = [name]
    if (host or port) in _LOOPBACK:
        hosts += [f"{other}{colon}{port}" for other in _LOOPBACK if other != host]
    if not name or (port and not (port.isdecimal() and int(port) < 65536)):
        return
    for each in hosts:
        for scheme in schemes:
            yield urlunsplit((scheme, each, "", "", ""))


def _heads(given: str) -> Sequence[str]:
    """The path and its prefixes, longest first, without the part that names a protocol."""
    parts = [part for part in urlsplit(given).path.split("/") if part]
    heads = ["".join(f"/{part}" for part in parts[:count]) for count in range(len(parts), -1, -1)]
    kept = [head for head in heads if not head.endswith(("/v1", "/models", "/chat", "/completions", "/generate"))]
    return list(dict.fromkeys(kept))
