"""The verbs `steer` and `pause`: a message into a thread's inbox, whichever process runs it."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from core.errors import ThreadError
from rolecall.service.lookup import OnThread, ThreadRequest, found, is_driven, redactor_for, unheard
from rolecall.service.plain import blocking

if TYPE_CHECKING:
    from core.redaction import Redactor
    from graph.store.inbox import SqliteInbox


class SteerRequest(ThreadRequest):
    """A message to a thread."""

    text: str = Field(min_length=1)
    urgent: bool = False
    """Interrupt the model call in progress."""
    author: str = "user"


class Sent(BaseModel):
    """A message that is in the inbox."""

    model_config = ConfigDict(frozen=True)

    thread: str
    """The full id."""
    id: int
    running: bool
    """A process is running the thread; otherwise the message waits for one."""
    hidden: tuple[str, ...] = ()
    """The placeholders stored in place of secrets in the text."""


@blocking
async def steer(request: SteerRequest, *, on_thread: OnThread = unheard) -> Sent:
    """Send a message to a thread.

    Raises:
        ThreadError: The thread is unknown, or finished, so it would never be read.
    """
    top, row = await found(request, on_thread)
    running = await is_driven(top, row.thread_id)
    if row.finished and not running:
        raise ThreadError(
            f"{row.short} is finished ({row.status}); the message was not sent",
            hint=f"`rolecall continue {row.short} TEXT` builds on what it did",
        )
    redactor = await redactor_for(row, top)
    hidden = tuple(sorted(redactor.found_in(request.text)))
    number = await inbox_of(top, row.thread_id, redactor).put(
        row.thread_id, kind="guidance", author=request.author, text=request.text,
        payload={"urgent": True} if request.urgent else {},
    )  # fmt: skip
    return Sent(thread=row.thread_id, id=number, running=running, hidden=hidden)


@blocking
async def pause(request: ThreadRequest, *, on_thread: OnThread = unheard) -> Sent:
    """Ask a running thread to stop at its next step.

    Raises:
        ThreadError: The thread is unknown or not running.
    """
    from core.redaction import Redactor

    top, row = await found(request, on_thread)
    if not await is_driven(top, row.thread_id):
        raise ThreadError(f"{row.short} is not running, so there is nothing to pause")
    inbox = inbox_of(top, row.thread_id, Redactor())
    number = await inbox.put(row.thread_id, kind="pause", author="user", text="")
    return Sent(thread=row.thread_id, id=number, running=True)


def inbox_of(top: Path, thread_id: str, redactor: "Redactor") -> "SqliteInbox":
    """The inbox of a thread, for whoever runs it and passes on what a person says meanwhile."""
    from core.storage.database import database_of
    from graph.store.inbox import SqliteInbox

    return SqliteInbox(database_of(top), thread_id, redactor)
