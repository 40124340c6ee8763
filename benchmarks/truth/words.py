"""What a run says it was told, ran and advises: against prompts, the traces of commands, and the advice followed."""

import re
from collections.abc import Iterator

from benchmarks.truth.seen import Claim, Seen, same
from benchmarks.truth.verdict import screen_part

_MESSAGE = re.compile(
    r"^message \d+ +(?P<status>seen|queued|undelivered|obeyed)(?: at (?P<node>\w+))?: (?P<author>[^:]+): (?P<text>.*)$",
    re.MULTILINE,
)
_TOLD = re.compile(
    r"^- (?P<author>\w+), guidance: (?P<text>.+) - (?P<became>reached|not delivered|waits).*$", re.MULTILINE
)
_COMMAND = re.compile(r"^.{21}  command  (?P<command>.+?)  (?P<end>exit -?\d+|refused|timed out)", re.MULTILINE)
_FINISHED = {"done", "answered", "not_done", "stuck"}


def guidance(seen: Seen) -> Iterator[Claim]:
    """Words that are said to be heard stand in a prompt; the others stand in none; none is passed over."""
    messages = [found for found in _MESSAGE.finditer(seen.show) if found["text"] != "pause"]
    told = {found["text"]: found["status"] for found in messages if found["author"] == "user"}
    for text in seen.real.sent:
        real = "seen" if _reached(seen, text) else "not seen"
        said = told.get(text, "not listed")
        yield Claim("guidance", "threads show", f"{text}: {said}", real, (said == "seen") == (real == "seen"))
        if seen.status in _FINISHED:
            yield Claim("guidance", "threads show", f"{text}: {said}", "ended", said in {"seen", "undelivered"})
        if _reported(seen):
            became = {found["text"]: found["became"] for found in _TOLD.finditer(seen.report)}.get(text, "not listed")
            holds = became != "not listed" and (became == "reached") == (real == "seen")
            yield Claim("guidance", "report", f"{text}: {became}", real, holds)
        heard = bool(re.search(rf"  heard    user: {re.escape(text)}", seen.log))
        yield Claim("guidance", "log", f"{text} {'heard' if heard else 'not heard'}", real, heard == (real == "seen"))
    late = sum(found["status"] == "undelivered" for found in messages)
    if found := re.search(r"(\d+) messages? came too late to be delivered", screen_part(seen) or str(seen.result)):
        yield same("guidance", "screen", int(found[1]), late)
    elif late and (screen_part(seen) or seen.result):
        yield same("guidance", "screen", "none too late", f"{late} too late")


def commands(seen: Seen) -> Iterator[Claim]:
    """A command that is said to have ended well left its trace, a refused one none."""
    told: dict[str, str] = {found["command"]: found["end"] for found in _COMMAND.finditer(seen.log)}
    for command, there in seen.real.traces.items():
        said = told.get(command, "not named")
        ran = said not in {"refused", "not named"}
        yield Claim("command", "log", f"{command}: {said}", "it ran" if there else "it did not run", ran == there)


def advice(seen: Seen) -> Iterator[Claim]:
    """Every command that was suggested does what it is for."""
    for call in seen.followed:
        shown = " ".join(call.words)
        refused = call.refused or call.code in {6, -6}
        if "resume" in call.words and not refused:
            refused = call.code == 5 and not call.asked
        if call.words[0] in {"diff", "log", "threads", "watch", "apply"}:
            refused = call.code != 0
        why = f"exit {call.code}: {call.err.strip().splitlines()[0] if call.err.strip() else ''}"
        yield Claim("advice", shown, "goes on", why, not refused)


def suggested(seen: Seen) -> list[str]:
    """The command lines that screen and report of the last run name, in their order."""
    said = screen_part(seen) or seen.last.said
    lines = re.findall(r"^(?:see it|take it) +(.+)$", said, re.MULTILINE)
    lines += re.findall(r"^continue with: (.+)$", said, re.MULTILINE)
    lines += re.findall(r"`([^`]*rolecall (?:resume|log|diff|apply|watch|threads)[^`]*)`", said)
    if _reported(seen):
        lines += re.findall(r"^rolecall .+$", seen.report, re.MULTILINE)
    # What resumes is one thing however often it is said, and done only once.
    found = {}
    for line in reversed(lines):
        words = line.rpartition("rolecall ")[2].strip()
        found["resume" if words.startswith("resume") else words] = line.strip()
    return list(reversed(found.values()))


def _reached(seen: Seen, text: str) -> bool:
    """A model that can still act on it was shown it; whoever only words the report can not."""
    return any(text in one.prompt and one.title != "ReportNarrative" for one in seen.real.requests)


def _reported(seen: Seen) -> bool:
    """The report speaks of the thread as it stands now."""
    return bool(seen.report) and seen.status not in {"paused", "interrupted", "waiting"}
