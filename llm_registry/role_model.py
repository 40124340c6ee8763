"""A LangChain chat model that is a role: each call goes through the whole chain. For agent loops and middleware."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from pydantic import SkipValidation

from core.replies import CallSite, ModelReply, Usage
from llm_registry.discovery.context_window import estimate_tokens

AskRole = Callable[[Sequence[BaseMessage], Sequence[Any], dict[str, Any]], Awaitable[ModelReply]]
"""Messages, tools and further arguments in; the reply of the chain out."""


class RoleChatModel(BaseChatModel):
    """The chat model of a role. Asynchronous only."""

    role: str
    site: CallSite
    ask_role: SkipValidation[AskRole]

    @property
    def _llm_type(self) -> str:
        return "rolecall"

    def bind_tools(
        self, tools: Sequence[Any], *, tool_choice: Any = None, **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Offer tools; they are converted for whichever server answers."""
        choice = {} if tool_choice is None else {"tool_choice": tool_choice}
        return self.bind(tools=list(tools), **choice, **kwargs)

    def get_num_tokens(self, text: str) -> int:
        """Guess from the characters: no tokenizer is available, and none is downloaded."""
        return estimate_tokens(len(text)).tokens

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise NotImplementedError("roles are async only: use `ainvoke`")

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        tools = kwargs.pop("tools", ())
        options = {**kwargs, **({"stop": stop} if stop else {})}
        reply = await self.ask_role(messages, tools, options)
        return ChatResult(generations=[ChatGeneration(message=as_message(reply))])


def as_message(reply: ModelReply) -> AIMessage:
    """The reply as a message that any server can be shown later: plain text, calls, no server's own items."""
    about = {"role": reply.role, "spec": reply.spec, "reason": reply.reason}
    extra = {"reasoning_content": reply.reasoning} if reply.reasoning else {}
    return AIMessage(
        content=reply.text,
        tool_calls=[{"name": call.name, "args": call.args, "id": call.id} for call in reply.tool_calls],
        additional_kwargs=extra,
        usage_metadata=_usage(reply.usage),
        response_metadata={"rolecall": about, "finish_reason": reply.finish_reason, "model_name": reply.spec},
    )


def _usage(usage: Usage) -> UsageMetadata | None:
    if usage.input_tokens is None and usage.output_tokens is None:
        return None
    read, written = usage.input_tokens or 0, usage.output_tokens or 0
    return UsageMetadata(input_tokens=read, output_tokens=written, total_tokens=read + written)
