"""Fixes incomplete event streams of `/v1/responses` servers before LangChain reads them.

llama.cpp numbers neither items nor their parts, so text would be appended to the reasoning before it; and the
reasoning of open models comes in events that LangChain drops. Owns only that.
"""

from collections.abc import AsyncIterator
from typing import Any

from openai.types.responses import ResponseReasoningSummaryTextDeltaEvent

from llm_registry.failures.error_mapping import kind_from_message
from llm_registry.failures.errors import CallFailure, ErrorKind
from llm_registry.providers.chat_stream import arguments_text

_REASONING_DELTA = "response.reasoning_text.delta"
_ARGUMENTS_DELTA = "response.function_call_arguments.delta"
_ENDS_BADLY = frozenset({"error", "response.failed"})
_ENDS_WELL = frozenset({"response.completed", "response.incomplete"})
_SUB_INDEXES = ("content_index", "summary_index")


async def repair_events(events: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """Number items and parts that have no number, and let reasoning through."""
    places: dict[str, int] = {}
    async for event in events:
        if event.type in _ENDS_BADLY:
            raise _failure(event)
        item = getattr(event, "item", None)
        name = getattr(event, "item_id", None) or getattr(item, "id", None)
        if name is not None:
            given = getattr(event, "output_index", None)
            event.output_index = places.setdefault(name, len(places) if given is None else given)
            for part in _SUB_INDEXES:
                if part in type(event).model_fields and getattr(event, part, None) is None:
                    setattr(event, part, 0)
        _word_arguments(event, item)
        yield _as_summary(event) if event.type == _REASONING_DELTA else event


def _word_arguments(event: Any, item: Any) -> None:
    """Convert non-text arguments to text, and keep the last event from being read as a second answer.

    It repeats the output, and LangChain rejects all of it if one call's arguments are not an object.
    """
    if event.type in _ENDS_WELL and getattr(event.response, "output", None):
        event.response.output = []
    if event.type == _ARGUMENTS_DELTA and not isinstance(event.delta, str):
        event.delta = arguments_text(event.delta)
    if getattr(item, "type", "") == "function_call" and not isinstance(item.arguments, str):
        item.arguments = arguments_text(item.arguments)


def _failure(event: Any) -> CallFailure:
    error = event if event.type == "error" else event.response.error
    words = str(getattr(error, "message", "") or "the server reported an error in the middle of its answer")
    return CallFailure(kind_from_message(words) or ErrorKind.SERVER_ERROR, words)


def _as_summary(event: Any) -> Any:
    return ResponseReasoningSummaryTextDeltaEvent.model_construct(
        type="response.reasoning_summary_text.delta", delta=event.delta, item_id=event.item_id,
        output_index=event.output_index, summary_index=0, sequence_number=getattr(event, "sequence_number", 0),
    )  # fmt: skip
