"""The ways in to the repair search: its developers' face, `rolecall repair` and `rolecall run`.

Owns starting one of them on a repository and reading what it says. Whether the answer is right is
the business of `judge`.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

PROJECT = Path(__file__).parents[2]
TASK = "Make the failing tests pass"
GRACE_S = 30.0
RUN_GRACE_S = 240.0


@dataclass(frozen=True, slots=True)
class Proposal:
    """One patch an engine offers."""

    diff: str
    template: str = ""
    confidence: str = ""
    claim: str = ""
    still_failing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What an engine said about a repository."""

    status: str
    proposals: tuple[Proposal, ...]
    tried: int
    elapsed_s: float
    note: str = ""
    load: float = 0.0
    """Load average of the machine when the engine began: other work makes a search slower."""
    phases: Mapping[str, float] = field(default_factory=dict)
    """Seconds of the wall by phase of the search."""
    cpu_s: float = 0.0
    """Of processor time of all candidates."""
    validation_s: float = 0.0
    """Of whole runs of the suite, beside the search."""
    report: str = ""
    """Of a run: what it says it did."""


@dataclass(frozen=True, slots=True)
class Order:
    """Where an engine works, with what, and for how long."""

    root: Path
    python: Path
    env: Mapping[str, str]
    budget_s: float


def _module(order: Order) -> list[str]:
    argv = [sys.executable, "-m", "tools.repair", "--root", str(order.root), "--python", str(order.python)]
    return [*argv, "--budget", f"{order.budget_s:g}", "--json"]


def _repair(order: Order) -> list[str]:
    argv = [sys.executable, "-m", "rolecall", "repair", "--repo", str(order.root)]
    return [*argv, "--budget", f"{order.budget_s:g}", "--json"]


def _run(order: Order) -> list[str]:
    return [sys.executable, "-m", "rolecall", "run", TASK, "--repo", str(order.root), "--yes", "--json"]


ENGINES: dict[str, tuple[Callable[[Order], list[str]], float]] = {
    "module": (_module, GRACE_S),
    "repair": (_repair, GRACE_S),
    "run": (_run, RUN_GRACE_S),
}


def ask(engine: str, order: Order) -> Answer:
    """Run an engine to its end, or kill its process group when it is long over its time."""
    build, grace = ENGINES[engine]
    begun, load = time.monotonic(), os.getloadavg()[0]
    process = subprocess.Popen(
        build(order),
        cwd=PROJECT if engine == "module" else order.root,
        env=dict(order.env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=order.budget_s + grace)
    except BaseException as stopped:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if not isinstance(stopped, subprocess.TimeoutExpired):
            raise
        return Answer("overdue", (), 0, time.monotonic() - begun, "killed after its time")
    answer = read(out, err, code=process.returncode, elapsed_s=time.monotonic() - begun)
    return replace(answer, load=load)


def read(out: str, err: str, *, code: int, elapsed_s: float) -> Answer:
    """Read an engine's JSON: one result object, or event lines that end in one."""
    said = _last_object(out)
    if said is None:
        return Answer("crashed", (), 0, elapsed_s, f"exit {code}: {err.strip()[-400:]}")
    said = said.get("result", said) if isinstance(said.get("result"), dict) else said
    if "patches" in said:
        found = tuple(
            Proposal(
                p["diff"],
                p.get("template", ""),
                p.get("confidence", ""),
                p.get("claim", ""),
                tuple(p.get("still_failing", ())),
            )
            for p in said["patches"] or ()
        )
        note = str(said.get("stop_reason", ""))
    else:
        diff = _text_of(str(said.get("diff") or ""))
        found = (Proposal(diff),) if diff else ()
        note = f"exit {said.get('exit_code', code)}"
    answer = Answer(str(said.get("status", "")), found, int(said.get("tried") or 0), elapsed_s, note)
    phases, cpu, whole = said.get("phases"), said.get("cpu_s"), said.get("validation_s")
    return replace(
        answer,
        phases=phases if isinstance(phases, dict) else {},
        cpu_s=cpu if isinstance(cpu, float) else 0.0,
        validation_s=whole if isinstance(whole, float) else 0.0,
        report=_text_of(str(said.get("report") or "")),
    )


def _text_of(said: str) -> str:
    """Return the text itself, or that of the file that is named instead of it."""
    named = "\n" not in said and said != "" and Path(said).is_file()
    return Path(said).read_text(encoding="utf-8") if named else said


def _last_object(out: str) -> dict[str, object] | None:
    with contextlib.suppress(json.JSONDecodeError):
        whole = json.loads(out)
        return whole if isinstance(whole, dict) else None
    for line in reversed(out.splitlines()):
        with contextlib.suppress(json.JSONDecodeError):
            said = json.loads(line)
            if isinstance(said, dict):
                return said
    return None
