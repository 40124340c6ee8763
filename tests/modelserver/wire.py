"""Puts a rendered reply on the connection, or breaks the connection the way a fault says.

Owns bytes, timing and sockets. It does not know what the bytes mean.
"""

import asyncio
import json
import socket
import struct
from collections.abc import Iterator

from aiohttp import web

from tests.modelserver.faults import REFUSALS, Fault
from tests.modelserver.frames import Frame, Kind, Rendered
from tests.modelserver.reply import Reply
from tests.modelserver.request import Method, ModelRequest

FOREVER = 3600.0
"""Seconds a hang lasts; the client's deadline or the end of the server comes first."""

PROXY_LINE = b"proxy error: Failed to read connection\n"
LOGIN_PAGE = "<!doctype html><html><title>Sign in</title><body>Please sign in.</body></html>"
STREAM_ERROR = {"error": {"message": "the backend died while answering", "code": 500}}
PATIENCE = 1.0
"""Seconds before the first token of a slow server, unless the reply says otherwise."""


class HangupError(ConnectionError):
    """The connection was broken on purpose; nothing more can be sent."""


def refusal(reply: Reply, request: ModelRequest) -> web.Response | None:
    """Return the HTTP error this reply is, if it is one."""
    ollama = request.path.startswith("/api")
    if reply.status >= 400:
        error = f"scripted status {reply.status}"
        usual = {"error": error if ollama else {"message": error, "code": reply.status}}
        body = json.dumps(usual) if reply.body is None else reply.body
        return _response(reply.status, body, dict(reply.headers))
    known = REFUSALS.get(reply.fault) if reply.fault else None
    if known is None or not _applies(reply.fault, request):
        return None
    headers = {**known.headers, **reply.headers}
    return _response(known.status, known.text(ollama=ollama), headers, known.content_type)


def _applies(fault: Fault | None, request: ModelRequest) -> bool:
    if fault is Fault.NO_RESPONSE_FORMAT:
        return request.method in {Method.JSON_SCHEMA, Method.JSON_MODE}
    return bool(request.tools) if fault is Fault.NO_TOOLS else True


def _response(status: int, body: str, headers: dict[str, str], content_type: str = "application/json") -> web.Response:
    return web.Response(status=status, text=body, headers=headers, content_type=content_type)


async def send(http: web.Request, request: ModelRequest, reply: Reply, rendered: Rendered) -> web.StreamResponse:
    """Send a reply as the request asked, streamed or whole."""
    if reply.fault is Fault.RESET:
        reset(http)
    if reply.fault is Fault.HANG_BEFORE_HEADERS:
        await asyncio.sleep(FOREVER)
    if reply.fault is Fault.WRONG_CONTENT_TYPE:
        return web.Response(text=LOGIN_PAGE, content_type="text/html")
    if reply.fault is Fault.EMPTY_BODY:
        return web.Response(status=200, content_type="application/json")
    if request.stream:
        return await _stream(http, reply, rendered)
    return await _whole(http, reply, rendered)


def reset(http: web.Request) -> None:
    """Send a TCP reset instead of an answer.

    Raises:
        HangupError: always, to leave the handler.
    """
    transport = http.transport
    if transport is not None:
        raw: socket.socket = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    raise HangupError("reset")


async def _whole(http: web.Request, reply: Reply, rendered: Rendered) -> web.StreamResponse:
    tokens = sum(frame.kind is Kind.TOKEN for frame in rendered.frames)
    slow = PATIENCE if reply.fault is Fault.SLOW_FIRST_TOKEN else 0.0
    await asyncio.sleep((reply.delay or slow) + reply.pace * tokens)
    text = json.dumps(rendered.body)
    if reply.fault is Fault.PROXY_ERROR:
        return _response(500, PROXY_LINE.decode(), {}, "text/plain")
    if reply.fault is Fault.ERROR_IN_STREAM:
        # OpenRouter reports an error of the backend under status 200.
        return _response(200, json.dumps(STREAM_ERROR), {})
    if reply.fault in {Fault.MALFORMED_BODY, Fault.INVALID_SSE, Fault.NO_FINISH_REASON}:
        return _response(200, text[: len(text) // 2], {})
    if reply.fault in {Fault.CUT, Fault.HANG_AFTER_FIRST_TOKEN}:
        return await _half(http, reply.fault, text.encode())
    return _response(200, text, dict(reply.headers))


async def _half(http: web.Request, fault: Fault, body: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = len(body)
    await response.prepare(http)
    await response.write(body[: len(body) // 2])
    if fault is Fault.HANG_AFTER_FIRST_TOKEN:
        await asyncio.sleep(FOREVER)
    _close(http)
    raise HangupError("cut")


async def _stream(http: web.Request, reply: Reply, rendered: Rendered) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": rendered.stream_type, "Cache-Control": "no-cache"})
    response.enable_chunked_encoding()
    await response.prepare(http)
    slow = PATIENCE if reply.fault is Fault.SLOW_FIRST_TOKEN else 0.0
    await asyncio.sleep(reply.delay or slow)
    for frame in _spoilt(reply.fault, rendered.frames):
        await response.write(frame.data)
        if reply.pace and frame.kind is Kind.TOKEN:
            await asyncio.sleep(reply.pace)
    if reply.fault is Fault.HANG_AFTER_FIRST_TOKEN:
        await asyncio.sleep(FOREVER)
    if reply.fault is Fault.CUT:
        _cut_chunk(http, rendered.frames)
    await response.write_eof()
    return response


def _cut_chunk(http: web.Request, frames: tuple[Frame, ...]) -> None:
    """Begin a chunk, promise more of it than is sent, and close."""
    data = frames[-1].data
    if http.transport is not None:
        http.transport.write(f"{len(data):x}\r\n".encode() + data[: len(data) // 2])
    _close(http)
    raise HangupError("cut")


def _close(http: web.Request) -> None:
    if http.transport is not None:
        http.transport.close()


def _spoilt(fault: Fault | None, frames: tuple[Frame, ...]) -> Iterator[Frame]:
    """The frames that are sent before a fault strikes, and what it puts in their place."""
    if fault is Fault.NO_FINISH_REASON:
        yield from (frame for frame in frames if frame.kind in {Kind.OPEN, Kind.TOKEN})
        return
    if fault not in _STRIKES:
        yield from frames
        return
    opening = [frame for frame in frames if frame.kind is Kind.OPEN]
    tokens = [frame for frame in frames if frame.kind is Kind.TOKEN]
    early = 1 if fault is Fault.HANG_AFTER_FIRST_TOKEN else max(1, len(tokens) // 2)
    yield from frames[: _place_of(frames, tokens[:early] or opening)]
    if junk := _STRIKES[fault]:
        yield Frame(Kind.TOKEN, junk(frames))


def _place_of(frames: tuple[Frame, ...], chosen: list[Frame]) -> int:
    return next(i for i, frame in enumerate(frames) if frame is chosen[-1]) + 1 if chosen else 0


def _broken_event(frames: tuple[Frame, ...]) -> bytes:
    data = frames[-1 if b"[DONE]" not in frames[-1].data else 0].data.rstrip(b"\n")
    end = b"\n" if data.startswith(b"{") else b"\n\n"
    return data[: len(data) * 2 // 3] + end


def _error_event(frames: tuple[Frame, ...]) -> bytes:
    if frames[0].data.startswith(b"{"):
        return json.dumps({"error": STREAM_ERROR["error"]["message"]}).encode() + b"\n"
    if frames[0].data.startswith(b"event: "):
        event = {"type": "error", "sequence_number": 9, "param": None, **STREAM_ERROR["error"]}
        return b"event: error\ndata: " + json.dumps({**event, "code": "500"}).encode() + b"\n\n"
    return b"data: " + json.dumps(STREAM_ERROR).encode() + b"\n\n"


_STRIKES = {
    Fault.CUT: None,
    Fault.HANG_AFTER_FIRST_TOKEN: None,
    Fault.PROXY_ERROR: lambda _: PROXY_LINE,
    Fault.INVALID_SSE: _broken_event,
    Fault.MALFORMED_BODY: _broken_event,
    Fault.ERROR_IN_STREAM: _error_event,
}
