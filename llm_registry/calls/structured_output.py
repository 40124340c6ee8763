"""Structured answers that work with weak models: request methods, one after another, each with errors fed back.

Owns the order json_schema, json_mode, function_calling and the choice among the objects found. Which method worked is
remembered per spec.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from pydantic import BaseModel, ValidationError

from llm_registry.calls.client import SpecClient
from llm_registry.calls.feedback import SHOWN_CHARS, call_with_feedback
from llm_registry.calls.json_extraction import json_mistake_in, json_objects_in, repaired_objects_in
from llm_registry.calls.normalize import ParsedAnswer
from llm_registry.calls.requests import Attempt, CallResult, RoleRequest
from llm_registry.failures.errors import CallFailure, ErrorKind
from llm_registry.records.capability_cache import CapabilityCache
from llm_registry.specs.role_chains import ChainLink

StructuredMethod = Literal["json_schema", "json_mode", "function_calling"]
METHODS: tuple[StructuredMethod, ...] = ("json_schema", "json_mode", "function_calling")
_TRAIT = "structured"


async def ask_structured(
    client: SpecClient, capabilities: CapabilityCache, link: ChainLink, request: RoleRequest,
    artifact: type[BaseModel], attempt: Attempt,
) -> CallResult:  # fmt: skip
    """Ask one spec for an object until it validates; it is in `reply.parsed`.

    Raises:
        CallFailure: `BAD_OUTPUT` when no method gave a valid object; any other failure unchanged.
    """
    problem = CallFailure(ErrorKind.BAD_OUTPUT, "no request method is left to try")
    judged = replace(request, judge=lambda answer: _problem(answer, artifact))
    known = None if link.embedded else await capabilities.get(link.spec, _TRAIT)
    for method in METHODS[:1] if link.embedded else sorted(METHODS, key=lambda method: method != known):
        try:
            prepared = _prepare(method, judged, artifact.model_json_schema())
            done = await call_with_feedback(client, link, prepared, attempt, _feedback)
        except CallFailure as failure:
            if failure.kind not in {ErrorKind.BAD_OUTPUT, ErrorKind.UNSUPPORTED, ErrorKind.BAD_REQUEST}:
                raise
            problem = failure
            continue
        if done.problem:
            problem = CallFailure(ErrorKind.BAD_OUTPUT, f"{method}: {done.problem}")
            continue
        if not link.embedded:
            await capabilities.put(link.spec, _TRAIT, method)
        return replace(done, reply=done.reply.model_copy(update={"parsed": parse_object(done.answer, artifact)}))
    # Every way was tried with feedback: asking the same spec again would change nothing.
    raise CallFailure(problem.kind, problem.message, final=True)


def _problem(answer: ParsedAnswer, artifact: type[BaseModel]) -> str:
    try:
        parse_object(answer, artifact)
    except ValueError as error:
        said = str(error)
        return said if len(said) <= SHOWN_CHARS else f"{said[:SHOWN_CHARS]}…"
    return ""


def _prepare(method: StructuredMethod, ask: RoleRequest, schema: dict[str, Any]) -> RoleRequest:
    title = str(schema.get("title", "answer"))
    if method == "json_schema":
        form: dict[str, Any] = {"type": "json_schema", "json_schema": {"name": title, "schema": schema}}
        return replace(ask, structured=True, options={**ask.options, "response_format": form})
    if method == "json_mode":
        shown = HumanMessage(
            f"Answer with one JSON object called {title} and nothing else: no other text, no code fence. "
            f"It must match this JSON schema:\n{json.dumps(schema)}"
        )
        options = {**ask.options, "response_format": {"type": "json_object"}}
        return replace(ask, structured=True, messages=(*ask.messages, shown), options=options)
    tool = {"type": "function", "function": {
        "name": title, "description": str(schema.get("description", f"Return the {title}.")), "parameters": schema,
    }}  # fmt: skip
    # "required" and not the tool's name: several servers take a named choice for "auto".
    return replace(ask, structured=True, tools=(tool,), options={**ask.options, "tool_choice": "required"})


def parse_object(answer: ParsedAnswer, artifact: type[BaseModel]) -> BaseModel:
    """Find a valid object in an answer.

    Raises:
        ValueError: There is none; the message says what is wrong, worded for the model.
    """
    problem = json_mistake_in(answer.text) or "the answer contains no JSON object"
    for candidate in _candidates(answer):
        try:
            return artifact.model_validate(candidate)
        except ValidationError as error:
            problem = _explain(error)
        if (inner := _wrapped(candidate)) is not None:
            with suppress(ValidationError):
                return artifact.model_validate(inner)
    if answer.broken:
        problem = answer.broken[0].error
    if answer.finish_reason == "length":
        problem = f"the answer was cut off by the token limit: {problem}"
    raise ValueError(problem)


def _candidates(answer: ParsedAnswer) -> Iterator[dict[str, Any]]:
    yield from (call.args for call in answer.calls)
    yield from json_objects_in(answer.text)
    yield from json_objects_in(answer.reasoning)
    if answer.finish_reason != "length":
        yield from repaired_objects_in(answer.text)


def _wrapped(candidate: dict[str, Any]) -> Any:
    """The content of an object that only wraps another one: models like to wrap their answer in a name."""
    values = list(candidate.values())
    return values[0] if len(values) == 1 and isinstance(values[0], dict) else None


def _explain(error: ValidationError) -> str:
    lines = [
        f"{'.'.join(str(part) for part in problem['loc']) or 'the object'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_input=False)
    ]
    return "; ".join(lines[:8])


def _feedback(done: CallResult) -> Sequence[BaseMessage]:
    if done.answer.finish_reason == "length":
        return ()  # what was cut once would be cut again: another way of asking is tried at once
    said = done.answer.text or "\n".join(call.arguments for call in done.answer.broken)
    said = said or json.dumps([call.args for call in done.answer.calls], default=str)
    return [
        AIMessage(said[:SHOWN_CHARS]),
        HumanMessage(f"Your answer is not valid: {done.problem}\nAnswer again with the corrected JSON object only."),
    ]
