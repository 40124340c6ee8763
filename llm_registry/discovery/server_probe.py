"""The requests sent to one endpoint within a deadline, and the bodies that came back in time.

Owns the requests; what the bodies mean is read in `server_info`. Nothing here raises because of a server.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

import httpx

from core.config.settings import ModelSpec
from core.known_secrets import spec_secrets
from core.redaction import redact
from llm_registry.discovery import server_info
from llm_registry.discovery.server_info import EndpointFacts, EndpointProblem
from llm_registry.failures.error_mapping import kind_from_message, server_message
from llm_registry.failures.errors import ErrorKind
from llm_registry.failures.redirects import is_redirect, origin_of, target_of
from llm_registry.specs.addresses import endpoint_url
from llm_registry.specs.network import is_local, trusted_certificates

_NO_SUCH_PATH = "unexpected endpoint"
_GRACE_S = 0.1
"""Grace after the deadlines of its phases before a request is cancelled from outside: only a trickling answer takes
that long."""
_CONNECTED = "send_request_headers.started"
"""What the client reports when connection and handshake are done."""


class _Complaint(NamedTuple):
    """Why a server that answers cannot be used as configured; empty when it can."""

    error: str
    problem: EndpointProblem | None = None
    suggested_url: str = ""


@dataclass(slots=True)
class ServerProbe:
    """The requests sent to one endpoint, and the bodies that came back in time."""

    spec: ModelSpec
    models: tuple[str, ...]
    deadline_s: float
    """For the answers. Connecting has the spec's own timeout: a slow handshake does not mean absence."""
    bodies: dict[str, Any] = field(default_factory=dict)
    status: int | None = None
    said: str = ""
    """The server's own message, when the deciding request was refused."""
    elsewhere: str = ""
    """Where the deciding request was redirected to."""
    responses_api: bool | None = None
    _began: float = field(default_factory=time.monotonic)
    _connecting_s: float = 0.0
    """How long the first connection took; further ones take about as long."""

    async def run(self) -> EndpointFacts:
        """Ask, and read what came."""
        base = endpoint_url(self.spec)
        try:
            client = self._client(base)
        except (httpx.InvalidURL, ValueError) as error:
            return EndpointFacts(reachable=False, error=f"{base!r} is not a usable URL: {error}")
        async with client:
            absent = await self._first(client, base)
            if absent is not None:
                return replace(absent, seconds=self._spent())
            await self._rest(client, base)
        return self._facts()

    def _client(self, base: str) -> httpx.AsyncClient:
        key, extra = self.spec.api_key, self.spec.options.get("headers")
        headers = {str(name): str(value) for name, value in extra.items()} if isinstance(extra, Mapping) else {}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        parts = urlsplit(base)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("it must start with http:// or https://")
        parts.port  # noqa: B018 - raises ValueError when out of range, where connecting would raise something wilder
        # Calls go through the proxy of the environment where there is one, and so must the look.
        trust = not is_local(base)
        # Building a TLS context takes longer than the whole look at a local server.
        verify = trusted_certificates() if parts.scheme == "https" else False
        return httpx.AsyncClient(headers=headers, trust_env=trust, verify=verify, follow_redirects=False)

    def _phases(self) -> httpx.Timeout:
        """Deadlines of one question. A handshake cut off from outside would leave its connection open behind it."""
        return httpx.Timeout(self._left(), connect=self._connect_s())

    def _connect_s(self) -> float:
        limit = self.spec.timeouts.connect
        if not self._connecting_s:
            return limit
        # With TLS the client allows this twice: for the connection, and for the handshake.
        return min(self._patience() * (0.45 if self._tls else 0.9), limit)

    def _patience(self) -> float:
        """Seconds for all questions after the first, which reconnect."""
        return self._left() + 2 * self._connecting_s

    @property
    def _tls(self) -> bool:
        return urlsplit(endpoint_url(self.spec)).scheme == "https"

    async def _first(self, client: httpx.AsyncClient, base: str) -> EndpointFacts | None:
        """Send the request that decides whether a server is there; returns facts only if more requests are
        pointless."""
        name, path = ("models", f"{base}/models")
        if self.spec.provider == "ollama":
            name, path = ("tags", f"{_root(base)}/api/tags")
        connect_s = self.spec.timeouts.connect
        try:
            async with asyncio.timeout(connect_s * (2 if self._tls else 1) + _GRACE_S) as cut:

                async def follow(event: str, _: Any) -> None:
                    if event.endswith(_CONNECTED):
                        self._connecting_s = time.monotonic() - self._began
                        cut.reschedule(asyncio.get_running_loop().time() + self.deadline_s + _GRACE_S)

                await self._ask(client, name, path, follow=follow)
        except (TimeoutError, httpx.ReadTimeout):
            return EndpointFacts(
                reachable=False, connected=True, error=f"connected, but no answer in {self.deadline_s:g} s"
            )
        except httpx.ConnectTimeout:
            return EndpointFacts(reachable=False, error=f"no connection in {connect_s:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            # Whatever it is that answers so at once, it is no busy model server.
            return _unreachable(error)
        return None

    async def _rest(self, client: httpx.AsyncClient, base: str) -> None:
        """Ask everything else in parallel; what has not answered by the deadline is left out."""
        questions = [asyncio.ensure_future(self._quiet(client, *one)) for one in self._questions(base)]
        if self._wants_responses(base):
            questions.append(asyncio.ensure_future(self._ask_responses(client, base)))
        if not questions:
            return
        try:
            await asyncio.wait(questions, timeout=self._patience() + _GRACE_S)
        finally:
            for question in questions:
                question.cancel()
            await asyncio.gather(*questions, return_exceptions=True)

    def _questions(self, base: str) -> Iterable[tuple[str, str, Mapping[str, str] | None]]:
        root = _root(base)
        if self.spec.provider == "ollama":
            yield "ps", f"{root}/api/ps", None
            yield from self._shows(root)
        elif self._is_openrouter():
            # Its list of models is open to everyone, so only this shows whether the key is good.
            yield "key", f"{base}/key", None
        elif "library" in server_info.model_owners(self.bodies):
            # Ollama behind its OpenAI-style door; its own one says more.
            yield "tags", f"{root}/api/tags", None
            yield "ps", f"{root}/api/ps", None
            yield from self._shows(root)
        else:
            yield "props", f"{root}/props", None
            yield "slots", f"{root}/slots", None
            yield "lmstudio", f"{root}/api/v0/models", None
            yield "lmstudio1", f"{root}/api/v1/models", None
            yield "webui", f"{root}/v1/internal/model/info", None
            yield "litellm", f"{root}/model/info", None

    def _shows(self, root: str) -> Iterable[tuple[str, str, Mapping[str, str]]]:
        for model in self.models:
            if model:
                yield f"show:{model}", f"{root}/api/show", {"model": model}

    def _wants_responses(self, base: str) -> bool:
        native = self.spec.provider == "ollama" and not base.endswith("/v1")
        return self.spec.api != "chat" and not native and not self._is_openrouter() and self.status not in {401, 403}

    def _is_openrouter(self) -> bool:
        return self.spec.provider == "openrouter" or urlsplit(endpoint_url(self.spec)).hostname == "openrouter.ai"

    async def _quiet(self, client: httpx.AsyncClient, name: str, url: str, body: Mapping[str, str] | None) -> None:
        try:
            await self._ask(client, name, url, body=body)
        except (httpx.HTTPError, httpx.InvalidURL, OSError):
            # An optional question: a server that drops it has told us all we need.
            self.bodies.pop(name, None)

    async def _ask(
        self, client: httpx.AsyncClient, name: str, url: str, *, body: Mapping[str, str] | None = None,
        follow: Callable[[str, Any], Awaitable[None]] | None = None,
    ) -> None:  # fmt: skip
        phases, watched = self._phases(), {"trace": follow} if follow else None
        method = "GET" if body is None else "POST"
        reply = await client.request(method, url, json=body, timeout=phases, extensions=watched)
        if self.status is None or (name == "key" and reply.status_code == 401):
            self.status, self.said = reply.status_code, _said(reply, spec_secrets(self.spec))
            self.elsewhere = self._target(url, reply) if is_redirect(reply.status_code) else ""
        if reply.status_code != 200:
            return
        try:
            parsed = reply.json()
        except (ValueError, RecursionError):
            return
        if not (isinstance(parsed, dict) and set(parsed) == {"error"}):
            self.bodies[name] = parsed

    async def _ask_responses(self, client: httpx.AsyncClient, base: str) -> None:
        """Send a request without input: a server that knows the path complains about the request, not the path."""
        try:
            reply = await client.post(f"{base}/responses", json={}, timeout=self._phases())
        except (httpx.HTTPError, httpx.InvalidURL, OSError):
            return
        text = reply.text[:500].lower()
        if reply.status_code in {401, 402, 403, 429, 502, 503, 504}:
            return
        missing = reply.status_code in {404, 405, 501} and "model" not in text
        self.responses_api = not (missing or _NO_SUCH_PATH in text)

    def _target(self, url: str, reply: httpx.Response) -> str:
        """The `base_url` that a redirect implies. What it says about another server's paths is unreliable."""
        location = reply.headers.get("location", "")
        if (origin := target_of(url, location)) != origin_of(url):
            return f"{origin}{urlsplit(endpoint_url(self.spec)).path}"
        path = urlsplit(urljoin(url, location)).path.removesuffix("/api/tags").removesuffix("/models")
        return origin + redact(path, spec_secrets(self.spec))

    def _facts(self) -> EndpointFacts:
        kind: server_info.ServerKind = "openrouter" if self._is_openrouter() else server_info.server_kind(self.bodies)
        single = kind == "text-generation-webui" or (kind == "llama.cpp" and not server_info.is_router(self.bodies))
        return EndpointFacts(
            reachable=True,
            connected=True,
            **self._complaint()._asdict(),
            uncertain=self.status == 500,
            server=kind,
            models=server_info.model_names(self.bodies),
            windows=server_info.model_windows(self.bodies),
            limits=server_info.model_limits(self.bodies),
            tools=server_info.tool_support(self.bodies),
            responses_api=self.responses_api,
            misplaced=self._is_misplaced(),
            any_model=single,
            seconds=self._spent(),
        )

    def _is_misplaced(self) -> bool:
        known = bool(server_info.model_names(self.bodies)) or "tags" in self.bodies
        refused = self.status in {401, 402, 403, 429} or kind_from_message(self.said) is ErrorKind.AUTH
        return not known and not refused and self.status is not None and self.status < 500

    def _complaint(self) -> _Complaint:
        left = server_info.credit_left(self.bodies)
        if self.status in {401, 403}:
            return _Complaint(f"the key was refused (HTTP {self.status})", EndpointProblem.KEY_REFUSED)
        if kind_from_message(self.said) is ErrorKind.AUTH:
            return _Complaint(f"the key was refused (HTTP {self.status}{self.said})", EndpointProblem.KEY_REFUSED)
        if left is not None and left <= 0:
            return _Complaint("the key has no credit left", EndpointProblem.NO_CREDIT)
        if self.status == 200:
            return _Complaint(self._emptiness())
        if self.status is not None and self.status >= 500:
            # LiteLLM without a database answers so to whoever sends no key.
            advice = "" if self.spec.api_key else "; or it needs an api_key"
            return _Complaint(f"the server reports an error (HTTP {self.status}{self.said}){advice}")
        return self._misplaced()

    def _misplaced(self) -> _Complaint:
        if self.elsewhere:
            said = f"the address redirects (HTTP {self.status}); redirects are never followed"
            said = f"{said}; did you mean {self.elsewhere}? Keys are sent only to `base_url`"
            return _Complaint(said, suggested_url=self.elsewhere)
        base = endpoint_url(self.spec)
        said = f"no list of models at this address (HTTP {self.status}{self.said})"
        if urlsplit(base).path:
            return _Complaint(f"{said}; is the path right?")
        return _Complaint(f"{said}; did you mean {base}/v1?", suggested_url=f"{base}/v1")

    def _emptiness(self) -> str:
        if server_info.model_names(self.bodies):
            return ""
        if "tags" in self.bodies:
            return "this Ollama has no models yet: run `ollama pull`"
        return "the answer lists no model; is this a model server?"

    def _left(self) -> float:
        return max(self.deadline_s + self._connecting_s - self._spent(), 0.01)

    def _spent(self) -> float:
        return time.monotonic() - self._began


def _said(reply: httpx.Response, secrets: Iterable[str]) -> str:
    """The message of a refusal, as `: message`; empty when there is none worth showing."""
    if reply.status_code == 200:
        return ""
    try:
        body = reply.json()
        words = server_message(body)
    except (ValueError, RecursionError):
        return ""
    return f": {redact(words, secrets)[:120]}" if words else ""


def _root(base: str) -> str:
    return base.removesuffix("/v1")


def _unreachable(error: Exception) -> EndpointFacts:
    """What an immediately failed connection says about the endpoint."""
    problem = None
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, httpx.ConnectError):
        text = str(error).lower()
        names = ("name or service", "nodename", "name resolution", "getaddrinfo", "no address")
        if "certificate_verify_failed" in text:
            problem = EndpointProblem.UNTRUSTED_CERTIFICATE
            said = f"its certificate is not trusted: {text.partition('verify failed: ')[2].partition(' (_ssl')[0]}"
        elif "[ssl" in text:
            said = "the port answers, but not with TLS; should it be http:// instead of https://?"
        elif any(part in text for part in names):
            said = "the host name is unknown"
        else:
            problem, said = EndpointProblem.NOTHING_LISTENS, "nothing is listening there"
    elif isinstance(error, httpx.RemoteProtocolError):
        said = "the port answers, but not with HTTP"
    return EndpointFacts(reachable=False, error=said, problem=problem)
