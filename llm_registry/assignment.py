"""The probe before a run: which endpoints answer, and therefore what serves each role.

Owns that decision, for display only: each call decides again.
"""

from collections.abc import Mapping

from core.artifacts import Served
from core.suggest import near_matches
from llm_registry.calls.model_cache import spec_address
from llm_registry.discovery.probe import probe_endpoints
from llm_registry.discovery.server_info import EndpointFacts
from llm_registry.endpoints.breaker import Breakers
from llm_registry.specs.role_chains import Chain, ChainLink


async def assign_roles(
    chains: Mapping[str, Chain], breakers: Breakers
) -> tuple[dict[str, EndpointFacts], dict[str, Served]]:
    """Probe every endpoint once, in parallel, and assign the roles.

    Args:
        chains: Role to chain.
        breakers: Closed for what answers.

    Returns:
        What the endpoints said, by name of spec, and what serves each role.
    """
    links = {link.name: link for chain in chains.values() for link in chain.links}
    found = await probe_endpoints([link.spec for link in links.values()])
    facts = dict(zip(links, found, strict=True))
    # Silence opens none: a probe waits less than other runs' calls do.
    answering = [link.endpoint for link in links.values() if not link.embedded and facts[link.name].reachable]
    for endpoint in dict.fromkeys(answering):
        await breakers.succeeded(endpoint)
    return facts, {role: _serve(chain, facts) for role, chain in chains.items()}


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
