"""The tools that run something: a command, the checks, git diff, the repair search."""

import asyncio
import json
from typing import Any

from langgraph.types import interrupt

from core.artifacts import CheckRun
from core.context import Context
from core.errors import ToolError
from core.text import readable
from core.tool_effects import ToolEffects
from tools.agent.agent_tool import AnyToolRuntime, agent_tool
from tools.agent.approval import command_question, refusal_message, user_refusal
from tools.commands.outputs import OutputStore

_MOST_SHOWN = {"patches": 3, "suspicious": 5, "failing": 20}


@agent_tool(ToolEffects(reads=True, writes=True, runs_commands=True, confined=True))
async def run_command(runtime: AnyToolRuntime, command: str, timeout_s: float | None = None) -> str:
    """Run a shell command in the repository and return its output. Each call starts a new shell in the repository root.

    Args:
        command: A shell command line. Do not run programs that wait for input.
        timeout_s: Seconds until it is killed, if less than the default.
    """
    context: Context = runtime.context
    most = context.settings.sandbox.command_timeout_s
    limit = _seconds("timeout_s", most if timeout_s is None else timeout_s, most)
    if _needs_yes(context, command):
        words = user_refusal(interrupt(command_question(context.redactor.clean(command))))
        if words is not None:
            context.events.emit("command_refused", command=command, answer=words)
            raise ToolError(refusal_message("command", words))
    done = await context.commands.run(command, timeout_s=limit)
    context.events.emit(
        "command_finished", command=command, exit_code=done.exit_code, seconds=round(done.duration_s, 3),
        timed_out=done.timed_out,
    )  # fmt: skip
    end = f"timed out, {limit:g} s were allowed" if done.timed_out else f"exit code {done.exit_code}"
    return f"{done.output.rstrip()}\n[{end}, {done.duration_s:.1f} s]".lstrip("\n")


def _needs_yes(context: Context, command: str) -> bool:
    rule = context.settings.tool(run_command.name).approval
    if context.options.approve_all or rule == "allow":
        return False
    return rule == "ask" or not context.commands.allowed(command)


@agent_tool(ToolEffects(reads=True, runs_commands=True, checks=True, idempotent=True, confined=True))
async def run_checks(runtime: AnyToolRuntime) -> str:
    """Run the repository's own checks (its tests) and report which are green."""
    context: Context = runtime.context
    runs = await context.checks.run()
    if not runs:
        return "no checks are known for this repository; run its tests with run_command"
    return "\n\n".join(_check_text(run) for run in runs)


@agent_tool(ToolEffects(reads=True, idempotent=True, confined=True))
async def git_diff(runtime: AnyToolRuntime, *, stat: bool = False) -> str:
    """Show everything changed in this task so far, new files included.

    Args:
        stat: Show only file names and the number of changed lines.
    """
    context: Context = runtime.context
    async with context.commands.turns.shared():
        text = readable(await context.workspace.diff(stat=stat))
    return await asyncio.to_thread(_store(context).keep, text) or "no changes"


@agent_tool(ToolEffects(reads=True, runs_commands=True, idempotent=True, confined=True))
async def repair_search(runtime: AnyToolRuntime, budget_s: float | None = None, skip: list[str] | None = None) -> str:
    """Search for a small patch that makes failing Python tests pass, without a model. Changes nothing.

    Returns JSON: status, and patches (best first) whose edits can be passed to edit_file.

    Args:
        budget_s: Maximum seconds to search.
        skip: The sha256 of patches that are known not to work.
    """
    context: Context = runtime.context
    most = context.settings.embedded.repair_budget_s
    result = await context.repair.search(budget_s=_seconds("budget_s", budget_s or most, most), skip=skip or ())
    return await asyncio.to_thread(fitting_json, result.model_dump(mode="json"), _store(context))


def _seconds(name: str, value: float, most: float) -> float:
    """A time that can be waited for.

    Raises:
        ToolError: It is not above zero.
    """
    if value <= 0:
        raise ToolError(
            f"{name} must be a positive number of seconds, got {value}", hint="give seconds, or leave it out"
        )
    return min(value, most)


def _check_text(run: CheckRun) -> str:
    state = "timed out" if run.timed_out else ("green" if run.passed else f"RED, exit code {run.exit_code}")
    return f"$ {run.command}\n{run.output.rstrip()}\n[{state}, {run.duration_s:.1f} s]"


def fitting_json(found: dict[str, Any], store: OutputStore) -> str:
    """A result as JSON of limited size: the best patches and lines, with the rest stored in a file."""
    whole = json.dumps(found, ensure_ascii=False)
    if len(whole) <= store.max_bytes:
        return whole
    shorter = {**found, **{key: found.get(key, [])[:most] for key, most in _MOST_SHOWN.items()}}
    return json.dumps({**shorter, "whole_result": store.save(json.dumps(found, ensure_ascii=False, indent=1))},
                      ensure_ascii=False)  # fmt: skip


def _store(context: Context) -> OutputStore:
    most = context.settings.sandbox.max_output_bytes
    return OutputStore(context.workspace.run_dir, max_bytes=most, redactor=context.redactor)
