"""What exceptions of provider libraries mean."""

import email.utils
import socket
import time
from importlib import import_module
from typing import Any

import ollama
import openai
import pytest

from llm_registry.failures.error_mapping import classify_error
from llm_registry.failures.errors import CallFailure, ErrorKind

http: Any = import_module(openai.DefaultAsyncHttpxClient.__mro__[1].__module__.split(".")[0])
REQUEST = http.Request("POST", "http://127.0.0.1:1/v1/chat/completions")


def status(code: int, body: object = None, **headers: str) -> openai.APIStatusError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = http.Response(code, headers=named, request=REQUEST)
    return openai.APIStatusError(f"Error code: {code}", response=response, body=body)


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (status(429, retry_after="7"), 7.0),
        (status(429, retry_after="0.5"), 0.5),
        (status(503, retry_after_ms="1500"), 1.5),
        (status(429, retry_after="soon"), None),
        (status(429), None),
    ],
)
def test_the_wait_a_server_asks_for_is_read(error: Exception, seconds: float | None) -> None:
    assert classify_error(error).retry_after_s == seconds


def test_the_wait_may_be_a_date() -> None:
    wait = classify_error(status(429, retry_after=email.utils.formatdate(time.time() + 30, usegmt=True))).retry_after_s
    assert wait is not None
    assert 25 < wait <= 30


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (status(400, {"message": "maximum context length is 4096"}), ErrorKind.CONTEXT),
        (status(400, "Trying to keep the first 9 tokens when context the overflows"), ErrorKind.CONTEXT),
        (status(413, {"message": "prompt is too long"}), ErrorKind.CONTEXT),
        (status(429, {"message": "insufficient_quota: check your billing"}), ErrorKind.QUOTA),
        (status(400, {"message": "Unknown model 'x'"}), ErrorKind.UNKNOWN_MODEL),
        (status(404, {"message": "model 'x' not found"}), ErrorKind.UNKNOWN_MODEL),
        (status(400, {"message": "Invalid model name passed in model=x."}), ErrorKind.UNKNOWN_MODEL),
        (status(400, {"detail": "Server is pinned to 'a'; requested 'b'."}), ErrorKind.UNKNOWN_MODEL),
        (status(400, {"message": "No connected db.", "type": "no_db_connection"}), ErrorKind.AUTH),
        (status(404), ErrorKind.NO_ENDPOINT),
        (status(405), ErrorKind.NO_ENDPOINT),
        (status(400, {"message": "json_schema is not supported"}), ErrorKind.UNSUPPORTED),
        (status(422, {"message": "field required"}), ErrorKind.BAD_REQUEST),
        (status(500, {"message": "tools param requires --jinja flag"}), ErrorKind.UNSUPPORTED),
        (
            status(500, {"message": "1 validation error: response_format, type: Input should be 'text'"}),
            ErrorKind.UNSUPPORTED,
        ),
        (status(500, {"message": "the slot is gone"}), ErrorKind.SERVER_ERROR),
        (status(529), ErrorKind.OVERLOADED),
        (status(500, {"message": "CUDA out of memory"}), ErrorKind.OUT_OF_MEMORY),
        (ollama.ResponseError("model requires more system memory", 500), ErrorKind.OUT_OF_MEMORY),
        (ollama.ResponseError("something broke", -1), ErrorKind.SERVER_ERROR),
        (openai.APIError("slow down", REQUEST, body={"code": 429}), ErrorKind.RATE_LIMITED),
        (openai.APIError("no credit left", REQUEST, body={"code": "402"}), ErrorKind.QUOTA),
        (openai.APIError("the backend died", REQUEST, body={"code": "server_error"}), ErrorKind.SERVER_ERROR),
        (http.ConnectTimeout("late"), ErrorKind.CONNECT_TIMEOUT),
        (http.ReadError(""), ErrorKind.RESET),
        (http.RemoteProtocolError("peer closed connection"), ErrorKind.CUT),
        (ConnectionRefusedError(111, "refused"), ErrorKind.REFUSED),
        (ValueError("no JSON"), ErrorKind.BAD_OUTPUT),
        (KeyError("choices"), ErrorKind.BAD_OUTPUT),
        (RuntimeError("what?"), ErrorKind.CRASHED),
    ],
)
def test_kinds(error: Exception, kind: ErrorKind) -> None:
    assert classify_error(error).kind is kind


def test_the_cause_is_looked_for_below_the_surface() -> None:
    error = openai.APIConnectionError(request=REQUEST)
    error.__cause__ = http.ConnectError("failed")
    error.__cause__.__cause__ = socket.gaierror(-2, "Name or service not known")
    assert classify_error(error).kind is ErrorKind.DNS


def test_a_failure_stays_what_it_is() -> None:
    failure = CallFailure(ErrorKind.CUT, "x")
    assert classify_error(failure) is failure


def test_the_text_is_short_and_without_keys() -> None:
    failure = classify_error(status(401, f"bad key sk-{'a' * 30} {'x' * 1000}"))
    assert failure.kind is ErrorKind.AUTH
    assert "aaaa" not in failure.message
    assert failure.message.startswith("HTTP 401: bad key")
    assert len(failure.message) < 350


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"detail": "Server is pinned to 'a'."}, "Server is pinned to 'a'."),
        ({"detail": [{"loc": ["body", "model"], "msg": "Field required"}]}, "Field required"),
        ({"error": {"message": "too many", "code": 400}}, "too many"),
        ({"error": "model 'x' is gone"}, "model 'x' is gone"),
        ("plain words", "plain words"),
    ],
)
def test_the_words_of_a_refusal_are_shown_however_they_are_wrapped(body: object, words: str) -> None:
    assert words in classify_error(status(400, body)).message
