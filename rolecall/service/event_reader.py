"""Reads the record of a thread back: its events as written, even while another process is still writing."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.events import Event
from core.storage.thread_ids import is_thread_id


def event_of(record: dict[str, Any]) -> Event:
    """An event from its flat record. Names from a newer version are accepted as they are."""
    thread = str(record.get("thread", ""))
    head = {"v", "event", "thread", "ts"}
    return Event(
        event=record["event"],
        thread=thread if is_thread_id(thread) else "",
        ts=_moment(record.get("ts")),
        data={key: value for key, value in record.items() if key not in head},
    )


def _moment(text: object) -> datetime:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return datetime.fromtimestamp(0, UTC)


class Follower:
    """Reads what is appended to a JSON Lines file; an incomplete last line waits for the rest."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self._path = path
        self.offset = offset
        """Where the next call continues, in bytes."""

    def fresh(self) -> list[dict[str, Any]]:
        """The records added since the last call; lines cut off by a kill are left out."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self.offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self.offset += len(whole)
        return [record for line in whole.splitlines() if (record := _record(line)) is not None]


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        return None
    return record if isinstance(record, dict) and "event" in record else None
