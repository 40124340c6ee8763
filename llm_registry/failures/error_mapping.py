"""Translates what provider libraries raise into a `CallFailure`: the only place that reads their exceptions."""

import json
import math
import re
import socket
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

from core.redaction import redact
from llm_registry.failures.errors import CallFailure, Kind

_LONGEST = 300
_MESSAGES = ("error", "message", "detail", "msg")
_CODE = re.compile(r"^Error code: \d{3}(?: - )?|\s*\(status code: -?\d+\)$")

_WORDS: tuple[tuple[Kind, str], ...] = (
    (Kind.CONTEXT, r"exceed_context_size|context[ _]?(length|window|size)|contextwindowexceeded|prompt is too long"),
    (Kind.CONTEXT, r"context the overflows|input length exceeds"),
    (Kind.QUOTA, r"insufficient[ _](quota|credit|balance|funds)|billing|payment required|out of credits"),
    (Kind.OUT_OF_MEMORY, r"out of memory|more system memory|failed to allocate"),
    (Kind.OVERLOADED, r"overloaded|server busy|maximum pending requests|temporarily unavailable"),
    (Kind.OVERLOADED, r"loading model|llama runner to start"),
    # What LiteLLM without a database says to a key that is not its own.
    (Kind.AUTH, r"no connected db|no_db_connection"),
)  # fmt: skip
_UNSUPPORTED = re.compile(
    r"(?i)response_format|json_schema|structured output|guided|grammar|\bformat\b.*(support|invalid)|invalid format"
    r"|tools? param|does not support tools|tool_choice|--jinja|\btools?\b.*not support|previous_response_id"
)
_MODEL_MISSING = re.compile(
    r"(?i)model.{0,80}(not found|does not exist|not exist|unknown|no such)|(unknown|no such|invalid) model( name)?\b"
    r"|server is pinned to"
)


def classify(error: BaseException) -> CallFailure:
    """Say what a provider's exception means.

    Args:
        error: Whatever came out of the chat model.
    """
    chain = list(_causes(error))
    # Ours may lie inside what a library made of it.
    if (ours := next((each for each in chain if isinstance(each, CallFailure)), None)) is not None:
        return ours
    if any(isinstance(each, RecursionError) for each in chain):
        return CallFailure(Kind.BAD_OUTPUT, "the server's answer is nested too deep to be read")
    status = _status(chain)
    text = " | ".join(dict.fromkeys(words for each in chain if (words := _words(each))))
    kind = _by_status(status, text) if status else _by_type(chain, text)
    return CallFailure(kind, _presentable(error, text, status), retry_after_s=_retry_after(chain))


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _status(chain: list[BaseException]) -> int | None:
    # In the middle of a stream the status is long sent, and some servers put it into the error itself.
    for name in ("status_code", "code"):
        for each in chain:
            status = getattr(each, name, None)
            number = int(status) if isinstance(status, str) and status.isdigit() else status
            if isinstance(number, int) and 400 <= number < 600:
                return number
    return None


def _words(error: BaseException) -> str:
    body = getattr(error, "body", None)
    detail = json.dumps(body, default=str) if isinstance(body, Mapping) else str(body or "")
    return f"{error} {detail}".strip()


def words_of(body: object, levels: int = 8) -> str:
    """The message in the body of a refusal, as OpenAI, Ollama, FastAPI and others word it; empty when it has none."""
    if isinstance(body, str):
        return body
    if levels == 0:
        return ""
    if isinstance(body, list):
        return "; ".join(words for each in body if (words := words_of(each, levels - 1)))
    if not isinstance(body, Mapping):
        return ""
    return next((words for name in _MESSAGES if (words := words_of(body.get(name), levels - 1))), "")


def by_words(text: str) -> Kind | None:
    """What a server's words alone tell, `None` when nothing."""
    return next((kind for kind, pattern in _WORDS if re.search(pattern, text, re.IGNORECASE)), None)


def _by_status(status: int, text: str) -> Kind:
    if (worded := by_words(text)) is not None:
        return worded
    fixed = {401: Kind.AUTH, 403: Kind.AUTH, 402: Kind.QUOTA, 408: Kind.OVERLOADED, 429: Kind.RATE_LIMITED}
    if status in fixed:
        return fixed[status]
    if status in {404, 405, 501}:
        return Kind.UNKNOWN_MODEL if _MODEL_MISSING.search(text) else Kind.NO_ENDPOINT
    if status > 500:
        return Kind.OVERLOADED if status in {503, 529} else Kind.SERVER_ERROR
    if _MODEL_MISSING.search(text):
        return Kind.UNKNOWN_MODEL
    # Older llama.cpp refuses tools with 500, llama-cpp-python formats.
    other = Kind.SERVER_ERROR if status == 500 else Kind.BAD_REQUEST
    return Kind.UNSUPPORTED if _UNSUPPORTED.search(text) else other


_TYPES: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    (Kind.CONNECT_TIMEOUT, ("ConnectTimeout", "PoolTimeout")),
    (Kind.CUT, ("RemoteProtocolError", "IncompleteRead", "StreamChunkTimeoutError")),
    (Kind.RESET, ("ReadError", "WriteError", "ConnectionResetError", "BrokenPipeError", "CloseError")),
    (Kind.FIRST_TOKEN_TIMEOUT, ("ReadTimeout", "WriteTimeout")),
    (Kind.REFUSED, ("ConnectError", "ConnectionRefusedError", "ConnectionError", "APIConnectionError")),
)


def _by_type(chain: list[BaseException], text: str) -> Kind:
    names = {base.__name__ for each in chain for base in type(each).__mro__}
    if any(isinstance(each, socket.gaierror) for each in chain) or "Name or service not known" in text:
        return Kind.DNS
    for kind, types in _TYPES:
        if names.intersection(types):
            return kind
    if names & {"APIError", "ResponseError"}:
        # The server reported an error in the middle of a stream, where there is no status any more.
        return by_words(text) or Kind.SERVER_ERROR
    unreadable = names & {"ValueError", "LookupError", "TypeError", "AttributeError"}
    return Kind.BAD_OUTPUT if unreadable else Kind.CRASHED


def _retry_after(chain: list[BaseException]) -> float | None:
    for each in chain:
        headers: Any = getattr(getattr(each, "response", None), "headers", None)
        if headers is None:
            continue
        if milliseconds := headers.get("retry-after-ms"):
            return _number(milliseconds, scale=0.001)
        if after := headers.get("retry-after"):
            return _number(after) if _number(after) is not None else _until(after)
    return None


def _number(text: str, *, scale: float = 1.0) -> float | None:
    try:
        seconds = float(text) * scale
    except ValueError:
        return None
    return None if math.isnan(seconds) else max(0.0, seconds)


def _until(text: str) -> float | None:
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time())
    except (ValueError, OverflowError):
        return None


def _presentable(error: BaseException, text: str, status: int | None) -> str:
    said = words_of(getattr(error, "body", None))
    detail = said if said not in str(error) else ""
    first = " ".join(f"{error} {detail}".split()) or text or type(error).__name__
    shown = redact(_CODE.sub("", first).strip())
    if status and str(status) not in shown:
        shown = f"HTTP {status}: {shown}"
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"
