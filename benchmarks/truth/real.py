"""What really happened: read from git, from checks run again in fresh copies, and from the servers' own logs."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.truth.case import Case
from benchmarks.truth.drive import World
from benchmarks.truth.seen import Check, Commit, Real, Request
from tests.repositories import fingerprint, git

ROLE_OF = {
    "RoutingDecision": "router", "Scope": "primary", "Plan": "primary", "QAVerdict": "primary",
    "AssessDecision": "primary", "ReportNarrative": "primary", "StepSummary": "summarizer", "Suggestion": "supervisor",
}  # fmt: skip


def gather(made: World, case: Case, thread: str, before: dict[str, str], *, earlier: int = 0) -> Real:
    """Look at everything once the thread has ended.

    Args:
        made: Where it ran.
        case: What was asked.
        thread: The thread.
        before: Fingerprint of the user's checkout before the run.
        earlier: How many requests belong to threads before this one.
    """
    repo, name = made.repo, f"rolecall/{thread[:8]}"
    tip = git(repo, "rev-parse", "--verify", "--quiet", f"refs/heads/{name}", check=False)
    base = git(repo, "rev-parse", f"refs/{name}/base" if tip else "main")
    listed = git(repo, "rev-list", f"{base}..{tip}").split() if tip else []
    commits = [Commit(one, frozenset(_names(repo, one))) for one in listed]
    return Real(
        base=base,
        tip=tip,
        commits=tuple(commits),
        numstat=_numstat(repo, base, tip) if tip else {},
        standing=_standing(repo, thread, base) if tip else {},
        before=fresh(repo, base, case),
        after=fresh(repo, tip or base, case),
        requests=tuple(requests(made)[earlier:]),
        always_up=not made.was_down and "{closed}" not in str(case.roles),
        traces={command: _left(repo, thread, path) for command, path in case.traces.items()},
        untouched=fingerprint(repo) == before,
        sent=case.sent,
        named={name: spec["model"] for name, spec in dict(case.roles.get("models", {})).items()},
        paid=frozenset(_paid(case)),
        supervised=case.unasked,
    )


def requests(made: World) -> list[Request]:
    """Every call of a model, in order of arrival per server."""
    found = []
    for name, script in made.scripts.items():
        cut_off = made.servers[name].record.cut_off
        for index, (asked, reply, written) in sorted(script.answers.items()):
            found.append(
                Request(
                    role=ROLE_OF.get(asked.title) or ("coder" if "write_file" in asked.tool_names else "")
                    or asked.model.removeprefix("m-"),
                    model=asked.model,
                    title=asked.title,
                    prompt=asked.prompt,
                    input_tokens=reply.prompt_tokens or asked.prompt_tokens,
                    output_tokens=written,
                    good=reply.fault is None and reply.status < 400,
                    whole=index not in cut_off,
                )
            )  # fmt: skip
    return found


def fresh(repo: Path, commit: str, case: Case) -> tuple[Check, ...]:
    """The checks, run in a copy of a commit that nothing else has touched."""
    if not case.checks:
        return ()
    with tempfile.TemporaryDirectory(prefix="truth-") as folder:
        packed = subprocess.run(["git", "archive", commit], cwd=repo, check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", folder], input=packed, check=True)
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        env = {**os.environ, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        return tuple(_checked(command, folder, env, case) for command in case.checks)


def _checked(command: str, folder: str, env: dict[str, str], case: Case) -> Check:
    limit = case.config.get("checks", {}).get("timeout_s", 60)
    try:
        done = subprocess.run(
            ["bash", "-c", command], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=limit
        )
    except subprocess.TimeoutExpired:
        return Check(command, -1, "")
    return Check(command, done.returncode, done.stdout)


def _names(repo: Path, commit: str) -> list[str]:
    return git(repo, "show", "--name-only", "--no-renames", "--format=", commit).splitlines()


def _numstat(repo: Path, base: str, tip: str) -> dict[str, tuple[int, int] | None]:
    return _parsed(git(repo, "diff", "--numstat", "--no-renames", base, tip))


def _parsed(listed: str) -> dict[str, tuple[int, int] | None]:
    found: dict[str, tuple[int, int] | None] = {}
    for line in listed.splitlines():
        more, less, name = line.split("\t")
        found[name] = None if more == "-" else (int(more), int(less))
    return found


def _standing(repo: Path, thread: str, base: str) -> dict[str, tuple[int, int] | None]:
    """The same for the worktree as it stands, what is in no commit yet included."""
    tree = repo / ".rolecall" / "worktrees" / thread[:8]
    if not tree.is_dir():
        return {}
    with tempfile.TemporaryDirectory(prefix="truth-") as folder:
        env = {**os.environ, "GIT_INDEX_FILE": f"{folder}/index"}
        for words in (("read-tree", base), ("add", "--all")):
            subprocess.run(["git", *words], cwd=tree, env=env, check=True, capture_output=True)
        words = ["git", "diff", "--cached", "--numstat", "--no-renames", base]
        listed = subprocess.run(words, cwd=tree, env=env, check=True, capture_output=True, text=True).stdout
    return _parsed(listed)


def _left(repo: Path, thread: str, path: str) -> bool:
    """Whether a command did what it does: the file is there, or is gone where it begins with "!"."""
    there = (repo / ".rolecall" / "worktrees" / thread[:8] / path.removeprefix("!")).exists()
    return there != path.startswith("!")


def _paid(case: Case) -> list[str]:
    specs = [*case.roles.values(), *dict(case.roles.get("models", {})).values()]
    return [spec["model"] for spec in specs if isinstance(spec, dict) and spec.get("cost", {}).get("input")]
