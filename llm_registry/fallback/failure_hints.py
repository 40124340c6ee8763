"""What to do when a chain is exhausted, based on what happened to its specs. Asks no server and changes nothing."""

from collections.abc import Iterable, Mapping

from core.suggest import near_matches
from llm_registry.calls.model_cache import spec_address
from llm_registry.discovery.server_info import EndpointFacts
from llm_registry.failures.errors import ErrorKind
from llm_registry.specs.addresses import model_name
from llm_registry.specs.role_chains import ChainLink

_MOST = 2
"""How many actions one hint names; the next ones follow once these are done."""
_DOCTOR = "`rolecall doctor` names the line to change"
_SPARE = "or add a spec or `embedded` to the role's `fallback`"


def failure_hint(
    troubles: Iterable[tuple[ChainLink, ErrorKind]], disabled: Iterable[str], facts: Mapping[str, EndpointFacts],
    *, spare: bool,
) -> str:  # fmt: skip
    """What to do; empty when nothing went wrong before the embedded engine was asked.

    Args:
        troubles: What kept each spec from serving, in the order of the chain.
        disabled: Names of specs that the configuration leaves out.
        facts: What the servers said about themselves, by spec name.
        spare: Whether another model could be added to the chain to stand in.
    """
    done = [_remedy(link, kind, facts.get(link.name)) for link, kind in troubles]
    done += [f'set `"enabled": true` for `{name}`' for name in disabled]
    named = list(dict.fromkeys(done))[:_MOST]
    if spare:
        named = [*(named or ["start a model server"]), _SPARE]
    return f"{', '.join(named)}; {_DOCTOR}" if named else ""


_AWAY = "start the server at {address}, if the `base_url` of `{origin}` is correct"
_BUSY = "wait until the server at {address} is less busy"
_WEAK = "give `{origin}` a model that writes tool calls and JSON more reliably than {model}"
_LOG = "check the log of the server at {address}"
_REMEDIES = {
    ErrorKind.REFUSED: "start the server at {address}",
    ErrorKind.DNS: _AWAY,
    ErrorKind.CONNECT_TIMEOUT: _AWAY,
    ErrorKind.AUTH: "the server at {address} refused the key: give {key} as `api_key` of `{origin}`",
    ErrorKind.QUOTA: "add credit to the key of `{origin}`",
    ErrorKind.UNKNOWN_MODEL: "set a `model` for `{origin}` other than {model!r}, which {address} lacks{has}",
    ErrorKind.NO_ENDPOINT: "correct the `base_url` of `{origin}`: {address} is not the address of a model server",
    ErrorKind.REDIRECTED: "set `base_url` of `{origin}` to where {address} redirects, if the key may be sent there",
    ErrorKind.CONTEXT: "load {model} with a larger window",
    ErrorKind.BAD_OUTPUT: _WEAK,
    ErrorKind.UNSUPPORTED: _WEAK,
    ErrorKind.RATE_LIMITED: _BUSY,
    ErrorKind.OVERLOADED: _BUSY,
}


def _remedy(link: ChainLink, kind: ErrorKind, seen: EndpointFacts | None) -> str:
    models = seen.models if seen else ()
    shown = ", ".join(near_matches(link.spec.model, models) or models[:8])
    return _REMEDIES.get(kind, _LOG).format(
        address=spec_address(link.spec),
        origin=link.origin,
        model=model_name(link.spec),
        key="another one" if link.spec.api_key else "the one it asks for",
        has=f" (it has {shown})" if shown else "",
    )
