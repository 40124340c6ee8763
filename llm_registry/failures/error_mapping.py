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
from llm_registry.failures.errors import CallFailure, ErrorKind

_LONGEST = 300
_MESSAGES = ("error", "message", "detail", "msg")
_CODE = re.compile(r"^Error code: \d{3}(?: - )?|\s*\(status code: -?\d+\)$")

_WORDS: tuple[tuple[ErrorKind, str], ...] = (
    (ErrorKind.CONTEXT, r"exceed_context_size|context[ _]?(length|window|size)|contextwindowexceeded"),
    (ErrorKind.CONTEXT, r"prompt is too long|context the overflows|input length exceeds"),
    (ErrorKind.QUOTA, r"insufficient[ _](quota|credit|balance|funds)|billing|payment required|out of credits"),
    (ErrorKind.OUT_OF_MEMORY, r"out of memory|more system memory|failed to allocate"),
    (ErrorKind.OVERLOADED, r"overloaded|server busy|maximum pending requests|temporarily unavailable"),
    (ErrorKind.OVERLOADED, r"loading model|llama runner to start"),
    # What LiteLLM without a database says to a key that is not its own.
    (ErrorKind.AUTH, r"no connected db|no_db_connection"),
)  # fmt: skip
_UNSUPPORTED = re.compile(
    r"(?i)response_format|json_schema|structured output|guided|grammar|\bformat\b.*(support|invalid)|invalid format"
    r"|tools? param|does not support tools|tool_choice|--jinja|\btools?\b.*not support|previous_response_id"
)
_MODEL_MISSING = re.compile(
    r"(?i)model.{0,80}(not found|does not exist|not exist|unknown|no such)|(unknown|no such|invalid) model( name)?\b"
    r"|server is pinned to"
)


def classify_error(error: BaseException) -> CallFailure:
    """Say what a provider's exception means.

    Args:
        error: Whatever came out of the chat model.
    """
    chain = list(_causes(error))
    # Ours may lie inside what a library made of it.
    if (ours := next((each for each in chain if isinstance(each, CallFailure)), None)) is not None:
        return ours
    if any(isinstance(each, RecursionError) for each in chain):
        return CallFailure(ErrorKind.BAD_OUTPUT, "the server's answer is nested too deeply to read")
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


def server_message(body: object, levels: int = 8) -> str:
    """The message in the body of a refusal, as OpenAI, Ollama, FastAPI and others word it; empty when it has none."""
    if isinstance(body, str):
        return body
    if levels == 0:
        return ""
    if isinstance(body, list):
        return "; ".join(words for each in body if (words := server_message(each, levels - 1)))
    if not isinstance(body, Mapping):
        return ""
    return next((words for name in _MESSAGES if (words := server_message(body.get(name), levels - 1))), "")


def kind_from_message(text: str) -> ErrorKind | None:
    """What a server's message alone tells, `None` when nothing."""
    return next((kind for kind, pattern in _WORDS if re.search(pattern, text, re.IGNORECASE)), None)


def _by_status(status: int, text: str) -> ErrorKind:
    if (worded := kind_from_message(text)) is not None:
        return worded
    fixed = {
        401: ErrorKind.AUTH,
        403: ErrorKind.AUTH,
        402: ErrorKind.QUOTA,
        408: ErrorKind.OVERLOADED,
        429: ErrorKind.RATE_LIMITED,
    }
    if status in fixed:
        return fixed[status]
    if status in {404, 405, 501}:
        return ErrorKind.UNKNOWN_MODEL if _MODEL_MISSING.search(text) else ErrorKind.NO_ENDPOINT
    if status > 500:
        return ErrorKind.OVERLOADED if status in {503, 529} else ErrorKind.SERVER_ERROR
    if _MODEL_MISSING.search(text):
        return ErrorKind.UNKNOWN_MODEL
    # Older llama.cpp refuses tools with 500, llama-cpp-python formats.
    other = ErrorKind.SERVER_ERROR if status == 500 else ErrorKind.BAD_REQUEST
    return ErrorKind.UNSUPPORTED if _UNSUPPORTED.search(text) else other


_TYPES: tuple[tuple[ErrorKind, tuple[str, ...]], ...] = (
    (ErrorKind.CONNECT_TIMEOUT, ("ConnectTimeout", "PoolTimeout")),
    (ErrorKind.CUT, ("RemoteProtocolError", "IncompleteRead", "StreamChunkTimeoutError")),
    (ErrorKind.RESET, ("ReadError", "WriteError", "ConnectionResetError", "BrokenPipeError", "CloseError")),
    (ErrorKind.FIRST_TOKEN_TIMEOUT, ("ReadTimeout", "WriteTimeout")),
    (ErrorKind.REFUSED, ("ConnectError", "ConnectionRefusedError", "ConnectionError", "APIConnectionError")),
)


def _by_type(chain: list[BaseException], text: str) -> ErrorKind:
    names = {base.__name__ for each in chain for base in type(each).__mro__}
    if any(isinstance(each, socket.gaierror) for each in chain) or "Name or service not known" in text:
        return ErrorKind.DNS
    for kind, types in _TYPES:
        if names.intersection(types):
            return kind
    if names & {"APIError", "ResponseError"}:
        # The server reported an error in the middle of a stream, where there is no status any more.
        return kind_from_message(text) or ErrorKind.SERVER_ERROR
    unreadable = names & {"ValueError", "LookupError", "TypeError", "AttributeError"}
    return ErrorKind.BAD_OUTPUT if unreadable else ErrorKind.CRASHED


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
    said = server_message(getattr(error, "body", None))
    detail = said if said not in str(error) else ""
    first = " ".join(f"{error} {detail}".split()) or text or type(error).__name__
    shown = redact(_CODE.sub("", first).strip())
    if status and str(status) not in shown:
        shown = f"HTTP {status}: {shown}"
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"
