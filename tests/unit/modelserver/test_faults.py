"""Every misbehaviour, seen from the caller's side in each protocol, streamed and whole."""

import json
import time

import httpx
import pytest

from tests.modelserver.faults import REFUSALS, STRUCTURE, TOOLS, Fault
from tests.modelserver.reply import Call, call_all, give, http_error, say
from tests.modelserver.server import ModelServer, faulty
from tests.modelserver.spoil import PROSE
from tests.unit.modelserver.protocols import PROTOCOLS, Protocol

VERDICT = {"ok": True, "reason": "It works."}
SLOW = {Fault.HANG_BEFORE_HEADERS, Fault.HANG_AFTER_FIRST_TOKEN, Fault.SLOW_FIRST_TOKEN}
CONDITIONAL = {Fault.NO_TOOLS, Fault.NO_RESPONSE_FORMAT}

both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
everywhere = pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)


def outcome(fault: Fault, protocol: Protocol, *, stream: bool, **options) -> str:
    """What a careless caller sees."""
    with faulty(fault, shape=protocol.shape, **options) as server:
        try:
            answer = protocol.ask(server, stream=stream, timeout=0.3 if fault in SLOW else 5.0)
        except httpx.HTTPError as error:
            return type(error).__name__
    if answer.status_code != 200:
        return str(answer.status_code)
    return answer.headers["content-type"].split(";")[0]


BROKEN = {
    Fault.REFUSED: ("ConnectError", "ConnectError"),
    Fault.RESET: ("ReadError", "ReadError"),
    Fault.HANG_BEFORE_HEADERS: ("ReadTimeout", "ReadTimeout"),
    Fault.HANG_AFTER_FIRST_TOKEN: ("ReadTimeout", "ReadTimeout"),
    Fault.SLOW_FIRST_TOKEN: ("ReadTimeout", "ReadTimeout"),
    Fault.CUT: ("RemoteProtocolError", "RemoteProtocolError"),
    Fault.PROXY_ERROR: ("500", "stream"),
    Fault.WRONG_CONTENT_TYPE: ("text/html", "text/html"),
    Fault.EMPTY_BODY: ("application/json", "application/json"),
    Fault.MALFORMED_BODY: ("application/json", "stream"),
    Fault.INVALID_SSE: ("application/json", "stream"),
    Fault.ERROR_IN_STREAM: ("application/json", "stream"),
    Fault.NO_FINISH_REASON: ("application/json", "stream"),
    Fault.EMPTY_CHOICES: ("application/json", "stream"),
}


@both
@everywhere
@pytest.mark.parametrize("fault", BROKEN, ids=str)
def test_a_broken_connection_looks_like_one(fault, protocol, stream) -> None:
    streamed = "application/x-ndjson" if protocol.name == "ollama" else "text/event-stream"
    expected = BROKEN[fault][stream].replace("stream", streamed)
    assert outcome(fault, protocol, stream=stream) == expected


@everywhere
@pytest.mark.parametrize("fault", sorted(REFUSALS), ids=str)
def test_a_refusal_has_its_status(fault, protocol) -> None:
    with faulty(fault, shape=protocol.shape) as server:
        wish = {"schema": fault is Fault.NO_RESPONSE_FORMAT, "tools": fault is Fault.NO_TOOLS}
        answer = protocol.ask(server, stream=True, **wish)
    known = REFUSALS[fault]
    assert answer.status_code == known.status
    assert answer.headers.get("retry-after") == known.headers.get("Retry-After")
    if protocol.name == "ollama" and known.ollama:
        assert answer.json() == {"error": known.ollama}


@everywhere
@pytest.mark.parametrize("fault", sorted(CONDITIONAL), ids=str)
def test_what_a_server_lacks_is_refused_only_when_it_is_asked_for(fault, protocol) -> None:
    assert outcome(fault, protocol, stream=False) == "application/json"


def test_every_fault_is_in_a_table_of_this_file() -> None:
    told = {*BROKEN, *REFUSALS, *STRUCTURE, *TOOLS, Fault.SILENT_TRUNCATION}
    assert told == set(Fault)


@both
@everywhere
def test_a_good_answer_is_whole(protocol, stream) -> None:
    reply = call_all(Call("read_file", {"path": "a.py"}), text="Let me look.")
    with ModelServer(reply.but(reasoning="Hm."), shape=protocol.shape) as server:
        said = protocol.read(protocol.ask(server, stream=stream), stream=stream)
    assert (said.text, said.reasoning) == ("Let me look.", "Hm.")
    assert [name for name, _ in said.calls] == ["read_file"]
    assert parsed(said.calls[0][1]) == {"path": "a.py"}
    assert said.prompt_tokens == server.requests[0].prompt_tokens


def parsed(arguments):
    return json.loads(arguments) if isinstance(arguments, str) else arguments


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return False
    return True


@both
@everywhere
@pytest.mark.parametrize("fault", sorted(STRUCTURE), ids=str)
def test_an_object_is_spoilt(fault, protocol, stream) -> None:
    with faulty(fault, give(VERDICT), shape=protocol.shape) as server:
        answer = protocol.ask(server, stream=stream, schema=True)
        said = protocol.read(answer, stream=stream)
    assert said.calls == []
    if fault is Fault.PROSE:
        assert said.text == PROSE
    elif fault is Fault.FENCED_JSON:
        assert json.loads(said.text.split("```json\n")[1].split("\n```")[0]) == VERDICT
    elif fault is Fault.THINK_BEFORE_JSON:
        assert json.loads(said.text.split("</think>")[1]) == VERDICT
    elif fault is Fault.WRONG_TYPES:
        assert json.loads(said.text) == {"ok": "rather a lot", "reason": {"text": ["It works."]}}
    elif fault is Fault.WRONG_SHAPE:
        assert json.loads(said.text) == [VERDICT]
    elif fault is Fault.TRUNCATED:
        assert not is_json(said.text)
        assert said.finish in {"length", "incomplete"}
    else:
        assert said.text == ""
        assert bool(said.reasoning) is (fault is Fault.REASONING_ONLY)


@both
@everywhere
@pytest.mark.parametrize("fault", sorted(TOOLS), ids=str)
def test_a_tool_call_is_spoilt(fault, protocol, stream) -> None:
    good = call_all(Call("read_file", {"path": "a.py"}))
    with faulty(fault, good, shape=protocol.shape) as server:
        answer = protocol.ask(server, stream=stream, tools=True)
        said = protocol.read(answer, stream=stream)
    if fault is Fault.TOOL_CALL_AS_TEXT:
        assert said.calls == []
        assert '<tool_call>\n{"name": "read_file"' in said.text
        return
    (name, arguments), *rest = said.calls
    assert rest == []
    if fault is Fault.INVENTED_TOOL:
        assert name not in server.requests[0].tool_names
    elif fault is Fault.ARGUMENTS_42:
        assert arguments == "42"
    elif fault is Fault.ARGUMENTS_BROKEN:
        assert not is_json(arguments)
    elif fault is Fault.ARGUMENTS_WRONG_KIND:
        assert type(arguments) is (str if protocol.name == "ollama" else dict)
        assert parsed(arguments) == {"path": "a.py"}
    else:
        assert parsed(arguments) == {}


@everywhere
def test_silent_truncation_shows_only_in_the_count(protocol) -> None:
    with faulty(Fault.SILENT_TRUNCATION, shape=protocol.shape) as server:
        said = protocol.read(protocol.ask(server, stream=False), stream=False)
    assert said.prompt_tokens == server.requests[0].prompt_tokens // 2


@pytest.mark.parametrize("protocol", PROTOCOLS[:2], ids=lambda p: p.name)
def test_a_stream_of_a_dying_backend_ends_cleanly_without_an_end(protocol) -> None:
    with faulty(Fault.PROXY_ERROR, shape=protocol.shape) as server:
        text = protocol.ask(server, stream=True).text
    assert text.endswith("proxy error: Failed to read connection\n")
    assert "[DONE]" not in text
    assert '"finish_reason": "stop"' not in text
    assert "response.completed" not in text


@everywhere
def test_a_cut_stream_ends_in_the_middle_of_a_piece(protocol) -> None:
    got = []
    with faulty(Fault.CUT, shape=protocol.shape) as server:
        body, url = protocol.body(stream=True), f"{server.url}{protocol.path}"
        with httpx.stream("POST", url, json=body) as stream:
            pieces = stream.iter_raw()
            with pytest.raises(httpx.RemoteProtocolError):
                got.extend(pieces)
    assert not b"".join(got).endswith(b"\n")


@everywhere
def test_a_stream_may_end_without_a_finish_reason(protocol) -> None:
    with faulty(Fault.NO_FINISH_REASON, shape=protocol.shape) as server:
        text = protocol.ask(server, stream=True).text
    assert "forty-two" in text
    for sign in ("[DONE]", '"finish_reason": "stop"', "response.completed", '"done": true'):
        assert sign not in text


@both
@everywhere
def test_an_answer_may_have_nothing_in_it(protocol, stream) -> None:
    with faulty(Fault.EMPTY_CHOICES, shape=protocol.shape) as server:
        text = protocol.ask(server, stream=stream).text
    assert "forty" not in text
    assert {"chat": '"choices": []', "responses": '"output": []', "ollama": '"done": true'}[protocol.name] in text
    assert "message" not in text


@everywhere
def test_a_stream_may_hold_an_error_or_junk_and_nothing_after_it(protocol) -> None:
    for fault, sign in ((Fault.ERROR_IN_STREAM, "the backend died"), (Fault.INVALID_SSE, "")):
        with faulty(fault, shape=protocol.shape) as server:
            last = protocol.ask(server, stream=True).text.strip().splitlines()[-1]
        data = last.removeprefix("data: ")
        assert sign in data
        assert is_json(data) is bool(sign)


@everywhere
def test_a_fault_may_pass(protocol) -> None:
    with faulty(Fault.OVERLOADED, say("back"), times=2, shape=protocol.shape) as server:
        codes = [protocol.ask(server, stream=False).status_code for _ in range(3)]
    assert codes == [503, 503, 200]


def test_a_slow_server_answers_in_the_end() -> None:
    with faulty(Fault.SLOW_FIRST_TOKEN, say("ok")) as server:
        began = time.monotonic()
        body = PROTOCOLS[0].body(stream=True)
        answer = httpx.post(f"{server.v1}/chat/completions", json=body, timeout=5)
    assert time.monotonic() - began >= 1.0
    assert PROTOCOLS[0].read(answer, stream=True).text == "ok"


def test_any_status_header_and_body_can_be_scripted() -> None:
    reply = http_error(429, '{"error": "slow down"}', Retry_After="Wed, 21 Oct 2026 07:28:00 GMT")
    with ModelServer(reply) as server:
        answer = PROTOCOLS[0].ask(server, stream=False)
    assert answer.status_code == 429
    assert answer.headers["retry-after"].startswith("Wed")
    assert answer.json() == {"error": "slow down"}


def test_the_hint_of_how_long_to_wait_is_a_second() -> None:
    with faulty(Fault.RATE_LIMITED) as server:
        assert PROTOCOLS[0].ask(server, stream=False).headers["retry-after"] == "1"


def test_the_hint_of_how_long_to_wait_may_be_missing() -> None:
    with faulty(Fault.RATE_LIMITED_NO_HINT) as server:
        answer = PROTOCOLS[0].ask(server, stream=False)
    assert answer.status_code == 429
    assert "retry-after" not in answer.headers
