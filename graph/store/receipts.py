"""Receipts: what became of each row of the inbox. Derived from the checkpoints each time, written nowhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import StateSnapshot

from core.artifacts import Guidance
from core.context import Context, InboxItem
from graph.store.inbox import REQUEST

_Graph = CompiledStateGraph[Any, Context, Any, Any]


@dataclass(frozen=True, slots=True)
class Receipt:
    """A row of the inbox and where it was seen."""

    item: InboxItem
    status: Literal["queued", "seen", "undelivered"]
    """Undelivered: the thread ended before any model saw it."""
    node: str = ""
    checkpoint: str = ""
    """The first checkpoint of the thread that contains it; empty while only the running node has it."""
    refused: str = ""
    """Why it was not followed, where that is known."""

    @property
    def not_followed(self) -> str:
        """The same in words."""
        return f"not followed: {self.refused}" if self.refused else ""


async def read_receipts(graph: _Graph, thread_id: str, items: Sequence[InboxItem]) -> tuple[Receipt, ...]:
    """One receipt per row, in the order of the inbox, for the current state of the thread.

    A thread that was reset to an older checkpoint has the receipts of that checkpoint.

    Args:
        graph: Compiled; on its own connection when the thread may be running.
        thread_id: The thread.
        items: Rows of its inbox.
    """
    config: RunnableConfig = {"configurable": {"thread_id": thread_id}}
    state = await graph.aget_state(config, subgraphs=True)
    loops = [task.state.values for task in state.tasks if isinstance(task.state, StateSnapshot)]
    inside = {item.id: item for values in loops for item in _seen(values)}
    outside = {item.id: item for item in _seen(state.values)}
    first = await _first_holders(graph, state, set(outside))
    refused = {item.id: item.reason for item in state.values.get("refused", ())}
    ended = state.created_at is not None and not state.tasks
    made: list[Receipt] = []
    for item in items:
        if item.kind == REQUEST:
            made.append(Receipt(item, "seen" if state.values.get("request", 0) >= item.id else "queued"))
            continue
        seen = outside.get(item.id) or inside.get(item.id)
        if seen is not None:
            made.append(Receipt(item, "seen", seen.node, first.get(item.id, ""), refused.get(item.id, "")))
        else:
            made.append(Receipt(item, "undelivered" if ended else "queued"))
    return tuple(made)


async def _first_holders(graph: _Graph, state: StateSnapshot, wanted: set[int]) -> dict[int, str]:
    """Walk from the newest checkpoint to its ancestors while they still contain rows."""
    holders: dict[int, str] = {}
    at: StateSnapshot | None = state
    while at is not None and wanted:
        held = wanted & {item.id for item in _seen(at.values)}
        if not held:
            break
        checkpoint = str(at.config["configurable"].get("checkpoint_id", ""))
        holders |= dict.fromkeys(held, checkpoint)
        at = await graph.aget_state(at.parent_config) if at.parent_config else None
    return holders


def _seen(values: Mapping[str, Any]) -> tuple[Guidance, ...]:
    return tuple(values.get("guidance", ()))
