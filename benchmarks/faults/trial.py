"""Runs one cell of the matrix: a registry, a server that misbehaves, a second one that is good."""

import asyncio
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from langchain_core.messages import HumanMessage, SystemMessage
from pydantic import BaseModel, ConfigDict

from core.config.settings import LLMSettings, Settings
from core.errors import ModelError
from core.replies import CallSite
from core.storage.database import Database
from llm_registry.registry import open_registry
from tests.modelserver.faults import STRUCTURE, TOOLS, Fault
from tests.modelserver.info import Shape
from tests.modelserver.reply import Call, Reply, call_all, give, say
from tests.modelserver.server import ModelServer, faulty

TEXT = "The answer is forty-two."
FROM_SECOND = "Forty-two, says the second server."
TIMEOUTS = {"connect": 6.0, "first_token": 6.0, "idle": 4.0, "total": 40.0}
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "read_file",
        "description": "Read a file.",
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
    },
}


class Verdict(BaseModel):
    """What the structured trials ask for."""

    model_config = ConfigDict(extra="forbid")

    passed: bool
    score: int
    notes: list[str]


VERDICT = {"passed": True, "score": 42, "notes": ["good"]}
SECOND_VERDICT = {"passed": True, "score": 43, "notes": ["good"]}


class Protocol(StrEnum):
    """How the server that misbehaves is spoken to."""

    CHAT = "chat"
    RESPONSES = "responses"
    OLLAMA = "ollama"


class Manner(StrEnum):
    """How long it misbehaves, and what stands behind it."""

    ONCE = "once"
    ALWAYS = "always"
    ALONE = "alone"
    """Always, and there is no second server."""


class Question(StrEnum):
    """What the role is asked."""

    TEXT = "text"
    OBJECT = "object"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class Trial:
    """One cell."""

    fault: Fault
    protocol: Protocol
    manner: Manner

    @property
    def question(self) -> Question:
        """What is asked where the fault can show."""
        if self.fault in STRUCTURE or self.fault is Fault.NO_RESPONSE_FORMAT:
            return Question.OBJECT
        return Question.TOOL if self.fault in TOOLS or self.fault is Fault.NO_TOOLS else Question.TEXT


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a trial ended."""

    end: str
    """`first` or `second`: who gave the right answer; `error`: a typed error; anything else is wrong."""
    kinds: tuple[str, ...]
    """Kinds of failures in the book of calls, in order."""
    calls: int
    detail: str = ""


class _Silent:
    def emit(self, event: str, /, **data: Any) -> None:
        """Events are not looked at here."""


def _good(question: Question, *, second: bool) -> Reply:
    if question is Question.OBJECT:
        return give(SECOND_VERDICT if second else VERDICT)
    if question is Question.TOOL:
        return call_all(Call("read_file", {"path": "second.py" if second else "first.py"}))
    return say(FROM_SECOND if second else TEXT)


def _spec(server: ModelServer, protocol: Protocol, **more: Any) -> dict[str, Any]:
    own = {"provider": "ollama", "base_url": server.url} if protocol is Protocol.OLLAMA else {
        "provider": "openai_compatible", "base_url": server.v1, "api": protocol.value,
    }  # fmt: skip
    return {**own, "model": "scripted", "timeouts": TIMEOUTS, **more}


def _sizes(fault: Fault) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Settings of the server, of the spec, and the prompt: a long one where the window is the matter."""
    if fault is Fault.SILENT_TRUNCATION:
        return {"context": 3000}, {"context_length": 3000}, "What is the answer? " * 600
    return {}, {}, "What is the answer?"


async def run(trial: Trial) -> Outcome:
    """Run one trial."""
    question = trial.question
    shape = Shape.OLLAMA if trial.protocol is Protocol.OLLAMA else Shape.OPENAI
    server, spec, prompt = _sizes(trial.fault)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bad = await asyncio.to_thread(
            stack.enter_context,
            faulty(trial.fault, _good(question, second=False), times=1 if trial.manner is Manner.ONCE else None,
                   shape=shape, **server),
        )  # fmt: skip
        good = await asyncio.to_thread(stack.enter_context, ModelServer(lambda _: _good(question, second=True)))
        fallback = [] if trial.manner is Manner.ALONE else ["second"]
        llm = {"primary": _spec(bad, trial.protocol, fallback=fallback, **spec)}
        llm["models"] = {"second": _spec(good, Protocol.CHAT)}
        settings = Settings(llm=LLMSettings.model_validate(llm))
        end, detail = await _ask(settings, question, prompt, folder)
        kinds, calls = await _book(folder / "book.db")
        await asyncio.to_thread(stack.close)
    return Outcome(end, kinds, calls, detail)


async def _ask(settings: Settings, question: Question, prompt: str, folder: Path) -> tuple[str, str]:
    site = CallSite(thread="t", node="trial")
    messages = [SystemMessage("You are asked a question."), HumanMessage(prompt)]
    try:
        async with (
            asyncio.timeout(60),
            open_registry(
                settings, thread_id="t", database=Database(folder / "book.db"), events=_Silent(), state_dir=folder
            ) as models,
        ):
            if question is Question.OBJECT:
                value, _ = await models.ask("primary", messages, Verdict, site=site)
                return {42: "first", 43: "second"}.get(value.score, "wrong"), str(value)
            reply = await models.chat("primary", messages, site=site, tools=[TOOL] if question is Question.TOOL else ())
    except ModelError as error:
        return "error", str(error)
    except TimeoutError:
        return "HANG", ""
    if question is Question.TOOL:
        paths = [call.args.get("path") for call in reply.tool_calls]
        ends = {("first.py",): "first", ("second.py",): "second"}
        return ends.get(tuple(paths), "wrong"), str(reply.tool_calls)
    return {TEXT: "first", FROM_SECOND: "second"}.get(reply.text, "wrong"), reply.text


async def _book(path: Path) -> tuple[tuple[str, ...], int]:
    rows = [row["outcome"] for row in await Database(path).read("SELECT outcome FROM calls ORDER BY id")]
    return tuple(outcome for outcome in rows if outcome != "ok"), len(rows)
