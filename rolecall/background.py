"""Starts a run that outlives the terminal: a process in its own session whose output goes to the thread's directory."""

import argparse
import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

from rolecall.invocation import Invocation
from rolecall.output.jsonl import write_answer
from rolecall.output.warnings import warn
from rolecall.service.lookup import folder_of, settings_for
from rolecall.thread_options import asked, repo_of

_PATIENCE_S = 20.0
"""How long the run may take to reach its first node."""
_MAIN = Path(__file__).with_name("__main__.py")


async def start_detached(task: str, options: argparse.Namespace, invocation: Invocation) -> int:
    """Start the run, wait until it is running, print its thread; or report why it could not start."""
    from llm_registry.overrides import checked_overrides
    from llm_registry.specs.address_keys import keys_to_references
    from tools.git.repository import find_top
    from tools.git.state_folder import ensure_layout

    top = await find_top(folder_of(repo_of(options)))
    loaded = await settings_for(asked(options), top, warn)
    await checked_overrides(loaded.settings, dict(options.model))  # a mistake must show here, not in a log
    layout = await ensure_layout(top)
    thread = str(uuid4())
    files = await asyncio.to_thread(layout.make_run, thread)
    # A command line is open to every user of the machine, an environment to its owner alone.
    models, keys = keys_to_references(dict(options.model))
    options.model = list(models.items())
    process = await asyncio.to_thread(_spawn, detached_command(options, thread), task, files.log, keys)
    code = await _under_way(process, files.events)
    if code is not None:
        invocation.result_written = await asyncio.to_thread(_pass_on, files.log)
        if await asyncio.to_thread(_recorded, files.events):  # refused for want of a model, say: it can be resumed
            invocation.thread, invocation.resumable = thread, True
        else:
            await asyncio.to_thread(layout.remove_run, thread)
        return code
    invocation.thread = thread
    invocation.resumable = True
    if options.json:
        write_answer({"thread": thread, "event": "background", "pid": process.pid, "log": str(files.log)})
    else:
        print(thread)
        print(f"follow it: {invocation.on_thread('watch')}", file=sys.stderr)
    return 0


def detached_command(options: argparse.Namespace, thread: str) -> list[str]:
    """The command line of the detached run: the same options, the task through stdin."""
    given = {
        "--repo": options.repo, "--config": options.config, "--max-tokens": options.max_tokens,
        "--max-cost": options.max_cost, "--max-minutes": options.max_minutes,
    }  # fmt: skip
    switches = {
        "--trust-project": options.trust_project, "--yes": options.yes, "--no-supervisor": options.no_supervisor,
        "--json": options.json, "--quiet": options.quiet, "--debug": options.debug,
    }  # fmt: skip
    return [
        "run", "-", "--thread", thread,
        *(f"{name}={value}" for name, value in given.items() if value is not None),
        *(f"--checks={command}" for command in options.checks),
        *(f"--model={role}={spec}" for role, spec in options.model),
        *(name for name, on in switches.items() if on),
    ]  # fmt: skip


def _spawn(words: list[str], task: str, log: Path, keys: Mapping[str, str]) -> subprocess.Popen[bytes]:
    # Not through asyncio, which would kill the process as soon as this one's event loop closes.
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", _program(), *words],
            stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "120", **keys},
        )  # fmt: skip
    assert process.stdin is not None
    with process.stdin as pipe:
        pipe.write(task.encode())
    return process


def _program() -> str:
    """The script that was started, so that the run's final output names the same command; else our own."""
    started = Path(sys.argv[0])
    return str(started) if started.is_file() else str(_MAIN)


async def _under_way(process: subprocess.Popen[bytes], events: Path) -> int | None:
    """Wait for the first node; returns the exit code of a run that ended before it."""
    deadline = asyncio.get_running_loop().time() + _PATIENCE_S
    while asyncio.get_running_loop().time() < deadline:
        if b'"event": "node_started"' in await asyncio.to_thread(_recorded, events):
            return None
        if process.poll() is not None:
            return process.returncode
        await asyncio.sleep(0.1)
    return None


def _recorded(events: Path) -> bytes:
    return events.read_bytes() if events.exists() else b""


def _pass_on(log: Path) -> bool:
    """Show the output of a run that could not start, without its advice, which would repeat an internal call.

    Returns whether the result of a stream of events was in it.
    """
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    for line in lines:
        if not line.startswith("continue with: "):
            print(line, file=sys.stdout if line.startswith("{") else sys.stderr)
    return any(line.startswith("{") and '"event": "result"' in line for line in lines)
