"""Every verb with its request and result types: for notebooks, servers and other programs.

Verbs that run a thread are coroutines: `start`, `resume`, `continue_thread`, `answer`. All others are plain
functions that block until they are done.
"""

from core.errors import RolecallError
from core.run_result import RunResult
from core.threads import ThreadOptions, ThreadStatus
from graph.store.thread_store import ThreadRow
from rolecall.service.lookup import Request, SetupRequest, ThreadRequest
from rolecall.service.runs import (
    AnswerRequest,
    ContinueRequest,
    ResumeRequest,
    StartRequest,
    answer,
    continue_thread,
    resume,
    start,
)
from rolecall.service.setup import (
    BenchRequest,
    ConfigRequest,
    ConfigResult,
    DoctorRequest,
    Health,
    RoleModels,
    compare_models,
    config,
    doctor,
    models,
)
from rolecall.service.steering import Sent, SteerRequest, pause, steer
from rolecall.service.threads import (
    Deleted,
    DeleteRequest,
    Events,
    EventsRequest,
    Message,
    ThreadDetails,
    ThreadListing,
    adopt,
    delete,
    events,
    list_threads,
    thread,
)
from rolecall.service.work import AppliedWork, ApplyRequest, Diff, DiffRequest, apply, diff

__all__ = [
    "AnswerRequest",
    "AppliedWork",
    "ApplyRequest",
    "BenchRequest",
    "ConfigRequest",
    "ConfigResult",
    "ContinueRequest",
    "DeleteRequest",
    "Deleted",
    "Diff",
    "DiffRequest",
    "DoctorRequest",
    "Events",
    "EventsRequest",
    "Health",
    "Message",
    "Request",
    "ResumeRequest",
    "RoleModels",
    "RolecallError",
    "RunResult",
    "Sent",
    "SetupRequest",
    "StartRequest",
    "SteerRequest",
    "ThreadDetails",
    "ThreadListing",
    "ThreadOptions",
    "ThreadRequest",
    "ThreadRow",
    "ThreadStatus",
    "adopt",
    "answer",
    "apply",
    "compare_models",
    "config",
    "continue_thread",
    "delete",
    "diff",
    "doctor",
    "events",
    "list_threads",
    "models",
    "pause",
    "resume",
    "start",
    "steer",
    "thread",
]  # fmt: skip
