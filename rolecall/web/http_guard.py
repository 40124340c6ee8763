"""The guard of every HTTP server rolecall opens: which requests are admitted, before anything behind it is called.

A page in the user's browser can send requests to servers on this machine. So a request must name this server as its
host (a name that was rebound to 127.0.0.1 does not), come from no other site than those allowed, carry the token of
this server, and bring JSON if it brings anything. Plain ASGI: it needs no web framework.
"""

import json
import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any
from urllib.parse import urlsplit

AsgiScope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[AsgiScope, Receive, Send], Awaitable[None]]

LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
OPEN_PATHS = frozenset({"/ok"})
"""Answered without the token: whether the server is up is not a secret."""
INTERNAL = "/noauth"
"""Root path of calls the server makes to itself in memory; no network request can have it."""
_TOKEN_PATH = re.compile(r"^/t/([\w\-]+)(/.*|)$")
_BEARER = re.compile(r"^bearer\s+(\S+)$", re.IGNORECASE)
_TOKEN_HEADERS = frozenset({b"authorization", b"x-api-key"})
_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})


def new_token() -> str:
    """A token no one can guess: 192 bits, URL-safe."""
    return secrets.token_urlsafe(24)


def client_url(address: str, token: str) -> str:
    """The address to give to a client: it contains the token in its path, which every client preserves."""
    return f"{address.rstrip('/')}/t/{token}"


class HttpGuard:
    """ASGI middleware that admits allowed requests and answers all others itself.

    The token comes in the path (`/t/TOKEN/…`), as `Authorization: Bearer TOKEN`, or as `x-api-key: TOKEN`; the
    guarded app sees none of them.

    Args:
        app: The guarded application.
        token: The token of this server.
        origins: Web origins besides the server's own whose pages are admitted, as `https://host`.
        hosts: Host names this server answers to, without the port.
    """

    def __init__(
        self, app: App, *, token: str, origins: Sequence[str] = (), hosts: Sequence[str] = tuple(LOCAL_HOSTS)
    ) -> None:
        self._app = app
        self._token = token
        self._origins = frozenset(origins)
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] not in {"http", "websocket"} or scope.get("root_path") == INTERNAL:
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal[1]})
        else:
            await _answer(send, *refusal)

    def _refusal(self, scope: AsgiScope) -> tuple[int, str] | None:
        """Status and reason for a rejected request; removes the token from an admitted one."""
        headers = _headers(scope)
        return self._wrong_sender(headers) or self._wrong_request(scope, headers)

    def _wrong_sender(self, headers: dict[str, str]) -> tuple[int, str] | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if re.sub(r":\d+$", "", host) not in self._hosts:
            return 421, "this server only answers requests to its own address on this machine"
        told = headers.get("sec-fetch-site", "none") in {"none", "same-origin"}
        if not (told if origin is None else self._is_allowed(origin, host)):
            return 403, "pages from other sites may not use this server"
        return None

    def _wrong_request(self, scope: AsgiScope, headers: dict[str, str]) -> tuple[int, str] | None:
        method = scope.get("method", "GET")
        # A browser asks beforehand without a key, and is told no more than what it may ask.
        is_open = scope["path"] in OPEN_PATHS or (method == "OPTIONS" and "access-control-request-method" in headers)
        if not self._take_token(scope, headers) and not is_open:
            return 401, "the server token is missing or wrong; use the address that rolecall printed, which contains it"
        if method not in _WITHOUT_BODY and _has_body(headers) and not _is_json(headers.get("content-type", "")):
            return 415, "this server accepts only application/json"
        return None

    def _is_allowed(self, origin: str, host: str) -> bool:
        return origin in self._origins or (urlsplit(origin).scheme == "http" and urlsplit(origin).netloc == host)

    def _take_token(self, scope: AsgiScope, headers: dict[str, str]) -> bool:
        found = _TOKEN_PATH.match(scope["path"])
        bearer = _BEARER.match(headers.get("authorization", ""))
        given = [match.group(1) for match in (found, bearer) if match] + [headers.get("x-api-key", "")]
        if not any(secrets.compare_digest(one.encode(), self._token.encode()) for one in given):
            return False
        if found:
            _set_path(scope, found.group(2) or "/")
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name.lower() not in _TOKEN_HEADERS]
        return True


def _headers(scope: AsgiScope) -> dict[str, str]:
    """The headers by lower-case name; duplicates are joined, so that neither hides the other."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        found[key] = f"{found[key]}, {value.decode('latin-1')}" if key in found else value.decode("latin-1")
    return found


def _has_body(headers: dict[str, str]) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/json"


def _set_path(scope: AsgiScope, path: str) -> None:
    raw = bytes(scope.get("raw_path") or b"")
    cut = _TOKEN_PATH.match(raw.decode("latin-1"))
    scope["path"] = path
    scope["raw_path"] = (cut.group(2) or "/").encode("latin-1") if cut else path.encode()


async def _answer(send: Send, status: int, reason: str) -> None:
    body = json.dumps({"detail": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
