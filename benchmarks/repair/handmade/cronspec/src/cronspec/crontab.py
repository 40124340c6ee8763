"""Crontab files: jobs, comments and variables."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cronspec.fields import CronError
from cronspec.schedule import Schedule


@dataclass
class Job:
    """A command and when it runs; `env` holds the variables set above it."""

    schedule: Schedule
    command: str
    env: dict[str, str] = field(default_factory=dict)
    line: int = 0


def parse(text: str) -> list[Job]:
    """Read a crontab.

    Blank lines and lines that begin with `#` mean nothing. A variable holds for the jobs below it.

    Raises:
        CronError: a line cannot be read; the message names it, counted from 1.
    """
    env: dict[str, str] = {}
    jobs = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if equals and name.strip().isidentifier():
            env[name.strip()] = value.strip().strip('"')
            continue
        try:
            jobs.append(_job(line, dict(env), number))
        except CronError as error:
            raise CronError(f"line {number}: {error}") from error
    return jobs


def _job(line: str, env: dict[str, str], number: int) -> Job:
    fields = 1 if line.startswith("@") else 5
    parts = line.split(maxsplit=fields)
    if len(parts) <= fields:
        raise CronError("there is no command")
    return Job(Schedule(" ".join(parts[:fields])), parts[fields], env, number)


def due(jobs: Sequence[Job], last: datetime, now: datetime) -> list[Job]:
    """Return the jobs with a run after `last` and not after `now`, the earliest run first."""
    pending = [(job.schedule.after(last), job) for job in jobs]
    ready = [(at, job) for at, job in pending if at <= now]
    return [job for _, job in sorted(ready, key=lambda pair: (pair[0], pair[1].line))]


def upcoming(jobs: Sequence[Job], now: datetime, limit: int = 5) -> list[tuple[datetime, str]]:
    """Return the next runs of all jobs together, `limit` of them, in order of time."""
    found: list[tuple[datetime, int, str]] = []
    for job in jobs:
        at = now
        for _ in range(limit):
            at = job.schedule.after(at)
            found.append((at, job.line, job.command))
    return [(at, command) for at, _, command in sorted(found)[:limit]]
