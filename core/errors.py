"""Every error a user can meet, with its stable exit code. Errors carry data; only the command line shows them."""

import traceback
from enum import IntEnum

_MOST_TRACE = 20_000


class Exit(IntEnum):
    """Exit codes of the command line; they never change their meaning."""

    DONE = 0
    NOT_DONE = 1
    USAGE = 2
    CONFIG = 3
    NO_MODEL = 4
    BUDGET = 5
    INTERNAL = 6
    LOCKED = 75
    INTERRUPTED = 130
    TERMINATED = 143


class RolecallError(Exception):
    """Base of all errors that are shown to the user.

    Args:
        message: What happened, in one sentence.
        hint: What to do about it; empty when the message says so already.
    """

    code = "internal"
    exit_code = Exit.INTERNAL

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(RolecallError):
    """The command line or the repository is not usable as given."""

    code = "usage"
    exit_code = Exit.USAGE


class RepositoryError(UsageError):
    """The target is not a git repository rolecall can work in."""

    code = "repository"


class ThreadError(UsageError):
    """A thread is unknown, ambiguous or not in a state that allows the request."""

    code = "thread"


class StorageError(UsageError):
    """A file or directory rolecall needs cannot be read or written."""

    code = "storage"


class DamagedError(UsageError):
    """Stored data is damaged and cannot be read."""

    code = "damaged"


class ConfigError(RolecallError):
    """The configuration is invalid."""

    code = "config"
    exit_code = Exit.CONFIG


class SandboxError(RolecallError):
    """The sandbox for commands failed; nothing runs without it instead."""

    code = "sandbox"
    exit_code = Exit.CONFIG


class ModelError(RolecallError):
    """No model of a role could serve a call."""

    code = "model"
    exit_code = Exit.NO_MODEL


class NeedsModelError(ModelError):
    """The embedded engine was asked for something that needs a model."""

    code = "needs_model"


class BudgetError(RolecallError):
    """A limit on tokens, cost, time or calls is used up; the thread can be resumed with more."""

    code = "budget"
    exit_code = Exit.BUDGET


class LockedError(RolecallError):
    """Another live process is running the thread."""

    code = "locked"
    exit_code = Exit.LOCKED


class BusyError(RolecallError):
    """A machine resource is in use; the same command works once it is free."""

    code = "busy"
    exit_code = Exit.LOCKED


class DiskFullError(RolecallError):
    """There is no room to write; the same command continues once there is."""

    code = "disk_full"
    exit_code = Exit.LOCKED


class ToolError(RolecallError):
    """A tool call failed in a way the calling model can understand and correct."""

    code = "tool"


def traceback_text(error: BaseException) -> str:
    """The traceback of an error as Python prints it; for a very long one the end, which says what happened."""
    return "".join(traceback.format_exception(error))[-_MOST_TRACE:]
