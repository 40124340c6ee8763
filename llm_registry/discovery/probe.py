"""One quick probe of an endpoint: does it answer, what is it, what has it loaded. Caches and decides nothing.

Nothing here raises because of a server: a refused connection, a hang or an odd body becomes facts with an `error`.
"""

import asyncio
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

from core.config.settings import EMBEDDED, ModelSpec
from core.suggest import did_you_mean
from llm_registry.discovery import server_info
from llm_registry.discovery.server_info import EndpointFacts, EndpointProblem
from llm_registry.discovery.server_probe import ServerProbe
from llm_registry.gguf.header import trained_context
from llm_registry.gguf.server import is_gguf, options_of
from llm_registry.providers.catalog import provider_names
from llm_registry.specs.addresses import endpoint_url
from llm_registry.specs.optional_deps import install_command

DEADLINE_S = 0.9
"""Of a whole probe, so that a start with only dead endpoints stays under a second."""


async def probe_endpoints(specs: Sequence[ModelSpec], *, deadline_s: float = DEADLINE_S) -> list[EndpointFacts]:
    """Probe the endpoints of several specs in parallel, each endpoint only once. Same order as given."""
    groups: dict[tuple[str, ...], list[ModelSpec]] = {}
    for spec in specs:
        groups.setdefault(_endpoint_key(spec), []).append(spec)
    looks = await asyncio.gather(*(_look(group, deadline_s) for group in groups.values()))
    by_key = dict(zip(groups, looks, strict=True))
    return [by_key[_endpoint_key(spec)] for spec in specs]


def _endpoint_key(spec: ModelSpec) -> tuple[str, ...]:
    place = str(_gguf_path(spec)) if spec.provider == "gguf" else endpoint_url(spec)
    return spec.provider, place, spec.api_key, str(spec.options.get("headers"))


async def _look(group: Sequence[ModelSpec], deadline_s: float) -> EndpointFacts:
    spec = group[0]
    if spec.provider in {EMBEDDED, "scripted"}:
        server: server_info.ServerKind = "embedded" if spec.provider == EMBEDDED else "scripted"
        return EndpointFacts(reachable=True, connected=True, server=server, any_model=True)
    if spec.provider == "gguf":
        return await asyncio.to_thread(_gguf_facts, spec)
    if spec.provider not in provider_names():
        near = did_you_mean(spec.provider, provider_names())
        return EndpointFacts(reachable=False, error=f"unknown provider {spec.provider!r}{near}")
    if not endpoint_url(spec):
        return EndpointFacts(reachable=False, error="no base_url is configured")
    return await ServerProbe(spec, tuple(dict.fromkeys(one.model for one in group)), deadline_s).run()


def _gguf_path(spec: ModelSpec) -> Path:
    return Path(str(spec.options.get("path") or spec.model)).expanduser()


def _gguf_facts(spec: ModelSpec) -> EndpointFacts:
    path = _gguf_path(spec)
    error, problem = "", None
    if importlib.util.find_spec("xllamacpp") is None:
        problem = EndpointProblem.EXTRA_MISSING
        error = f"the extra `gguf` is not installed: {install_command('gguf')}"
    elif not path.is_file() or not os.access(path, os.R_OK):
        error = f"no readable file at {path}"
    elif not is_gguf(path):
        error = f"{path} is not a GGUF file"
    asked, trained = options_of(spec).ctx, None if error else trained_context(path)
    return EndpointFacts(
        reachable=not error,
        error=error,
        problem=problem,
        server="llama.cpp",
        models=(path.stem,),
        # The server gives no request more than the model was made for.
        windows={} if error else {path.stem: min(asked, trained or asked)},
        limits={path.stem: trained} if trained else {},
        any_model=True,
        responses_api=True,
    )
