"""How a run of a thread ended: what it returns, prints and records."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from core.artifacts import RoleUsage
from core.threads import ThreadStatus


class RunResult(BaseModel):
    """How a run ended; its aliases are the fields of the `result` event."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, serialize_by_alias=True)

    thread_id: str = Field(alias="thread")
    status: ThreadStatus
    exit_code: int
    branch: str = ""
    report_path: str = Field(default="", alias="report")
    diff_path: str = Field(default="", alias="diff")
    usage: dict[str, RoleUsage] = Field(default_factory=dict)
    message: str = ""
    hint: str = ""

    def event(self) -> Mapping[str, Any]:
        """The fields of the `result` event."""
        return self.model_dump(mode="json", exclude={"thread_id"})
