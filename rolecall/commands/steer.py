"""The commands `steer` and `pause`: a message to a thread's inbox, whichever process is running it."""

import argparse
import sys

from core.errors import UsageError
from core.storage.thread_ids import short_id
from rolecall.invocation import Invocation
from rolecall.output.jsonl import write_answer
from rolecall.service import steering
from rolecall.service.lookup import ThreadRequest
from rolecall.service.steering import Sent, SteerRequest
from rolecall.thread_options import repo_of


def steer(options: argparse.Namespace, invocation: Invocation) -> int:
    """Send a message to a thread."""
    text = sys.stdin.read() if options.text == ["-"] else " ".join(options.text)
    if not text.strip():
        raise UsageError("no text given", hint=invocation.call("steer", options.thread, "Keep the public API"))
    request = SteerRequest(repo=repo_of(options), thread=options.thread, text=text.strip(), urgent=options.urgent)
    return _told(steering.steer(request, on_thread=invocation.about), options, invocation)


def pause(options: argparse.Namespace, invocation: Invocation) -> int:
    """Ask a thread to stop at its next step."""
    request = ThreadRequest(repo=repo_of(options), thread=options.thread)
    return _told(steering.pause(request, on_thread=invocation.about), options, invocation)


def _told(sent: Sent, options: argparse.Namespace, invocation: Invocation) -> int:
    short = short_id(sent.thread)
    if sent.hidden:
        print(
            f"the message contains what looks like a secret; {', '.join(sent.hidden)} is stored in its place",
            file=sys.stderr,
        )
    if options.json:
        write_answer(sent.model_dump(include={"thread", "id", "running"}))
    elif sent.running:
        print(f"message {sent.id} is in the inbox of {short}")
    else:
        print(f"{short} is not running; message {sent.id} will be delivered by {invocation.on_thread('resume')}")
    return 0
