"""The HTTP application: routes of each server shape, and the way of one call through the script.

Owns routing and the order of things. Protocols are in `reading`, `chat`, `responses` and
`ollama_chat`; bytes are in `wire`.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from aiohttp import web

from tests.modelserver import info
from tests.modelserver.chat import render_chat
from tests.modelserver.faults import Fault, overflow
from tests.modelserver.frames import Rendered, Turn
from tests.modelserver.info import Settings, Shape
from tests.modelserver.ollama_chat import render_generate, render_ollama
from tests.modelserver.reading import BadRequestError, read_chat, read_ollama, read_responses
from tests.modelserver.record import Record
from tests.modelserver.reply import Reply
from tests.modelserver.request import Message, ModelRequest
from tests.modelserver.responses import render_responses, response_id
from tests.modelserver.script import Script, ScriptExhaustedError
from tests.modelserver.spoil import settle
from tests.modelserver.wire import HangupError, refusal, send

_INDEX = web.RequestKey("index", int)

STATE_PATH = "/__state"
"""Where a server in another process tells what it remembers."""

Reader = Callable[[str, Mapping[str, Any]], ModelRequest]
Renderer = Callable[[Turn], Rendered]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Endpoint:
    """Answers the requests of one server."""

    def __init__(self, script: Script, settings: Settings, record: Record) -> None:
        self._script = script
        self._settings = settings
        self._record = record
        self._conversations: dict[str, tuple[Message, ...]] = {}

    def application(self) -> web.Application:
        """Make the application with the routes of the shape."""
        app = web.Application(middlewares=[self._visit], client_max_size=64 * 2**20)
        if not self._settings.keep_alive:
            app.on_response_prepare.append(_close_after)
        app.router.add_get(STATE_PATH, self._telling(lambda _: self._record.summary()))
        self._add_openai(app)
        if self._settings.shape is Shape.OLLAMA:
            self._add_ollama(app)
        if self._settings.shape is Shape.LM_STUDIO:
            told = self._telling(lambda _: info.lm_studio_models(self._settings))
            app.router.add_get("/api/v0/models", told)
        app.router.add_route("*", "/{path:.*}", self._nowhere)
        return app

    def _add_openai(self, app: web.Application) -> None:
        settings, router = self._settings, app.router
        router.add_get("/v1/models", self._telling(lambda _: info.openai_models(settings)))
        router.add_post("/v1/chat/completions", self._calling(read_chat, render_chat))
        if settings.responses:
            reader = self._read_responses
            router.add_post("/v1/responses", self._calling(reader, render_responses))
        if settings.shape in {Shape.OPENAI, Shape.VLLM}:
            router.add_get("/health", self._telling(lambda _: {"status": "ok"}))
            router.add_post("/tokenize", self._telling(info.tokenize))
        if settings.shape is Shape.OPENAI:
            router.add_get("/props", self._telling(lambda _: info.props(settings)))
            busy = self._record
            router.add_get("/slots", self._telling(lambda _: info.slots(settings, busy.calls_in_flight)))
        if settings.shape is Shape.VLLM:
            router.add_get("/version", self._telling(lambda _: {"version": "0.32.0"}))

    def _add_ollama(self, app: web.Application) -> None:
        settings, router = self._settings, app.router
        router.add_get("/", self._plain("Ollama is running"))
        router.add_get("/api/version", self._telling(lambda _: {"version": "0.30.0"}))
        router.add_get("/api/tags", self._telling(lambda _: info.ollama_tags(settings)))
        router.add_get("/api/ps", self._telling(lambda _: info.ollama_ps(settings)))
        router.add_post("/api/show", self._show)
        router.add_post("/api/chat", self._calling(read_ollama, render_ollama))
        router.add_post("/api/generate", self._calling(read_ollama, render_generate))

    @web.middleware
    async def _visit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        model = request.path in _MODEL_PATHS
        with self._record.visiting(request.path, model=model):
            if not self._allowed(request):
                return self._error(request.path, 401, "Invalid API Key", "authentication_error")
            try:
                response = await handler(request)
            except HangupError:
                # The transport is gone; aiohttp notices when it tries to finish this one.
                return web.Response()
            except asyncio.CancelledError:
                self._record.abandoned += model
                self._record.cut_off.add(request.get(_INDEX, -1))
                raise
            return response

    def _allowed(self, http: web.Request) -> bool:
        key = self._settings.api_key
        given = http.headers.get("Authorization", "")
        return not key or http.path == STATE_PATH or given == f"Bearer {key}"

    def _telling(self, tell: Callable[[Mapping[str, Any]], Any]) -> Handler:
        async def handler(http: web.Request) -> web.Response:
            body = await http.json() if http.method == "POST" and http.can_read_body else {}
            return web.json_response(tell(body))

        return handler

    def _plain(self, text: str) -> Handler:
        async def handler(_: web.Request) -> web.Response:
            return web.Response(text=text)

        return handler

    async def _nowhere(self, http: web.Request) -> web.Response:
        if self._settings.shape is Shape.OLLAMA:
            return web.Response(status=404, text="404 page not found")
        return self._error(http.path, 404, "File Not Found", "not_found_error")

    async def _show(self, http: web.Request) -> web.Response:
        body = await http.json()
        name = body.get("model") or body.get("name") or ""
        if not self._knows(name):
            return self._error(http.path, 404, f"model '{name}' not found", "")
        return web.json_response(info.ollama_show(self._settings))

    def _knows(self, name: str) -> bool:
        known = self._settings.models
        return not self._settings.strict_models or name in known or f"{name}:latest" in known

    def _calling(self, read: Reader, render: Renderer) -> Handler:
        async def handler(http: web.Request) -> web.StreamResponse:
            return await self._call(http, read, render)

        return handler

    async def _call(self, http: web.Request, read: Reader, render: Renderer) -> web.StreamResponse:
        try:
            request = await self._receive(http, read)
        except (BadRequestError, json.JSONDecodeError) as error:
            return self._error(http.path, 400, str(error), "invalid_request_error")
        except LookupError as error:
            return self._error(http.path, 404, str(error.args[0]), "NotFoundError")
        if (answer := self._without_the_script(request)) is not None:
            return answer
        try:
            reply = settle(self._script(request), request)
        except Exception as error:  # noqa: BLE001 - the script's own mistake, shown to both sides
            return self._script_failed(http.path, error)
        if (refused := refusal(reply, request)) is not None:
            return refused
        turn = self._turn(request, reply)
        self._remember(turn)
        return await send(http, request, reply, render(turn))

    def _without_the_script(self, request: ModelRequest) -> web.Response | None:
        if not self._knows(request.model):
            text = f"model '{request.model}' not found"
            return self._error(request.path, 404, text, "NotFoundError")
        if request.path == "/api/chat" and not request.messages:
            return web.json_response(_loaded(request))
        return self._too_long(request)

    async def _receive(self, http: web.Request, read: Reader) -> ModelRequest:
        body = json.loads(await http.text())
        if not isinstance(body, dict):
            raise BadRequestError("the body must be an object")
        index = len(self._record.requests)
        request = replace(read(http.path, body), headers=dict(http.headers), index=index)
        self._record.add(request)
        http[_INDEX] = index
        return request

    def _read_responses(self, path: str, body: Mapping[str, Any]) -> ModelRequest:
        earlier = body.get("previous_response_id")
        if earlier and earlier not in self._conversations:
            raise LookupError(f"Response with id '{earlier}' not found.")
        return read_responses(path, body, self._conversations.get(earlier or "", ()))

    def _remember(self, turn: Turn) -> None:
        if turn.request.path == "/v1/responses":
            said = Message("assistant", turn.text, turn.calls, reasoning=turn.reasoning)
            kept = [m for m in turn.request.messages if m.role != "system"]
            self._conversations[response_id(turn)] = (*kept, said)

    def _turn(self, request: ModelRequest, reply: Reply) -> Turn:
        counted = request.prompt_tokens
        if self._settings.shape is Shape.OLLAMA:
            # Ollama cuts a long prompt and says so nowhere but in this count.
            counted = min(counted, self._window(request))
        if reply.fault is Fault.SILENT_TRUNCATION:
            counted = max(1, counted // 2)
        told = counted if reply.prompt_tokens is None else reply.prompt_tokens
        return Turn(request, reply, f"{request.index:08d}", int(time.time()), told)

    def _window(self, request: ModelRequest) -> int:
        options = request.body.get("options") or {}
        return int(options.get("num_ctx") or self._settings.context)

    def _too_long(self, request: ModelRequest) -> web.Response | None:
        settings = self._settings
        fault = _OVERFLOWS.get(settings.shape)
        if fault is None or not settings.enforce_context:
            return None
        if request.prompt_tokens <= settings.context:
            return None
        body = overflow(fault, request.prompt_tokens, settings.context)
        return web.json_response(body, status=400)

    def _script_failed(self, path: str, error: Exception) -> web.Response:
        exhausted = isinstance(error, ScriptExhaustedError)
        text = f"script exhausted: {error}" if exhausted else f"script failed: {error!r}"
        self._record.errors.append(text)
        return self._error(path, 500, text, "script_exhausted" if exhausted else "script_failed")

    def _error(self, path: str, status: int, message: str, kind: str) -> web.Response:
        if path.startswith("/api"):
            return web.json_response({"error": message}, status=status)
        error = {"code": status, "message": message, "type": kind}
        return web.json_response({"error": error}, status=status)


_MODEL_PATHS = {"/v1/chat/completions", "/v1/responses", "/api/chat", "/api/generate"}

_OVERFLOWS = {
    Shape.OPENAI: Fault.CONTEXT_LLAMA_CPP,
    Shape.VLLM: Fault.CONTEXT_VLLM,
    Shape.LM_STUDIO: Fault.CONTEXT_LM_STUDIO,
}


async def _close_after(_: web.Request, response: web.StreamResponse) -> None:
    # The headers are composed by now, so force_close alone would close without saying so.
    response.headers["Connection"] = "close"
    response.force_close()


def _loaded(request: ModelRequest) -> dict[str, Any]:
    unloading = request.body.get("keep_alive") == 0
    return {
        "model": request.model,
        "created_at": "2026-01-01T00:00:00Z",
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": "unload" if unloading else "load",
    }
