"""Reads a thread from outside, on its own connection: cheaply whether anything changed, in full only then."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import PregelTask, StateSnapshot

from core.artifacts import QAReport
from core.storage.database import Database
from graph.drive.interruptible_stream import Graph
from graph.store.checkpoints import open_checkpoints
from graph.supervisor.snapshot import CheckOutcome, check_outcome

# Grouped over the key alone: it reads no blob. Asking the saver for its latest would sort every blob of the thread.
_HEADS = "SELECT checkpoint_ns, max(checkpoint_id) FROM checkpoints WHERE thread_id = ? GROUP BY checkpoint_ns"


@dataclass(frozen=True, slots=True)
class ThreadStates:
    """The states of a thread at one moment."""

    outer: Mapping[str, Any]
    inner: Mapping[str, Any]
    """Of the agent loop that is running; empty when none is."""
    node: str
    """What is running or comes next; empty when the thread is finished or has not started."""
    begun: bool


class ThreadReader:
    """Reads one thread. Created by `open_thread_reader`."""

    def __init__(self, graph: Graph, saver: AsyncSqliteSaver, thread_id: str) -> None:
        self._graph = graph
        self._saver = saver
        self._thread_id = thread_id
        self._heads: dict[str, str] = {}

    async def changed(self) -> bool:
        """Whether the thread has a checkpoint that the last call did not know."""
        async with self._saver.conn.execute(_HEADS, (self._thread_id,)) as rows:
            heads = {str(row[0]): str(row[1]) async for row in rows}
        changed = heads != self._heads
        self._heads = heads
        return changed

    async def look(self) -> ThreadStates:
        """Read the states through the graph, which knows how its channels are stored."""
        config: RunnableConfig = {"configurable": {"thread_id": self._thread_id}}
        state = await self._graph.aget_state(config, subgraphs=True)
        # `next` is empty for a moment between the last write of a step and the checkpoint that follows; tasks are not.
        node = state.tasks[0].name if state.tasks else ""
        return ThreadStates(state.values, _running(state.tasks), node, begun=state.created_at is not None)


@asynccontextmanager
async def open_thread_reader(graph: Graph, database: Database, thread_id: str) -> AsyncIterator[ThreadReader]:
    """Open a watch. The graph is only copied: its own saver is locked while the run writes.

    Raises:
        sqlite3.OperationalError: The file cannot be opened or stays locked for 30 s.
    """
    async with open_checkpoints(database) as saver:
        yield ThreadReader(graph.copy({"checkpointer": saver}), saver, thread_id)


@dataclass(slots=True)
class CheckHistory:
    """The outcomes of the checks over the attempts at a step; state keeps only the last."""

    _step: str | None = None
    _last: QAReport | None = None
    _outcomes: list[CheckOutcome] = field(default_factory=list)

    def note(self, outer: Mapping[str, Any]) -> tuple[CheckOutcome, ...]:
        """Add what is new and return the outcomes of the current step, oldest first."""
        if outer.get("current_step") != self._step:
            self._step, self._last = outer.get("current_step"), None
            self._outcomes.clear()
        report: QAReport | None = outer.get("qa")
        if report is not None and report != self._last:
            self._last = report
            work = sum(result.tool_calls for result in outer.get("step_results", ()))
            outcome = check_outcome(report, at=work)
            if outcome is not None:
                self._outcomes.append(outcome)
        return tuple(self._outcomes)


def _running(tasks: tuple[PregelTask, ...]) -> Mapping[str, Any]:
    for task in tasks:
        if isinstance(task.state, StateSnapshot):
            return task.state.values
    return {}
