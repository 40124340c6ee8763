"""Asks a server in each of the three protocols with plain HTTP, and reads what it said."""

import json
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.modelserver.info import Shape
from tests.modelserver.server import ModelServer

SCHEMA = {
    "title": "Verdict",
    "type": "object",
    "properties": {"ok": {"type": "boolean"}, "reason": {"type": "string"}},
    "required": ["ok", "reason"],
}
PARAMETERS = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}


@dataclass
class Said:
    """An answer, whichever protocol it came in."""

    text: str = ""
    reasoning: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    finish: str = ""
    prompt_tokens: int | None = None


@dataclass(frozen=True)
class Protocol:
    """A way to ask."""

    name: str
    path: str
    shape: Shape

    def body(self, *, stream: bool, schema: bool = False, tools: bool = False) -> dict[str, Any]:
        """A request of one user message."""
        said = {"role": "user", "content": "Please look at a.py."}
        body: dict[str, Any] = {"model": "scripted", "stream": stream}
        function = {"name": "read_file", "parameters": PARAMETERS}
        if self.name == "responses":
            body["input"] = [said]
            if schema:
                named = {"type": "json_schema", "name": "Verdict", "schema": SCHEMA}
                body["text"] = {"format": named}
        else:
            body["messages"] = [said]
        if self.name == "chat":
            body["stream_options"] = {"include_usage": True} if stream else None
        if self.name == "chat" and schema:
            inner = {"name": "Verdict", "schema": SCHEMA}
            body["response_format"] = {"type": "json_schema", "json_schema": inner}
        if self.name == "ollama" and schema:
            body["format"] = SCHEMA
        if tools:
            flat = self.name == "responses"
            body["tools"] = [
                {"type": "function", **(function if flat else {"function": function})},
                {"type": "function", "function": {"name": "other"}, "name": "other"},
            ]
        return body

    def ask(self, server: ModelServer, *, timeout: float = 5.0, **wish: bool) -> httpx.Response:
        """Ask, and read the answer to its end, waiting `timeout` seconds for each byte."""
        return httpx.post(f"{server.url}{self.path}", json=self.body(**wish), timeout=timeout)

    def read(self, answer: httpx.Response, *, stream: bool) -> Said:
        """Read a good answer."""
        return _READERS[self.name, stream](answer)


def _read_chat(answer: httpx.Response) -> Said:
    body = answer.json()
    choice = body["choices"][0]
    message = choice["message"]
    calls = [(c["function"]["name"], c["function"]["arguments"]) for c in message.get("tool_calls", [])]
    return Said(
        message["content"] or "",
        message.get("reasoning_content", ""),
        calls,
        choice["finish_reason"],
        body["usage"]["prompt_tokens"],
    )


def _events(answer: httpx.Response) -> list[dict[str, Any]]:
    lines = answer.text.splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


def _read_chat_stream(answer: httpx.Response) -> Said:
    said = Said()
    for event in _events(answer):
        if event.get("usage"):
            said.prompt_tokens = event["usage"]["prompt_tokens"]
        for choice in event["choices"]:
            delta = choice["delta"]
            said.text += delta.get("content") or ""
            said.reasoning += delta.get("reasoning_content") or ""
            said.finish = choice["finish_reason"] or said.finish
            for call in delta.get("tool_calls", []):
                _add_call(said, call)
    return said


def _add_call(said: Said, delta: dict[str, Any]) -> None:
    function = delta["function"]
    if "name" in function:
        said.calls.append((function["name"], function["arguments"]))
        return
    name, before = said.calls[delta["index"]]
    more = function["arguments"]
    said.calls[delta["index"]] = (name, before + more if isinstance(more, str) else more)


def _read_response(answer: httpx.Response) -> Said:
    return _response(answer.json())


def _read_response_stream(answer: httpx.Response) -> Said:
    last = _events(answer)[-1]
    return _response(last["response"])


def _response(body: dict[str, Any]) -> Said:
    said = Said(prompt_tokens=body["usage"]["input_tokens"], finish=body["status"])
    for item in body["output"]:
        if item["type"] == "message":
            said.text += item["content"][0]["text"]
        elif item["type"] == "reasoning":
            said.reasoning += item["summary"][0]["text"]
        else:
            said.calls.append((item["name"], item["arguments"]))
    return said


def _read_ollama(answer: httpx.Response) -> Said:
    return _ollama([answer.json()])


def _read_ollama_stream(answer: httpx.Response) -> Said:
    return _ollama([json.loads(line) for line in answer.text.splitlines()])


def _ollama(lines: list[dict[str, Any]]) -> Said:
    last = lines[-1]
    said = Said(prompt_tokens=last.get("prompt_eval_count"), finish=last.get("done_reason", ""))
    for message in (line["message"] for line in lines):
        said.text += message["content"]
        said.reasoning += message.get("thinking", "")
        for call in message.get("tool_calls", []):
            said.calls.append((call["function"]["name"], call["function"]["arguments"]))
    return said


_READERS = {
    ("chat", False): _read_chat,
    ("chat", True): _read_chat_stream,
    ("responses", False): _read_response,
    ("responses", True): _read_response_stream,
    ("ollama", False): _read_ollama,
    ("ollama", True): _read_ollama_stream,
}

PROTOCOLS = [
    Protocol("chat", "/v1/chat/completions", Shape.OPENAI),
    Protocol("responses", "/v1/responses", Shape.OPENAI),
    Protocol("ollama", "/api/chat", Shape.OLLAMA),
]
