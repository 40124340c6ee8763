"""A chat model that says what it was given to say."""

from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult


class Speaker(BaseChatModel):
    """Says one message per call."""

    said: list[AIMessage]

    @property
    def _llm_type(self) -> str:
        return "speaker"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self.said.pop(0))])
