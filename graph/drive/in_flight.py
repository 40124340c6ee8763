"""What a run is doing at this moment, read from its own events. It passes them on and decides nothing about the run."""

from collections import Counter
from typing import Any

from core.events import EventName, EventSink
from core.tool_effects import kept_effects

BESIDE = "supervisor"
"""The node name of calls made alongside the run; a pause neither waits for them nor cancels them."""

HELPERS = frozenset({"supervisor", "summarizer"})
"""Roles that make calls alongside the work; their waiting says nothing about the work."""


class ActivityTracker:
    """An event sink that remembers what a pause or an urgent message must know.

    Args:
        inner: Where the events go.
    """

    def __init__(self, inner: EventSink) -> None:
        self._inner = inner
        self.calls_in_flight = 0
        """Model calls that have started and not ended."""
        self.waits_for_place = False
        """Whether a call waits for its turn at a busy server."""
        self._tools: Counter[str] = Counter()
        """Running tools that do more than ask a model."""
        self.check = ""
        """The check that is running; empty when none is."""
        self.delivered = 0
        """Id of the last guidance a model was shown."""

    def emit(self, event: EventName, /, **data: Any) -> None:
        """Note the event and pass it on; a message that was already reported is not reported again."""
        match event:
            case "model_waiting" if data.get("role") not in HELPERS:
                self.waits_for_place = True
            case "model_started" if data.get("node") != BESIDE:
                self.calls_in_flight += 1
                self.waits_for_place = False
            case "model_finished" if data.get("node") != BESIDE:
                self.calls_in_flight = max(0, self.calls_in_flight - 1)
            case "tool_started" if not _only_asks(data):
                self._tools[str(data.get("tool"))] += 1
            case "tool_finished" if self._tools[str(data.get("tool"))] > 0:
                self._tools[str(data.get("tool"))] -= 1
            case "check_started" | "check_finished":
                self.check = str(data.get("command", "")) if event == "check_started" else ""
            case "guidance":
                if int(data["id"]) <= self.delivered:
                    return  # shown to the model again, since the call that had it was given up
                self.delivered = int(data["id"])
        self._inner.emit(event, **data)

    def reset(self) -> None:
        """Forget calls and tools that were cancelled and may never have reported their end."""
        self.calls_in_flight = 0
        self._tools.clear()
        self.check = ""
        self.waits_for_place = False

    @property
    def calling(self) -> bool:
        """Whether the run only waits for a model: nothing is lost if that call is cancelled.

        A tool that runs alongside the call, such as a command, would be lost.
        """
        return (self.calls_in_flight > 0 or self.waits_for_place) and not self._tools.total()


def _only_asks(data: dict[str, Any]) -> bool:
    """Whether a tool waits for a model and may be called again if that is given up."""
    effects = kept_effects(data.get("effects"))
    return effects.asks_model and effects.repeatable
