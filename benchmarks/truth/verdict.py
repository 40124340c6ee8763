"""How a run says it ended: status, words, exit code, colour of the checks; against one another and fresh checks."""

import re
from collections.abc import Iterator

from benchmarks.truth.seen import Check, Claim, Seen, same, shown

TITLES = {
    "done": "Done", "answered": "Answered", "not_done": "Not done", "stuck": "Stuck",
    "needs_model": "Stopped: this task needs a model", "budget": "Stopped by a budget",
}  # fmt: skip
SCREEN = {
    "done": "done", "answered": "answered", "not_done": "finished, but not done", "stuck": "stuck",
    "needs_model": "stuck: needs a model", "budget": "stopped by a budget", "waiting": "waiting for an answer",
    "paused": "paused",
}  # fmt: skip
CODES = {"done": 0, "answered": 0, "not_done": 1, "stuck": 1, "waiting": 1, "needs_model": 4, "budget": 5}
_CHECK_LINE = re.compile(
    r"^.{7,21}  check    (?P<command>.+?)  (?P<colour>green|red \(exit (?P<code>-?\d+)\)|timed out)"
)
_COLOUR = re.compile(r"`(?P<command>[^`]+)` (?P<colour>green|RED)")
_COUNT = re.compile(r"\b(\d+) (passed|failed|errors?)\b")
_GREEN = re.compile(r"checks are green", re.IGNORECASE)


def statuses(seen: Seen) -> Iterator[Claim]:
    """Screen, record, list and `--json` name one and the same status."""
    status = seen.status
    if status == "interrupted":  # nobody was there to say more
        return
    if words := screen_words(seen):
        wanted = SCREEN.get(status, status)
        yield Claim("status", "screen", words, wanted, words == wanted or words.startswith(f"{wanted}, "))
    if seen.result:
        yield same("status", "--json", seen.result["status"], status)
    if (told := _last_result(seen.log)) is not None:
        yield same("status", "log", told[0], status)
    if seen.report and (title := seen.report.splitlines()[0].removeprefix("# ")):
        wanted = TITLES.get(status, "no report of another end")
        yield Claim("status", "report", title, wanted, title == wanted or title.startswith(f"{wanted}: "))


def exit_codes(seen: Seen) -> Iterator[Claim]:
    """The process, the list, the record and `--json` name one and the same exit code, which is the status's."""
    real, status = seen.last.code, seen.status
    if status == "interrupted":
        yield same("exit code", "threads show", shown(seen.show, "exit code"), "")
        return
    wanted = {CODES[status]} if status in CODES else {130, 143}
    yield Claim("exit code", "process", real, sorted(wanted), real in wanted)
    yield same("exit code", "threads show", shown(seen.show, "exit code"), str(real))
    if seen.result:
        yield same("exit code", "--json", seen.result["exit_code"], real)
    if (told := _last_result(seen.log)) is not None:
        yield same("exit code", "log", told[1], real)


def colours(seen: Seen) -> Iterator[Claim]:
    """Checks that are called green or red are so when they are run again in a fresh copy."""
    ended = seen.status not in {"paused", "interrupted"}
    for where, text in (("screen", screen_part(seen)), ("report", seen.report.partition("\n")[0])):
        if _GREEN.search(text):
            yield same("checks", where, "green", "green" if seen.real.green else "not green")
    if seen.report and seen.status == "done" and "no check" in seen.report.partition("\n")[0]:
        yield same("checks", "report", "no check", "no check" if not seen.real.after else "checks")
    for name, fresh in (("Before", seen.real.before), ("After", seen.real.after)):
        for line in re.findall(rf"^{name}: (.*)$", seen.report, re.MULTILINE):
            yield from _line(f"report, {name.lower()}", line, fresh)
    lines = [found for line in seen.log.splitlines() if (found := _CHECK_LINE.match(line))]
    last = {found["command"]: found for found in lines} if ended and _nothing_after_checks(seen.log) else {}
    for check in seen.real.after:
        if check.command in last:
            said = "green" if last[check.command]["colour"] == "green" else "red"
            yield same("checks", "log", f"{check.command} {said}", f"{check.command} {colour(check)}")


def counts(seen: Seen) -> Iterator[Claim]:
    """`N passed` in the report is what a fresh run counts."""
    if "\nAfter: `" not in seen.report:
        return
    for check in seen.real.after:
        blocks = re.findall(rf"```\n\$ {re.escape(check.command)}\n(.*?)\n```", seen.report, re.DOTALL)
        if blocks:
            yield same(
                "counts", "report", sorted(set(_COUNT.findall(blocks[-1]))), sorted(set(_COUNT.findall(check.output)))
            )


def screen_part(seen: Seen) -> str:
    """The last words of a call: from the line that begins with the thread."""
    text, short = seen.last.out, seen.thread[:8]
    at = [found.start() for found in re.finditer(rf"^{short}  ", text, re.MULTILINE)]
    return f"{text[at[-1] :]}\n{seen.last.err}" if at else ""


def screen_words(seen: Seen) -> str:
    """How the screen says that it ended; nothing when it does not."""
    first = screen_part(seen).partition("\n")[0]
    return first[10:].strip()


def colour(check: Check) -> str:
    return "green" if check.code == 0 else "red"


def _line(where: str, line: str, fresh: tuple[Check, ...]) -> Iterator[Claim]:
    said = {found["command"]: found["colour"].lower() for found in _COLOUR.finditer(line)}
    yield same("checks", where, said, {check.command: colour(check) for check in fresh})


def _last_result(log: str) -> tuple[str, int] | None:
    """Status and exit code of the record's last line, unless a later run began and told none."""
    lines = [line[21:] for line in log.splitlines() if line[:2].strip()]
    found = re.match(r"(\w+) +exit (-?\d+)", lines[-1]) if lines else None
    return (found[1], int(found[2])) if found else None


def _nothing_after_checks(log: str) -> bool:
    """No file was committed after the last check, so that it speaks of the branch as it is."""
    kinds = [line[21:].split()[0] for line in log.splitlines() if line[21:].split()]
    last = max((at for at, kind in enumerate(kinds) if kind == "check"), default=-1)
    return "commit" not in kinds[last + 1 :]
