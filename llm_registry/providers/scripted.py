"""Answers from a file, for tests and for demonstrating failures: no server, no network.

Owns the script, whose messages and exceptions come in order, and the record of what was asked.
"""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from pydantic import Field, PrivateAttr, SkipValidation

from core.config.settings import ModelSpec
from core.errors import ConfigError
from llm_registry.failures.errors import CallFailure, ErrorKind
from llm_registry.providers.catalog import Api, BuiltModel

ScriptedAnswer = AIMessage | Exception


class ScriptExhausted(AssertionError):  # noqa: N818 - says what happened to the script
    """The script was asked for more answers than it contains."""


class ScriptedChatModel(BaseChatModel):
    """Gives its answers in order; an exception among them is raised."""

    answers: SkipValidation[Sequence[ScriptedAnswer]] = Field(default=())
    calls: list[list[BaseMessage]] = Field(default_factory=list)
    """What was asked, one list of messages per call."""
    _next: int = PrivateAttr(default=0)

    @classmethod
    def from_file(cls, path: str) -> "ScriptedChatModel":
        """Read a JSON list of answers.

        Each is a string, `{"text", "tool_calls": [{"name", "args"}]}`, `{"json": …}` or `{"error", "message"}`.

        Raises:
            ConfigError: The file is missing or not such a list.
        """
        try:
            raw = json.loads(Path(path).expanduser().read_text(encoding="utf-8"))
            return cls(answers=tuple(_read(entry, number) for number, entry in enumerate(raw)))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ConfigError(
                f"script {path!r} cannot be used: {error}", hint="it must be a JSON list of answers"
            ) from error

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:
        """Accept any tools: the script decides what is called."""
        return self.bind(tools=list(tools), **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self.calls.append(list(messages))
        if self._next >= len(self.answers):
            raise ScriptExhausted(f"the script contains {len(self.answers)} answers and was asked for one more")
        answer = self.answers[self._next]
        self._next += 1
        if isinstance(answer, Exception):
            raise answer
        return ChatResult(generations=[ChatGeneration(message=answer.model_copy(deep=True))])


async def build(spec: ModelSpec, *, api: Api, num_ctx: int | None = None) -> BuiltModel:
    """Read the script named by `options.script`."""
    model = await asyncio.to_thread(ScriptedChatModel.from_file, str(spec.options["script"]))
    return BuiltModel(model=model, errors=(ScriptExhausted, OSError, ValueError), streams=False)


def _read(entry: Any, number: int) -> ScriptedAnswer:
    if isinstance(entry, str):
        return AIMessage(entry)
    if "error" in entry:
        after = entry.get("retry_after")
        return CallFailure(ErrorKind(entry["error"]), entry.get("message", "scripted"), retry_after_s=after)
    text = json.dumps(entry["json"]) if "json" in entry else entry.get("text", "")
    calls = [
        {"name": call["name"], "args": call.get("args", {}), "id": call.get("id", f"call_{number}_{place}")}
        for place, call in enumerate(entry.get("tool_calls", ()))
    ]
    return AIMessage(text, tool_calls=calls)
