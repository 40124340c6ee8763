"""Whom a run says it called, how often, for how many tokens and how long, against the servers' logs and our clock."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from benchmarks.truth.seen import Claim, Real, Request, Seen, same
from benchmarks.truth.verdict import screen_part

EMBEDDED = "embedded"
_SLACK_S = 1.5
_USED = re.compile(
    r"^(?:used)? +(?P<role>\w+): (?P<spec>\S+), (?P<calls>\d+) calls?(?P<failed> without a usable answer|"
    r" \((?P<some>\d+) without a usable answer\))?,(?: (?P<in>[\d.]+[kM]?) tokens in,)?(?: (?P<out>[\d.]+[kM]?)"
    r"(?: tokens)? out,)? (?P<seconds>[\d.]+) s", re.MULTILINE)  # fmt: skip
_TITLES = {
    "route": "RoutingDecision", "scope": "Scope", "plan": "Plan", "summarize": "StepSummary", "qa": "QAVerdict",
    "assess": "AssessDecision", "report": "ReportNarrative", "implement": "",
}  # fmt: skip
_FALLBACK = re.compile(r"^.{21}  model    (?P<role>\w+): (?P<from>\S+) → (?P<to>\S+)(?P<rest>.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Used:
    """What is said of one role and model; tokens as a span, since screens round, `None` where nothing is said."""

    calls: int
    failed: int
    read: tuple[float, float] | None
    written: tuple[float, float] | None


def calls(seen: Seen) -> Iterator[Claim]:
    """Calls, failures and tokens per role and model are those that the server counted."""
    tables = [
        ("screen", _of_screen(screen_part(seen), seen.real)),
        ("--json", _of_json(seen.result.get("usage", {}), seen.real)),
    ]
    if seen.status not in {"paused", "interrupted", "waiting"}:
        tables.append(("report", _of_report(seen.report, seen.real)))
    for where, table in tables:
        if not table:
            continue
        told = {key: used for key, used in table.items() if key[1] != EMBEDDED}
        real = _by_role(seen.real.requests)
        if seen.real.always_up and not seen.real.supervised:
            sure = {key for key, made in real.items() if any(one.whole for one in made)}
            extra = {key for key, used in told.items() if used.calls > used.failed} - real.keys()
            yield Claim("callers", where, sorted(told), sorted(real), sure <= told.keys() and not extra)
        for key, used in told.items():
            yield from _compared(f"{where}, {' '.join(key)}", used, real.get(key, ()), seen)


def served(seen: Seen) -> Iterator[Claim]:
    """A model that is said to have served a node has answered a request that this node makes."""
    answered = {(one.role, one.model, one.title) for one in seen.real.requests if one.good}
    rows = re.findall(r"^\| (\w+) \| (\w+) \| (\S+) \| [^|]* \|$", seen.report, re.MULTILINE)
    rows += re.findall(r"^.{21}(\w+) +(\w+) → (\S+)  ", seen.log, re.MULTILINE)
    for node, role, spec in rows:
        if node in _TITLES and spec != EMBEDDED and not (node == "scope" and role == "router"):
            wanted = (role, model_of(spec, seen.real), _TITLES[node])
            yield Claim("served", node, wanted, "answered so" if wanted in answered else "did not", wanted in answered)


def fallbacks(seen: Seen) -> Iterator[Claim]:
    """A fallback that is told was taken after a failure, and is called paid when it has a price, and only then."""
    for found in _FALLBACK.finditer(seen.log):
        before = [one for one in seen.real.requests if one.model == model_of(found["from"], seen.real)]
        failed = not seen.real.always_up or not before or any(not (one.good and one.whole) for one in before)
        yield Claim("fallback", "log", f"{found['from']} failed", "it did" if failed else "it never did", failed)
        said = found["rest"].rstrip().endswith("  paid")
        yield same("paid", "log", said, model_of(found["to"], seen.real) in seen.real.paid)


def durations(seen: Seen) -> Iterator[Claim]:
    """No time is longer than the run took by our clock, and none lies outside of it."""
    wall = sum(call.ended - call.began for call in seen.calls if call.drives)
    first = min(call.began for call in seen.calls) - _SLACK_S
    last = max(call.ended for call in seen.calls) + _SLACK_S
    nodes = 0.0
    for line in seen.log.splitlines():
        if found := re.search(r"  (\d+\.\d) s$", line):
            yield Claim(
                "duration", line[21:40].strip(), float(found[1]), f"at most {wall:.1f}", float(found[1]) <= wall
            )
            nodes += float(found[1]) if line[21:22].strip() else 0
        if moment := re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", line):
            at = datetime.strptime(moment[0], "%Y-%m-%d %H:%M:%S").astimezone().timestamp()
            yield Claim("moment", "log", moment[0], "within the run", first <= at <= last)
    yield Claim("duration", "log, all nodes", round(nodes, 1), f"at most {wall:.1f}", nodes <= wall + _SLACK_S)
    for found in re.finditer(r"`([^`]+)` (?:green|RED) \((\d+\.\d) s\)", seen.report):
        yield Claim("duration", f"report, {found[1]}", float(found[2]), f"at most {wall:.1f}", float(found[2]) <= wall)


def model_of(spec: str, real: Real) -> str:
    """The model out of `role:model`, or of a name of the user's."""
    return spec.partition(":")[2] or real.named.get(spec, spec)


def _by_role(requests: Sequence[Request]) -> dict[tuple[str, str], list[Request]]:
    found: dict[tuple[str, str], list[Request]] = {}
    for one in requests:
        found.setdefault((one.role, one.model), []).append(one)
    return found


def _stopped(seen: Seen) -> bool:
    return any(call.drives and call.code in {130, 143, -9} for call in seen.calls)


def _compared(where: str, used: Used, made: Sequence[Request], seen: Seen) -> Iterator[Claim]:
    whole = [one for one in made if one.whole]
    # What a stop cut off may have been on its way, all of it written; and what a kill cut off can be in no book.
    unread = used.failed if _stopped(seen) else 0
    if seen.real.always_up:
        span = (len(whole), len(made) + unread)
        yield Claim("calls", where, used.calls, span, span[0] <= used.calls <= span[1])
    good, said = sum(one.good for one in whole), used.calls - used.failed
    yield Claim("answers", where, said, good, good - unread <= said <= good)
    for name, told, figures in (
        ("tokens in", used.read, [(one.input_tokens, one.good and one.whole) for one in made]),
        ("tokens out", used.written, [(one.output_tokens, one.good and one.whole) for one in made]),
    ):
        if told is not None:
            sure = sorted(count for count, certain in figures if certain)
            least, most = sum(sure[: max(len(sure) - unread, 0)]), sum(count for count, _ in figures)
            yield Claim(name, where, told, (least, most), told[0] <= most and least <= told[1])


def _of_report(report: str, real: Real) -> dict[tuple[str, str], Used]:
    row = re.compile(r"^\| (\w+) \| (\S+) \| (\d+) \| (\d+) \| ([\d,]+|unknown) \| ([\d,]+|unknown) \| [\d.]+ \|", re.M)
    return {
        (role, model_of(spec, real)): Used(int(made), int(failed), _exact(read), _exact(written))
        for role, spec, made, failed, read, written in row.findall(report)
    }


def _of_screen(text: str, real: Real) -> dict[tuple[str, str], Used]:
    table = {}
    for found in _USED.finditer(text):
        made = int(found["calls"])
        failed = int(found["some"]) if found["some"] else made if found["failed"] else 0
        table[found["role"], model_of(found["spec"], real)] = Used(
            made, failed, _rounded(found["in"]), _rounded(found["out"])
        )
    return table


def _of_json(
    usage: Mapping[str, Mapping[str, Mapping[str, Mapping[str, int]]]], real: Real
) -> dict[tuple[str, str], Used]:
    return {
        (role, model_of(spec, real)): Used(
            one["calls"], one["failed"], _exact(one["input_tokens"]), _exact(one["output_tokens"])
        )
        for role, whole in usage.items()
        for spec, one in whole["by_spec"].items()
    }


def _exact(figure: str | int | None) -> tuple[float, float] | None:
    if figure in {None, "unknown"}:
        return None
    count = float(str(figure).replace(",", ""))
    return count, count


def _rounded(figure: str | None) -> tuple[float, float] | None:
    if figure is None:
        return None
    factor = {"k": 1_000, "M": 1_000_000}.get(figure[-1], 0)
    count = float(figure.rstrip("kM")) * (factor or 1)
    return count - factor * 0.051, count + factor * 0.051
