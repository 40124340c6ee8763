"""The command `verify`: whether a thread's last commit passes the repository's checks, run afresh."""

import argparse
import asyncio
import sys

from core.artifacts import CheckRun
from core.errors import Exit
from core.storage.thread_ids import short_id
from core.text import counted
from rolecall.invocation import Invocation
from rolecall.output.display import Display, Screen
from rolecall.output.event_text import without_control_characters
from rolecall.output.jsonl import write_answer
from rolecall.output.warnings import warn
from rolecall.service import work
from rolecall.service.work import VerifiedWork, VerifyRequest
from rolecall.thread_options import asked, repo_of

_TAIL_LINES = 15


def verify(options: argparse.Namespace, invocation: Invocation) -> int:
    """Run the checks and say what they said."""
    request = VerifyRequest(repo=repo_of(options), thread=options.thread, options=asked(options))
    with Display(Screen(), quiet=options.quiet or options.json) as display:
        done = asyncio.run(work.verify(request, listen=display.listen, on_thread=invocation.about, on_warning=warn))
    invocation.resumable = False
    if options.json:
        write_answer({**done.model_dump(mode="json"), "green": done.green})
    else:
        for check in done.checks:
            if not check.passed and check.output:
                tail = without_control_characters(check.output).splitlines()[-_TAIL_LINES:]
                print("\n".join(("", f"the end of `{check.command}`:", *tail)), file=sys.stderr)
        print(_verdict(done))
    if done.green:
        return 0
    if not done.checks:
        invocation.next_command = invocation.on_thread("verify", options=("--checks", "COMMAND"))
    return int(Exit.NOT_DONE)


def _verdict(done: VerifiedWork) -> str:
    where = f"commit {done.commit[:8]} of {short_id(done.thread)}"
    if not done.checks:
        return f"nothing verified: no checks were found for {where}"
    red = [check for check in done.checks if not check.passed]
    if red:
        return f"{where} is red: {', '.join(map(_fault, red))}"
    return f"{where} is green: {counted(len(done.checks), 'check')} passed"


def _fault(check: CheckRun) -> str:
    return f"`{check.command}` {'timed out' if check.timed_out else f'ended with {check.exit_code}'}"
