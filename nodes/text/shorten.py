"""Shortens over-long fields of an artifact before it enters state: by the summarizer, or else by truncation."""

from typing import Any, TypeVar

from langchain_core.messages import HumanMessage
from pydantic import BaseModel

from core.context import Context
from core.errors import ModelError
from core.replies import CallSite
from nodes.text.rendering import render

A = TypeVar("A", bound=BaseModel)

FIELD_LIMIT = 2000
"""Characters a text field of an artifact may have in state."""


async def shorten_texts(artifact: A, context: Context, node: str) -> A:
    """Return the artifact with every text at most `FIELD_LIMIT` characters long; texts deeper within it are cut.

    Args:
        artifact: Of any kind.
        context: Of the run.
        node: Whose artifact it is; the calls are its own.
    """
    artifact = artifact.model_copy(update={name: _cut(value) for name, value in artifact if not isinstance(value, str)})
    long = {
        name: value
        for name, value in artifact
        if isinstance(value, str) and len(value) > FIELD_LIMIT
    }  # fmt: skip
    if not long:
        return artifact
    short = {name: await _shorten(value, context, node) for name, value in long.items()}
    return artifact.model_copy(update=short)


def _cut(value: Any) -> Any:
    # Any: the values of any field of any artifact.
    if isinstance(value, str):
        return clip(value, FIELD_LIMIT)
    if isinstance(value, tuple):
        return tuple(_cut(item) for item in value)
    if isinstance(value, BaseModel):
        return value.model_copy(update={name: _cut(inner) for name, inner in value})
    return value


async def _shorten(text: str, context: Context, node: str) -> str:
    prompt = render("summarize/normalize", text=text, limit=FIELD_LIMIT)
    site = CallSite(thread=context.thread_id, node=node, purpose="normalize")
    try:
        reply = await context.models.chat("summarizer", [HumanMessage(prompt)], site=site)
    except ModelError as error:
        context.events.emit("warning", message=f"a long field was truncated instead of summarized: {error.message}")
        return clip(text, FIELD_LIMIT)
    return clip(reply.text.strip() or text, FIELD_LIMIT)


def clip(text: str, limit: int) -> str:
    """Keep head and tail of a text that is longer than `limit` characters, saying how much is left out."""
    if len(text) <= limit:
        return text
    keep = max(limit - 40, 20)
    head, tail = keep * 2 // 3, keep - keep * 2 // 3
    return f"{text[:head]}\n… {len(text) - keep} characters left out …\n{text[-tail:]}"
