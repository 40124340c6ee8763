"""Runs one search in its own process and reads its answer.

Owns the process: start, events, time limit, and ending everything it started. It does not
search; the program under `worker/` does, inside the interpreter of the program under repair.
"""

import asyncio
import compileall
import contextlib
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from tools.repair.answer import MAX_LINE_BYTES, patched_texts, read_line, result_of
from tools.repair.history import earlier_texts
from tools.repair.result import RepairEvent, RepairResult

Spawn = Callable[[Sequence[str], Path, Mapping[str, str]], Awaitable[asyncio.subprocess.Process]]
START_SCRIPT = Path(__file__).with_name("worker") / "start_search.py"
GRACE_S, ENDING_S = 2.5, 2.0
MOST_FAULTS = 3
"""How many patches, each for some of the failing tests, are stacked."""
LEAST_BUDGET_S = 5.0
"""The remaining budget must be worth another start."""


@dataclass(frozen=True, slots=True)
class RepairRequest:
    """What to repair: a directory, the interpreter that runs its tests, and a budget in seconds."""

    root: Path
    python: str
    env: Mapping[str, str]
    test_args: tuple[str, ...] = ()
    budget_s: float = 60.0
    workers: int = 0
    """Parallel tries; 0 means one per core."""
    seed: int = 0
    skip: tuple[str, ...] = ()
    """The `sha256` of patches that are known not to work."""
    base: Mapping[str, str] = field(default_factory=dict)
    """By path: the text to start from, where it differs from the file."""


async def search_repair(
    request: RepairRequest,
    *,
    on_event: Callable[[RepairEvent], None] | None = None,
    spawn: Spawn | None = None,
) -> RepairResult:
    """Search for patches; the directory is never written.

    Args:
        request: What to repair and within which budget.
        on_event: Called with each event of the search as it comes.
        spawn: Starts the process (argv, cwd, env) with pipes on stdin and stdout; a caller may
            wrap the command in a sandbox. Default: a plain subprocess in its own session.

    Returns:
        The patches that pass the tests, best first, and the suspicious lines.
    """
    started = time.monotonic()
    result = await _search_once(request, on_event, spawn or _spawn)
    for _ in range(MOST_FAULTS - 1):
        left = request.budget_s - (time.monotonic() - started)
        if result.status != "partial" or left < LEAST_BUDGET_S:
            break
        # Two faults at once: what mends a part of the tests is kept, and the search goes on from there.
        base = await asyncio.to_thread(patched_texts, request.root, result.patches[0])
        further = await _search_once(replace(request, budget_s=left, base=base), on_event, spawn or _spawn)
        result = _joined(result, further)
        if further.status not in {"plausible", "partial"}:
            break
    return result.model_copy(update={"elapsed_s": time.monotonic() - started})


def _joined(first: RepairResult, further: RepairResult) -> RepairResult:
    """The combined result of two searches, the second starting where the first ended."""
    phases = {**first.phases, **further.phases}
    spent = {
        "tried": first.tried + further.tried,
        "cpu_s": first.cpu_s + further.cpu_s,
        "validation_s": first.validation_s + further.validation_s,
        "phases": {name: first.phases.get(name, 0.0) + further.phases.get(name, 0.0) for name in phases},
    }
    if further.status not in {"plausible", "partial"}:
        reason = f"{first.stop_reason}; no further patch on top of it: {further.stop_reason}"
        return first.model_copy(update={**spent, "stop_reason": reason, "suspicious": further.suspicious})
    earlier = first.patches[0]
    joined = [
        patch.model_copy(
            update={
                "template": f"{earlier.template}, and {patch.template}",
                "mended": (*earlier.mended, *patch.mended) if patch.still_failing else (),
                "confidence": "low" if "low" in (earlier.confidence, patch.confidence) else patch.confidence,
                "reason": f"two faults, repaired one after the other; the first: {earlier.reason}; then: "
                f"{patch.reason}",
            }
        )
        for patch in further.patches
    ]
    kept = {"failing": first.failing, "passing": first.passing, "patches": tuple(joined)}
    return further.model_copy(update={**spent, **kept})


async def _search_once(
    request: RepairRequest, on_event: Callable[[RepairEvent], None] | None, spawn: Spawn
) -> RepairResult:
    started = time.monotonic()
    # An installed package has its bytecode; elsewhere each search would compile the worker before it begins.
    await asyncio.to_thread(compileall.compile_dir, START_SCRIPT.parent, quiet=2)
    temp = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="rolecall-repair-"))
    try:
        return await _search(request, temp, started, on_event, spawn)
    finally:
        await asyncio.to_thread(shutil.rmtree, temp, ignore_errors=True)


async def _search(
    request: RepairRequest,
    temp: Path,
    started: float,
    on_event: Callable[[RepairEvent], None] | None,
    spawn: Spawn,
) -> RepairResult:
    argv = [request.python, "-B", str(START_SCRIPT)]
    process = await spawn(argv, request.root, _environment(request, temp))
    importing = ""

    def follow(event: RepairEvent) -> None:
        nonlocal importing
        importing = str(event.fields.get("file", "")) if event.kind == "collecting" else ""
        if on_event is not None:
            on_event(event)

    try:
        answer: dict[str, Any] | None = None
        stop_reason = "the search process ended without an answer"
        try:
            async with asyncio.timeout(request.budget_s + GRACE_S):
                await _ask(process, request, temp)
                answer = await _read(process, follow)
        except TimeoutError:
            stop_reason = "the search did not finish within its budget and was stopped"
    finally:
        await _end(process)
    if answer is None:
        elapsed = time.monotonic() - started
        if importing:
            stop_reason = f"the interpreter exited or hung while importing {importing}"
            return RepairResult(
                status="unusable_tests", elapsed_s=elapsed, stop_reason=stop_reason, failing=(importing,)
            )
        return RepairResult(status="interrupted", elapsed_s=elapsed, stop_reason=stop_reason)
    return await asyncio.to_thread(result_of, request.root, answer, None, request.base)


def _environment(request: RepairRequest, temp: Path) -> dict[str, str]:
    return {
        **request.env,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": str(request.seed),
        "TMPDIR": str(temp),
    }


async def _spawn(argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *argv,
        cwd=cwd,
        env=dict(env),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )


async def _ask(process: asyncio.subprocess.Process, request: RepairRequest, temp: Path) -> None:
    assert process.stdin is not None
    text = json.dumps(
        {
            "root": str(request.root),
            "test_args": list(request.test_args),
            "budget_s": request.budget_s,
            "workers": request.workers,
            "temp": str(temp),
            "base": dict(request.base),
            "history": await earlier_texts(request.root),
            "skip": list(request.skip),
        }
    )
    process.stdin.write(text.encode())
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        await process.stdin.drain()
    process.stdin.close()


async def _read(process: asyncio.subprocess.Process, on_event: Callable[[RepairEvent], None]) -> dict[str, Any] | None:
    assert process.stdout is not None
    async for line in _lines(process.stdout):
        told = read_line(line)
        if isinstance(told, dict):
            return told
        if told is not None:
            on_event(told)
    return None


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Lines up to a limit: whoever spawned the process chose its reader's limit."""
    buffer = b""
    while chunk := await stream.read(1 << 16):
        *whole, buffer = (buffer + chunk).split(b"\n")
        for line in whole:
            yield line
        if len(buffer) > MAX_LINE_BYTES:
            return


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill whatever the search started, even tests that moved to their own process groups."""
    members = await asyncio.to_thread(_family, process.pid)
    for member in members:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    if process.returncode is None:
        # `process.kill` polls first and would take the exit status away from the event loop.
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    await asyncio.shield(process.wait())
    await asyncio.to_thread(_wait_for, members)


def _wait_for(members: Sequence[psutil.Process]) -> None:
    """Wait until killed processes are dead; whoever adopted them may take long to collect their exit status."""
    until = time.monotonic() + ENDING_S
    while any(_is_alive(member) for member in members) and time.monotonic() < until:
        time.sleep(0.005)


def _is_alive(member: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return member.is_running() and member.status() != psutil.STATUS_ZOMBIE
    return False


def _family(pid: int) -> list[psutil.Process]:
    """The descendants of a process and the other members of its session."""
    with contextlib.suppress(psutil.NoSuchProcess):
        found = {member.pid: member for member in psutil.Process(pid).children(recursive=True)}
        return list(found.values())
    return []
