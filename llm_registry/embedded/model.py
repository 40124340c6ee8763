"""The embedded engine behind the interface of every other chat model."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from core.errors import NeedsModelError
from llm_registry.embedded.reading import sections
from llm_registry.embedded.repairing import next_turn
from llm_registry.embedded.stages import ADVICE, EXTRACTORS, SCOPE_OF_ENGINE

EXTRACT_CHARS = 2000


class EmbeddedChatModel(BaseChatModel):
    """Answers structured questions by extraction, codes by repair search, shortens by cutting.

    It raises `NeedsModelError` for everything else, saying what it is and what would help.
    """

    @property
    def _llm_type(self) -> str:
        return "embedded"

    def bind_tools(
        self, tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool], **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools in the OpenAI form."""
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        del stop, run_manager
        return ChatResult(generations=[ChatGeneration(message=_reply(messages, kwargs))])


def _reply(messages: list[BaseMessage], kwargs: dict[str, Any]) -> AIMessage:
    if kwargs.get("response_format"):
        return AIMessage(json.dumps(_extracted(messages, kwargs["response_format"])))
    if kwargs.get("tools"):
        return next_turn(messages, [tool["function"]["name"] for tool in kwargs["tools"]])
    text = sections(messages).get("text")
    if text is None:
        raise NeedsModelError(f"{SCOPE_OF_ENGINE}; it cannot answer in text.", hint=ADVICE)
    return AIMessage(text[:EXTRACT_CHARS])


def _extracted(messages: list[BaseMessage], response_format: dict[str, Any]) -> dict[str, Any]:
    title = str(response_format.get("json_schema", {}).get("name", ""))
    extractor = EXTRACTORS.get(title)
    if extractor is None:
        raise NeedsModelError(f"{SCOPE_OF_ENGINE}; it cannot produce a {title or 'structured answer'}.", hint=ADVICE)
    return extractor(sections(messages))
