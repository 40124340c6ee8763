"""Reads the body of each protocol into a `ModelRequest`.

Owns the request side of Chat Completions, Responses and Ollama. Conversation state of Responses is
kept by the caller, which passes the earlier messages in.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.modelserver.reply import NOTHING, Call
from tests.modelserver.request import Message, Method, ModelRequest, ToolSpec


class BadRequestError(Exception):
    """The body is not what the protocol asks for; answered with HTTP 400."""


def read_chat(path: str, body: Mapping[str, Any]) -> ModelRequest:
    """Read `/v1/chat/completions`."""
    tools = _tools(body.get("tools"))
    schema, name, method = _chat_format(body.get("response_format") or {})
    if method is Method.NONE:
        schema, name, method = _forced_tool(tools, body.get("tool_choice"))
    options = body.get("stream_options") or {}
    return ModelRequest(
        path=path,
        model=str(body.get("model", "")),
        messages=tuple(_message(raw) for raw in _required_list(body, "messages")),
        tools=tools,
        schema=schema,
        schema_name=name,
        method=method,
        stream=bool(body.get("stream", False)),
        usage_in_stream=bool(options.get("include_usage", False)),
        body=body,
    )


def read_responses(path: str, body: Mapping[str, Any], earlier: Sequence[Message] = ()) -> ModelRequest:
    """Read `/v1/responses`; `earlier` are the messages of `previous_response_id`."""
    if "input" not in body:
        raise BadRequestError("'input' is required")
    tools = _tools(body.get("tools"))
    text_format = (body.get("text") or {}).get("format") or {}
    schema, name, method = _responses_format(text_format)
    if method is Method.NONE:
        schema, name, method = _forced_tool(tools, body.get("tool_choice"))
    instructions = [Message("system", body["instructions"])] if body.get("instructions") else []
    return ModelRequest(
        path=path,
        model=str(body.get("model", "")),
        messages=(*instructions, *earlier, *_input_items(body["input"])),
        tools=tools,
        schema=schema,
        schema_name=name,
        method=method,
        stream=bool(body.get("stream", False)),
        body=body,
    )


def read_ollama(path: str, body: Mapping[str, Any]) -> ModelRequest:
    """Read `/api/chat` and `/api/generate`, which stream unless told otherwise."""
    tools = _tools(body.get("tools"))
    schema, method = None, Method.NONE
    if body.get("format") == "json":
        method = Method.JSON_MODE
    elif isinstance(body.get("format"), dict):
        schema, method = body["format"], Method.JSON_SCHEMA
    elif len(tools) == 1:
        # This protocol has no tool_choice: one lonely tool is how structure is asked for.
        schema, method = tools[0].parameters, Method.TOOLS
    return ModelRequest(
        path=path,
        model=str(body.get("model", "")),
        messages=_ollama_messages(body),
        tools=tools,
        schema=schema,
        schema_name=tools[0].name if method is Method.TOOLS else "",
        method=method,
        stream=bool(body.get("stream", True)),
        body=body,
    )


def _ollama_messages(body: Mapping[str, Any]) -> tuple[Message, ...]:
    if "prompt" in body:
        system = [Message("system", body["system"])] if body.get("system") else []
        return (*system, Message("user", str(body["prompt"])))
    return tuple(_message(raw) for raw in body.get("messages") or [])


def _required_list(body: Mapping[str, Any], key: str) -> list[Any]:
    value = body.get(key)
    if not isinstance(value, list):
        raise BadRequestError(f"{key!r} is required and must be an array")
    return value


def _message(raw: Mapping[str, Any]) -> Message:
    return Message(
        role=str(raw.get("role", "")),
        text=_text(raw.get("content")),
        tool_calls=tuple(_chat_call(entry) for entry in raw.get("tool_calls") or []),
        tool_call_id=str(raw.get("tool_call_id") or ""),
        reasoning=str(raw.get("reasoning_content") or raw.get("reasoning") or raw.get("thinking") or ""),
    )


def _text(content: Any) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text") or part.get("refusal") or "") for part in content)


def _chat_call(raw: Mapping[str, Any]) -> Call:
    function = raw.get("function") or {}
    return _call(str(function.get("name", "")), function.get("arguments"), str(raw.get("id") or ""))


def _call(name: str, arguments: Any, call_id: str) -> Call:
    if isinstance(arguments, Mapping):
        return Call(name, arguments, call_id)
    try:
        parsed = json.loads(arguments or "{}")
    except (TypeError, json.JSONDecodeError):
        parsed = None
    if isinstance(parsed, dict):
        return Call(name, parsed, call_id)
    return Call(name, {}, call_id, raw=arguments if arguments is not None else NOTHING)


def _tools(raw: Any) -> tuple[ToolSpec, ...]:
    specs = []
    for entry in raw or []:
        function = entry.get("function", entry)
        if "name" in function:
            parameters = function.get("parameters") or {}
            description = str(function.get("description") or "")
            specs.append(ToolSpec(function["name"], description, parameters))
    return tuple(specs)


Format = tuple[Mapping[str, Any] | None, str, Method]


def _chat_format(raw: Mapping[str, Any]) -> Format:
    if raw.get("type") == "json_schema":
        inner = raw.get("json_schema") or {}
        return inner.get("schema") or {}, str(inner.get("name", "")), Method.JSON_SCHEMA
    if raw.get("type") == "json_object":
        return raw.get("schema"), "", Method.JSON_MODE
    return None, "", Method.NONE


def _responses_format(raw: Mapping[str, Any]) -> Format:
    if raw.get("type") == "json_schema":
        return raw.get("schema") or {}, str(raw.get("name", "")), Method.JSON_SCHEMA
    return None, "", Method.JSON_MODE if raw.get("type") == "json_object" else Method.NONE


def _forced_tool(tools: Sequence[ToolSpec], choice: Any) -> Format:
    wanted = ""
    if isinstance(choice, Mapping):
        wanted = str((choice.get("function") or choice).get("name", ""))
    elif choice in {"required", "any"} and len(tools) == 1:
        wanted = tools[0].name
    for tool in tools:
        if tool.name == wanted:
            return tool.parameters, tool.name, Method.TOOLS
    return None, "", Method.NONE


def _input_items(raw: Any) -> list[Message]:
    if isinstance(raw, str):
        return [Message("user", raw)]
    return [message for item in raw if (message := _input_item(item)) is not None]


def _input_item(item: Mapping[str, Any]) -> Message | None:
    kind = item.get("type", "message")
    if kind == "message":
        return Message(str(item.get("role", "user")), _text(item.get("content")))
    if kind == "function_call":
        call = _call(str(item["name"]), item.get("arguments"), str(item.get("call_id", "")))
        return Message("assistant", tool_calls=(call,))
    if kind == "function_call_output":
        return Message("tool", _text(item.get("output")), tool_call_id=str(item.get("call_id", "")))
    if kind == "reasoning":
        return Message("assistant", reasoning=_text(item.get("summary") or []))
    raise BadRequestError(f"unknown input item type {kind!r}")
