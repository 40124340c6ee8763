"""The table of results, and what is wrong with them: an escape that is not named, a name without an escape."""

import tomllib
from collections.abc import Sequence
from pathlib import Path

from tests.redteam.attempt import CLASSES, Policy, Result
from tests.redteam.runner import all_attempts

NAMED = Path(__file__).with_name("named.toml")


def named() -> dict[str, str]:
    """The attempts that get out on the host, each with its reason."""
    return dict(tomllib.loads(NAMED.read_text(encoding="utf-8"))["host"])


def is_named(result: Result) -> bool:
    """Whether the documents say that this attempt gets out."""
    return result.policy is Policy.HOST and result.id in named()


def table_of(results: Sequence[Result]) -> str:
    """Class by policy: attempts, held, escaped, named."""
    kinds = {attempt.id: attempt.kind for attempt in all_attempts()}
    lines = [f"{'class':<36}{'policy':<22}{'attempts':>9}{'held':>6}{'escaped':>9}{'named':>7}"]
    for policy in (*Policy, None):
        for kind, title in (*CLASSES.items(), (0, "all")):
            mine = [one for one in results if policy in {None, one.policy} and kind in {0, kinds[one.id]}]
            if mine and (policy is not None or kind == 0):
                lines.append(_line(f"{kind or ''} {title}".strip(), policy, mine))
    return "\n".join(lines)


def _line(title: str, policy: Policy | None, results: Sequence[Result]) -> str:
    out = [one for one in results if one.escape]
    listed = [one for one in out if is_named(one)]
    held = [one for one in results if not one.escape and not one.error]
    where = policy.value if policy else "everywhere"
    return f"{title:<36}{where:<22}{len(results):>9}{len(held):>6}{len(out) - len(listed):>9}{len(listed):>7}"


def fault_of(result: Result) -> str:
    """What is wrong with one result; "" when nothing is."""
    if result.error:
        return f"ERROR    {result.name}: {result.error.strip()[-1500:]}"
    if result.escape and not is_named(result):
        return f"ESCAPED  {result.name}: {result.escape}"
    if not result.escape and is_named(result):
        return f"HELD     {result.name}, though it is named as one that gets out"
    return ""


def faults_of(results: Sequence[Result], *, whole: bool) -> list[str]:
    """Everything that is wrong.

    Args:
        results: Of all attempts, or of some.
        whole: Whether all were made, so that a name without an attempt is a fault.
    """
    faults = [fault for result in results if (fault := fault_of(result))]
    if whole:
        known = {attempt.id for attempt in all_attempts() if Policy.HOST in attempt.policies}
        faults += [
            f"UNKNOWN  {name} is named, but no attempt on the host is called so"
            for name in sorted(named().keys() - known)
        ]
    return faults
