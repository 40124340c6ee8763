"""The first contact with an endpoint: a bare connection before anything is sent, shared by all callers.

Owns that test. Three roles on one dead server thus pay its connect timeout once, not three times, and a server
that may be back is tested before a long prompt is sent to it.
"""

import asyncio
import socket
from contextlib import suppress
from urllib.parse import urlsplit

from llm_registry.endpoints.breaker import Breakers, BreakerState
from llm_registry.failures.errors import CallFailure, ErrorKind
from llm_registry.specs.addresses import endpoint_url
from llm_registry.specs.network import is_local
from llm_registry.specs.role_chains import ChainLink


class BreakerOpen(CallFailure):
    """The breaker of an endpoint is open.

    Args:
        gate: The state of the breaker.
    """

    def __init__(self, gate: BreakerState) -> None:
        said = f"{gate.reason} (next retry in {max(gate.wait_s, 1):.0f} s)"
        super().__init__(ErrorKind.OVERLOADED, said, blocked=True)
        self.cause = gate.kind or self.kind
        self.busy = gate.kind is ErrorKind.OVERLOADED
        """Its server answers but is busy: waiting helps."""


class Preflight:
    """Tests connections to endpoints.

    Args:
        breakers: Asked first, and told when no server is there.
    """

    def __init__(self, breakers: Breakers) -> None:
        self._breakers = breakers
        self._met: set[str] = set()
        self._locks: dict[str, asyncio.Lock] = {}

    async def enter(self, link: ChainLink) -> BreakerState:
        """Get permission to call an endpoint.

        Raises:
            CallFailure: Its breaker is open, or no server is there.
        """
        async with self._locks.setdefault(link.endpoint, asyncio.Lock()):
            gate = await self._breakers.enter(link.endpoint)
            if gate.state == "open":
                raise BreakerOpen(gate)
            if gate.state == "half_open" or link.endpoint not in self._met:
                await self._knock(link, gate)
            return gate

    def forget(self, endpoint: str) -> None:
        """Test the connection again before the next call."""
        self._met.discard(endpoint)

    async def _knock(self, link: ChainLink, gate: BreakerState) -> None:
        url = urlsplit(endpoint_url(link.spec))
        # A server behind a proxy of the environment is reached through that, which only its client knows how to do.
        if url.hostname and is_local(url.geturl()):
            try:
                await _connect(url.hostname, url.port or (443 if url.scheme == "https" else 80), link)
            except CallFailure as failure:
                await self._breakers.failed(link.endpoint, failure)
                raise
            except BaseException:
                if gate.state == "half_open":
                    # Cancelled before it learnt anything: the next one may try.
                    await asyncio.shield(self._breakers.end_trial(link.endpoint))
                raise
        self._met.add(link.endpoint)


async def _connect(host: str, port: int, link: ChainLink) -> None:
    limit = link.spec.timeouts.connect
    try:
        async with asyncio.timeout(limit):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError as error:
        raise CallFailure(
            ErrorKind.CONNECT_TIMEOUT, f"{host}:{port} accepted no connection within {limit:g} s"
        ) from error
    except socket.gaierror as error:
        raise CallFailure(ErrorKind.DNS, f"the host name {host!r} is unknown") from error
    except OSError as error:
        raise CallFailure(ErrorKind.REFUSED, f"nothing is listening on {host}:{port}") from error
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
