"""The probe before a run: which endpoints answer, and therefore what serves each role.

Owns that decision, for display only: each call decides again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core.artifacts import Served
from core.suggest import near_matches
from llm_registry.calls.model_cache import spec_address
from llm_registry.discovery.probe import probe_endpoints
from llm_registry.discovery.server_info import EndpointFacts
from llm_registry.endpoints.breaker import Breakers
from llm_registry.specs.role_chains import Chain, ChainLink


@dataclass(frozen=True, slots=True)
class RoleAssignments:
    """What was found."""

    facts: Mapping[str, EndpointFacts]
    """By name of spec."""
    served: Mapping[str, Served]


async def assign_roles(chains: Mapping[str, Chain], breakers: Breakers) -> RoleAssignments:
    """Probe every endpoint once, in parallel, and assign the roles.

    Args:
        chains: Role to chain.
        breakers: Closed for what answers.
    """
    links = {link.name: link for chain in chains.values() for link in chain.links}
    found = await probe_endpoints([link.spec for link in links.values()])
    facts = dict(zip(links, found, strict=True))
    await _close_breakers(links.values(), facts, breakers)
    return RoleAssignments(facts, {role: _serve(chain, facts) for role, chain in chains.items()})


async def _close_breakers(links: Iterable[ChainLink], facts: Mapping[str, EndpointFacts], breakers: Breakers) -> None:
    """Close those of endpoints that answer. Silence opens none: a probe waits less long than other runs' calls."""
    answering = dict.fromkeys(link.endpoint for link in links if not link.embedded and facts[link.name].reachable)
    for endpoint in answering:
        await breakers.succeeded(endpoint)


def _serve(chain: Chain, facts: Mapping[str, EndpointFacts]) -> Served:
    passed = list(chain.opening)
    for link in chain.links:
        obstacle = why_unavailable(link, facts[link.name])
        if obstacle is None:
            return Served(role=chain.role, spec=link.name, reason="; ".join(passed) or "first choice")
        passed.append(f"{link.name}: {obstacle}")
    return Served(
        role=chain.role, spec="", reason="; ".join(dict.fromkeys([*passed, *chain.notes])) or "nothing is configured"
    )


def why_unavailable(link: ChainLink, facts: EndpointFacts) -> str | None:
    """Why a spec cannot serve now, `None` when it can."""
    if not facts.reachable:
        if facts.connected:
            # Busy is not away: a model that reads a long prompt lets a quick question wait.
            return None
        return f"{facts.error or 'does not answer'} ({spec_address(link.spec)})"
    if facts.error and not facts.uncertain:
        return facts.error
    if facts.offers(link.spec.model) is False:
        near = near_matches(link.spec.model, facts.models)
        shown = ", ".join(near or facts.models[:5])
        return f"{spec_address(link.spec)} offers no model {link.spec.model!r}; it has {shown}"
    return None
