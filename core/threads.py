"""How a thread stands, what was asked for it, and its row: the same words in every room and record."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, field_serializer, field_validator
from pydantic_core import PydanticCustomError

from core.errors import Exit
from core.storage.thread_ids import is_thread_id, short_id


class ThreadStatus(StrEnum):
    """The status of a thread."""

    RUNNING = "running"
    DONE = "done"
    ANSWERED = "answered"
    NOT_DONE = "not_done"
    STUCK = "stuck"
    NEEDS_MODEL = "needs_model"
    BUDGET = "budget"
    PAUSED = "paused"
    WAITING = "waiting"
    """No one was there to answer its question."""
    INTERRUPTED = "interrupted"
    """The run was killed or failed, and could not say how it ended."""

    @property
    def finished(self) -> bool:
        """Whether it ended, successfully or not: there is nothing to resume."""
        return self in {self.DONE, self.ANSWERED, self.NOT_DONE, self.STUCK}

    @property
    def succeeded(self) -> bool:
        """Whether the task is done."""
        return self in {self.DONE, self.ANSWERED}

    @property
    def reported(self) -> bool:
        """Whether the last run's report shows the thread's current status."""
        return self.finished or self in {self.BUDGET, self.NEEDS_MODEL}

    @property
    def exit_code(self) -> Exit:
        """The exit code of a run that ends this way."""
        return _EXIT_CODES.get(self, Exit.DONE if self.succeeded else Exit.NOT_DONE)


_EXIT_CODES = {
    ThreadStatus.NEEDS_MODEL: Exit.NO_MODEL,
    ThreadStatus.BUDGET: Exit.BUDGET,
    ThreadStatus.PAUSED: Exit.INTERRUPTED,
    ThreadStatus.INTERRUPTED: Exit.INTERRUPTED,
}


class ThreadOptions(BaseModel):
    """Stored options that apply to all runs of a thread; anything else is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)

    config: str = ""
    """The absolute path, because a thread may be resumed from another directory."""
    trust_project: bool = False
    supervise: bool = True
    limits: dict[str, float] = {}
    """By the names of `BudgetSettings`."""
    checks: list[str] = []
    """Empty: configured or detected."""
    models: dict[str, str] = {}
    """Role to spec."""

    def then(self, later: Self) -> Self:
        """These options, overridden by those of a later call."""
        return self.model_copy(
            update={
                "config": later.config or self.config,
                "trust_project": later.trust_project or self.trust_project,
                "supervise": later.supervise and self.supervise,
                "limits": {**self.limits, **later.limits},
                "checks": later.checks or self.checks,
                "models": {**self.models, **later.models},
            }
        )

    def overrides(self) -> dict[str, Any]:
        """The settings that these options stand for."""
        budget = {"budget": dict(self.limits)} if self.limits else {}
        return budget if self.supervise else {**budget, "supervisor": {"enabled": False}}


class ThreadRow(BaseModel):
    """One thread."""

    model_config = ConfigDict(frozen=True)

    thread_id: str
    status: ThreadStatus
    exit_code: int | None = None
    """Of its last run; `None` if there was none, or it is unknown."""
    task: str
    """What it was started for."""
    branch: str
    repo: Path
    options: ThreadOptions = ThreadOptions()
    created: datetime
    updated: datetime

    @field_serializer("created", "updated")
    def _iso(self, moment: datetime) -> str:
        return moment.isoformat(timespec="seconds")

    @field_serializer("options")
    def _given(self, options: ThreadOptions) -> dict[str, Any]:
        return options.model_dump(exclude_unset=True)

    @field_validator("thread_id")
    @classmethod
    def _is_uuid(cls, thread_id: str) -> str:
        if not is_thread_id(thread_id):
            raise PydanticCustomError("thread_id", "a thread id must be a UUID")
        return thread_id

    @field_validator("status", mode="before")
    @classmethod
    def _known(cls, status: Any) -> Any:
        """One that no run of ours wrote says nothing of how the thread ended, so it can be resumed."""
        return status if not isinstance(status, str) or status in set(ThreadStatus) else ThreadStatus.INTERRUPTED

    @property
    def short(self) -> str:
        """The short name of the thread, as in the name of its branch."""
        return short_id(self.thread_id)

    @property
    def finished(self) -> bool:
        """Whether it ended, successfully or not."""
        return self.status.finished
