"""Small real calls that show what a model can do: call a tool and use its result, return an object, show its speed.

Owns the questions and what counts as an answer. Costs a few hundred tokens per spec.
"""

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel, Field

from core.config.settings import LLMSettings, ModelSpec, Settings, Timeouts
from core.errors import ModelError
from core.replies import CallSite, ModelReply
from llm_registry.diagnosis.ephemeral import ephemeral_registry
from llm_registry.registry import Registry

_SITE = CallSite(thread="doctor", node="doctor")
_PATIENCE = Timeouts(connect=3.0, first_token=90.0, idle=30.0)
_ROLE = "primary"
_COUNT = [HumanMessage("Count from one to sixty in words, separated by commas. Write nothing else.")]
_LONGEST = 2048
"""Tokens; enough for a model that thinks aloud, and a limit for one that never stops."""


@dataclass(frozen=True, slots=True)
class LiveCheck:
    """How one small task went."""

    ok: bool
    detail: str
    """What came back, or what went wrong."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class LiveChecks:
    """What a model showed."""

    tool_call: LiveCheck
    json: LiveCheck
    tokens_per_s: float | None = None
    """Tokens written per second after the first one."""
    first_token_s: float | None = None
    error: str = ""
    """Why it could not be asked at all."""


class Capital(BaseModel):
    """A country and its capital."""

    country: str
    capital: str
    letters_in_capital: int = Field(ge=1)


@tool
def get_weather(city: str) -> str:
    """Get the current weather in a city."""
    return f"18 degrees and rain in {city}"


async def run_live_checks(spec: ModelSpec) -> LiveChecks:
    """Let a spec do the three small tasks; failures become their `detail`."""
    limits = {"timeouts": _PATIENCE, "max_output_tokens": min(spec.max_output_tokens or _LONGEST, _LONGEST)}
    alone = spec.model_copy(update={"fallback": (), "temperature": spec.temperature or 0.0, **limits})
    settings = Settings(llm=LLMSettings(**{_ROLE: alone}))
    async with ephemeral_registry(settings, "doctor") as registry:
        try:
            reply = await registry.chat(_ROLE, _COUNT, site=_SITE)
        except ModelError as error:
            # It was not reached, and each further task would wait as long as this one.
            failed = LiveCheck(ok=False, detail=_reason(error))
            return LiveChecks(failed, failed, error=failed.detail)
        tool_call = await _trip(_call_tool, registry)
        given = await _trip(_give_object, registry)
    return LiveChecks(tool_call, given, tokens_per_s(reply), reply.first_token_s)


def tokens_per_s(reply: ModelReply) -> float | None:
    """Tokens written per second after the first one; `None` when the server counted none."""
    if not reply.usage.output_tokens or reply.first_token_s is None:
        return None
    seconds = reply.seconds - reply.first_token_s
    return (reply.usage.output_tokens - 1) / seconds if seconds > 0 and reply.usage.output_tokens > 1 else None


async def _trip(task: Callable[[Registry], Awaitable[LiveCheck]], registry: Registry) -> LiveCheck:
    began = time.monotonic()
    try:
        return await task(registry)
    except ModelError as error:
        return LiveCheck(ok=False, detail=_reason(error), seconds=time.monotonic() - began)


def _reason(error: ModelError) -> str:
    """What happened to the only spec of the chain, without the surrounding text."""
    return re.sub(rf"^no model can serve the role '{_ROLE}': {_ROLE}(:\S+)?: ", "", error.message)


async def _call_tool(registry: Registry) -> LiveCheck:
    question = [
        SystemMessage("Use the tool to answer the question; never guess the weather."),
        HumanMessage("What is the weather in Oslo?"),
    ]
    asked = await registry.chat(_ROLE, question, tools=[get_weather], site=_SITE)
    if not asked.tool_calls:
        return LiveCheck(ok=False, detail=f"expected a tool call, got {asked.text[:80]!r}", seconds=asked.seconds)
    called = asked.tool_calls[0]
    city = called.args.get("city")
    if not isinstance(city, str) or not city:
        return LiveCheck(ok=False, detail=f"the call has no city: {called.args}", seconds=asked.seconds)
    history = [
        *question,
        AIMessage("", tool_calls=[{"id": one.id, "name": one.name, "args": one.args} for one in asked.tool_calls]),
        *(ToolMessage(get_weather.invoke(one.args), tool_call_id=one.id) for one in asked.tool_calls),
    ]
    told = await registry.chat(_ROLE, history, tools=[get_weather], site=_SITE)
    seconds = asked.seconds + told.seconds
    if told.tool_calls:
        return LiveCheck(ok=False, detail="it called the tool again instead of answering", seconds=seconds)
    return LiveCheck(ok="18" in told.text, detail=told.text[:80], seconds=seconds)


async def _give_object(registry: Registry) -> LiveCheck:
    question = [HumanMessage("Norway: its name, its capital, and how many letters the capital's name has.")]
    found, reply = await registry.ask(_ROLE, question, Capital, site=_SITE)
    tries = "" if reply.attempts == 1 else f" after {reply.attempts} tries"
    return LiveCheck(ok=True, detail=f"{found.model_dump_json()}{tries}", seconds=reply.seconds)
