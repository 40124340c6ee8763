"""The comparer of `make truth`: an honest run passes, and every kind of lie is caught."""

import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest

from benchmarks.truth.cases import CASES
from benchmarks.truth.compare import compare
from benchmarks.truth.seen import Call, Check, Commit, Real, Request, Seen
from benchmarks.truth.trial import attempt

THREAD = "a56bd656-bbc2-4a92-a01d-541ca8419137"
SCREEN = """\
a56bd656  done, the checks are green
branch    rolecall/a56bd656
report    /r/report.md
used      coder: coder:m-coder, 1 call, 5.2k tokens in, 103 out, 4.1 s
          router: router:m-router, 1 call, 237 tokens in, 28 out, 0.5 s
see it    rolecall diff a56bd656
take it   rolecall apply a56bd656
"""
SHOW = """\
thread id  a56bd656-bbc2-4a92-a01d-541ca8419137
status     done
exit code  0
branch     rolecall/a56bd656
message 1  seen at implement: user: Mind the gap
"""
LOG = """\
2026-11-21 21:36:53  started    Add slugify  on rolecall/a56bd656
2026-11-21 21:36:56  route      router → router:m-router  3.8 s
2026-11-21 21:37:01    heard    user: Mind the gap  (at implement)
2026-11-21 21:37:02    command  touch it  exit 0  0.1 s
2026-11-21 21:37:03    model    coder: spare:m-spare → coder:m-coder  refused
2026-11-21 21:37:04    commit   6b1ec703  a.py, b.bin
2026-11-21 21:37:06  implement  coder → coder:m-coder  8.1 s
2026-11-21 21:37:09    check    python -m pytest -q  green  2.1 s
2026-11-21 21:37:09  done       exit 0
"""
REPORT = """\
# Done: all checks are green

## Steps

- [x] Write it `6b1ec703`

## Changes

```
 a.py  |   2 +-
 b.bin | Bin 0 -> 256 bytes
 2 files changed, 1 insertion(+), 1 deletion(-)
```

## Checks

Before: `python -m pytest -q` RED (1.8 s)

After: `python -m pytest -q` green (2.1 s)

```
$ python -m pytest -q
2 passed in 0.04s
```

## Which model did what

| node | role | model | why |
|---|---|---|---|
| route | router | router:m-router | first choice |
| implement | coder | coder:m-coder | first choice |

## Use per role

| role | model | calls | failed | tokens in | tokens out | seconds | cost |
|---|---|---|---|---|---|---|---|
| coder | coder:m-coder | 1 | 0 | 5,200 | 103 | 4.1 | unknown |
| router | router:m-router | 1 | 0 | 237 | 28 | 0.5 | unknown |

## Guidance received

- user, guidance: Mind the gap - reached `implement`

## How to apply

The work is on branch `rolecall/a56bd656`; your checkout was not touched.
"""
PATCH = "diff --git a/a.py b/a.py\ndiff --git a/b.bin b/b.bin\n"
STAT = " a.py  |   2 +-\n b.bin | Bin 0 -> 256 bytes\n 2 files changed, 1 insertion(+), 1 deletion(-)\n"
BEGAN = datetime(2026, 11, 21, 21, 36, 53).astimezone().timestamp()
REAL = Real(
    base="1" * 40,
    tip="6b1ec703" + "0" * 32,
    commits=(Commit("6b1ec703" + "0" * 32, frozenset({"a.py", "b.bin"})),),
    numstat={"a.py": (1, 1), "b.bin": None},
    standing={"a.py": (1, 1), "b.bin": None},
    before=(Check("python -m pytest -q", 1, "1 failed in 0.1s"),),
    after=(Check("python -m pytest -q", 0, "2 passed in 0.03s"),),
    requests=(
        Request("router", "m-router", "RoutingDecision", "Add slugify", 237, 28),
        Request("coder", "m-coder", "", "Add slugify\nMind the gap", 5200, 103),
    ),
    traces={"touch it": True},
    sent=("Mind the gap",),
)
HONEST = Seen(
    name="honest",
    thread=THREAD,
    calls=(Call(("run", "Add slugify"), 0, SCREEN, "", BEGAN, BEGAN + 20, drives=True),),
    real=REAL,
    report=REPORT,
    show=SHOW,
    log=LOG,
    patch=PATCH,
    diff=STAT,
    followed=(Call(("diff", "a56bd656"), 0), Call(("apply", "a56bd656"), 0)),
)
CHECK = "python -m pytest -q"


def lying(**real: object) -> Seen:
    """The same words, where something else is so."""
    return replace(HONEST, real=replace(REAL, **real))  # type: ignore[arg-type]


def saying(place: str, old: str, new: str) -> Seen:
    """Other words, where the same is so."""
    if place == "screen":
        assert old in SCREEN
        return replace(HONEST, calls=(replace(HONEST.calls[0], out=SCREEN.replace(old, new)),))
    assert old in getattr(HONEST, place)
    return replace(HONEST, **{place: getattr(HONEST, place).replace(old, new)})


def with_code(code: int) -> Seen:
    return replace(HONEST, calls=(replace(HONEST.calls[0], code=code),))


LIES: dict[str, tuple[str, Callable[[], Seen]]] = {
    "green on the screen, red in truth": ("checks", lambda: lying(after=(Check(CHECK, 1, "2 failed"),))),
    "checks are green, and there are none": ("checks", lambda: lying(after=())),
    "red before, green in truth": ("checks", lambda: lying(before=(Check(CHECK, 0, "2 passed"),))),
    "more tests passed than there are": ("counts", lambda: saying("report", "2 passed", "12 passed")),
    "stuck on the screen, done in the list": ("status", lambda: saying("screen", "done, the", "stuck, the")),
    "done in the report, stuck in the list": ("status", lambda: saying("show", "done", "stuck")),
    "paused in the record": ("status", lambda: saying("log", "done       exit 0", "paused     exit 130")),
    "another exit code": ("exit code", lambda: with_code(1)),
    "another exit code in the list": ("exit code", lambda: saying("show", "code  0", "code  1")),
    "a commit that is not there": ("commits", lambda: saying("log", "6b1ec703", "6b1ec704")),
    "a commit in the report that is not there": ("commits", lambda: saying("report", "`6b1ec703`", "`6b1ec704`")),
    "a commit that nobody named": ("commits", lambda: saying("log", "  commit   6b1ec703", "  nothing  6b1ec703")),
    "a file the commit has not": ("commits", lambda: saying("log", "a.py, b.bin", "a.py, c.py")),
    "a step left open": ("steps", lambda: saying("report", "- [x]", "- [ ]")),
    "a file in the report": ("files", lambda: saying("report", " a.py  |", " c.py  |")),
    "a count of lines": ("files", lambda: saying("report", "|   2 +-", "|   3 ++-")),
    "a file left out of diff.patch": ("files", lambda: saying("patch", "diff --git a/a.py b/a.py\n", "")),
    "a file in diff --stat": ("files", lambda: saying("diff", "b.bin", "c.bin")),
    "work in no commit": ("files", lambda: lying(standing={**REAL.standing, "c.py": (1, 0)})),
    "the checkout was touched": ("checkout", lambda: lying(untouched=False)),
    "the branch is gone": ("branch", lambda: lying(tip="")),
    "a call too many in the report": ("calls", lambda: saying("report", "m-coder | 1 | 0", "m-coder | 2 | 0")),
    "a call too many on the screen": ("calls", lambda: saying("screen", "m-coder, 1 call", "m-coder, 2 calls")),
    "a failure called an answer": ("answers", lambda: lying(
        requests=(REAL.requests[0], replace(REAL.requests[1], good=False)))),
    "tokens nobody told": ("tokens in", lambda: saying("report", "5,200", "5,300")),
    "tokens written": ("tokens out", lambda: saying("screen", "103 out", "13 out")),
    "a caller left out": ("callers", lambda: saying("screen", "router: router:m-router", "router: router:m-other")),
    "a model that never served": ("served", lambda: saying("report", "| coder | coder:m-coder | first",
                                                           "| coder | dear:m-dear | first")),
    "a fallback from what never failed": ("fallback", lambda: saying("log", "spare:m-spare →", "router:m-router →")),
    "a price nobody was told of": ("paid", lambda: lying(paid=frozenset({"m-coder"}))),
    "longer than it took": ("duration", lambda: saying("log", "8.1 s", "88.1 s")),
    "before it began": ("moment", lambda: saying("log", "21:36:56", "20:36:56")),
    "heard, and in no prompt": ("guidance", lambda: lying(
        requests=(REAL.requests[0], replace(REAL.requests[1], prompt="")))),
    "in a prompt, and not in the report": ("guidance", lambda: saying("report", "guidance: Mind", "guidance: Mend")),
    "in a prompt, and called undelivered": ("guidance", lambda: saying("show", "seen at implement", "undelivered")),
    "ran, and is called refused": ("command", lambda: saying("log", "touch it  exit 0", "touch it  refused")),
    "ran, and left nothing": ("command", lambda: lying(traces={"touch it": False})),
    "advice that is refused": ("advice", lambda: replace(
        HONEST, followed=(Call(("resume", "a56bd656"), 2, "", "error[thread]: it is finished"),))),
}  # fmt: skip


def test_an_honest_run_passes() -> None:
    claims = compare(HONEST)
    assert [claim for claim in claims if not claim.holds] == []
    told = {kind for kind, _ in LIES.values()}
    assert told == {claim.kind for claim in claims}, "every kind of claim has its lie"


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_caught(name: str) -> None:
    kind, seen = LIES[name]
    assert kind in {claim.kind for claim in compare(seen()) if not claim.holds}


@pytest.mark.slow
def test_a_product_that_calls_red_green_is_caught() -> None:
    patched = (
        "import sys\nfrom core.artifacts import CheckRun\nCheckRun.passed = property(lambda self: True)\n"
        "from rolecall.__main__ import main\nsys.exit(main())"
    )
    case = next(case for case in CASES if case.name == "red and stuck")
    trial = attempt(case, (sys.executable, "-c", patched))
    assert trial.astray == "done instead of stuck"
    assert {(claim.kind, claim.where) for claim in trial.false} >= {("checks", "screen"), ("checks", "report, after")}
