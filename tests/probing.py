"""A look at the endpoint of a single spec."""

from core.config.settings import ModelSpec
from llm_registry.discovery.probe import DEADLINE_S, probe_endpoints
from llm_registry.discovery.server_info import EndpointFacts


async def probe_endpoint(spec: ModelSpec, *, deadline_s: float = DEADLINE_S) -> EndpointFacts:
    return (await probe_endpoints([spec], deadline_s=deadline_s))[0]
