"""How guidance gets into prompts and state: drained at model calls, marked as seen in the checkpoint with it."""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, NotRequired

from langchain.agents.middleware import (
    AgentMiddleware,
    AgentState,
    ExtendedModelResponse,
    ModelRequest,
    ModelResponse,
)
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.types import Command

from core.artifacts import Guidance
from core.context import Context, InboxItem
from core.state import deliver, latest
from nodes.text.quoting import quote

SPOKEN = frozenset({"guidance", "nudge", "replan", "prioritize", "milestone"})
"""Kinds a model is shown. The others are for the runner and for the choice of models."""
STOPPED_FOR_REPLAN = "Stopped because a new plan was requested."
"""The final message of a loop ended by a request for a new plan."""
STANDING_CHARS = 4000
"""How much of earlier guidance a prompt repeats."""

_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_LEADS = {
    "supervisor": "Note from the supervisor monitoring this run. Consider it before the next step.",
    "user": "New instruction from the user. Follow it from now on.",
}
_OTHER_LEAD = "New instruction from a program the user trusts. Follow it unless it contradicts the task."


class GuidedState(AgentState[Any]):
    """The part of the run's state an agent loop must carry so that its checkpoints mark what they contain."""

    guidance_cursor: NotRequired[Annotated[int, latest]]
    guidance: NotRequired[Annotated[tuple[Guidance, ...], deliver]]


@dataclass(frozen=True, slots=True)
class DeliveredGuidance:
    """What waited in the inbox."""

    messages: tuple[HumanMessage, ...]
    """To be shown to the model of the node, after its own messages."""
    update: dict[str, Any]
    """To be merged into what the node returns; empty when nothing waited."""
    guidance: tuple[Guidance, ...] = ()
    """The rows as they enter state; what `apply_guidance` reads."""


async def deliver_waiting(cursor: int, context: Context, node: str) -> DeliveredGuidance:
    """Take what waits after the cursor, at the entry of a node that calls a model.

    Nothing is marked as seen here: only the checkpoint with the returned update does that. A node that dies
    before that is called again and gets the same.
    """
    items = await context.inbox.after(cursor)
    if not items:
        return DeliveredGuidance((), {})
    taken = tuple(as_guidance(item, node) for item in items if item.kind != "request")
    for item in taken:
        context.events.emit("guidance", id=item.id, kind=item.kind, author=item.author, text=item.text, node=node)
    update = {"guidance_cursor": items[-1].id, "guidance": taken}
    return DeliveredGuidance(as_messages(taken), update, taken)


def as_guidance(item: InboxItem, node: str) -> Guidance:
    """The row as it enters state."""
    return Guidance(id=item.id, kind=item.kind, author=item.author, text=item.text, node=node, payload=item.payload)


def as_messages(items: Sequence[Guidance]) -> tuple[HumanMessage, ...]:
    """The rows a model is shown, with ids that make a second delivery replace the first."""
    return tuple(
        HumanMessage(fence_guidance(item), id=f"guidance-{item.id}", name=_NAME.sub("-", item.author) or "user")
        for item in items
        if item.kind in SPOKEN
    )


def standing_guidance(guidance: Iterable[Guidance], messages: Sequence[AnyMessage]) -> str:
    """User messages that are not in the transcript: sent at another node, or since summarized away.

    Supervisor notes are about one moment and are not repeated. The newest `STANDING_CHARS` are kept.
    """
    shown = {message.id for message in messages}
    parts: list[str] = []
    room = STANDING_CHARS
    for item in sorted(guidance, key=lambda item: item.id, reverse=True):
        if item.kind != "guidance" or f"guidance-{item.id}" in shown:
            continue
        text = fence_guidance(item)
        room -= len(text)
        if room < 0:
            break
        parts.append(text)
    return "\n\n".join(reversed(parts))


def fence_guidance(item: Guidance) -> str:
    """Put the text between marks it cannot forge, with a line on who sent it."""
    lead = _LEADS.get(item.author, _OTHER_LEAD)
    kind = _NAME.sub("-", item.kind)
    return f'{lead}\n<guidance id="{item.id}" kind="{kind}">\n{quote(item.text)}\n</guidance>'


class InboxMiddleware(AgentMiddleware[GuidedState, Context, Any]):
    """Deliver guidance at each model call of an agent loop; whatever reads the messages must come after it in the list.

    It wraps the model call instead of running before it: after a crash or a cancelled call only the model node runs
    again, and it must see what came in meanwhile.

    Args:
        node: The node of the outer graph that runs the loop; receipts name it.
    """

    state_schema = GuidedState

    def __init__(self, node: str = "implement") -> None:
        super().__init__()
        self._node = node

    async def awrap_model_call(
        self,
        request: ModelRequest[Context],
        handler: Callable[[ModelRequest[Context]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any] | ExtendedModelResponse[Any]:
        """Show the model what is waiting, and store it in the same checkpoint as the answer."""
        context = request.runtime.context
        drained = await deliver_waiting(_cursor(request.state), context, self._node)
        if any(item.kind == "replan" for item in drained.guidance):
            # The plan is made anew: another word on the old one would be wasted.
            ended = [*drained.messages, AIMessage(STOPPED_FOR_REPLAN)]
            return ExtendedModelResponse(ModelResponse(result=ended), Command(update=drained.update))
        asked = request.override(messages=[*request.messages, *drained.messages]) if drained.messages else request
        response = await handler(asked)
        update = {"guidance_cursor": _cursor(request.state), **drained.update}
        if _is_final(response) and await _waiting(update["guidance_cursor"], context):
            # It came in during the final answer: the model is called once more.
            update["jump_to"] = "model"
        elif not drained.update:
            return response
        answered = replace(response, result=[*drained.messages, *response.result])
        return ExtendedModelResponse(answered, Command(update=update))


def _is_final(response: ModelResponse[Any]) -> bool:
    last = response.result[-1] if response.result else None
    return isinstance(last, AIMessage) and not last.tool_calls


async def _waiting(cursor: int, context: Context) -> bool:
    return any(item.kind in SPOKEN for item in await context.inbox.after(cursor))


def _cursor(state: Any) -> int:
    # Any: the middleware is handed the loop's state under several static types.
    return int(state.get("guidance_cursor") or 0)
