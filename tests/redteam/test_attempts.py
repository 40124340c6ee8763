"""One test for each attempt under each policy; `make redteam` prints the same as a table."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.redteam.apart import HOUSE
from tests.redteam.attempt import CLASSES, Policy, Result
from tests.redteam.runner import all_attempts, policies_here
from tests.redteam.table import fault_of, named

Results = dict[tuple[str, Policy], Result]
PAIRS = [(attempt.id, policy) for attempt in all_attempts() for policy in policies_here() if policy in attempt.policies]


@pytest.fixture(scope="module")
def results(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, Policy], Result]:
    """Those that were asked for, made at once: each needs a process of its own, which is dear one by one."""
    wanted = {item.callspec.params["name"] for item in request.session.items if hasattr(item, "callspec")}
    file = tmp_path_factory.mktemp("redteam") / "results.json"
    subprocess.run(
        [sys.executable, "-m", "tests.redteam", "--exactly", "--json", file, "--only", *wanted], cwd=HOUSE, check=False
    )
    told = [Result(**{**one, "policy": Policy(one["policy"])}) for one in json.loads(file.read_text())]
    return {(one.id, one.policy): one for one in told}


@pytest.mark.redteam
@pytest.mark.parametrize(("name", "policy"), PAIRS, ids=[f"{name}-{policy.name.lower()}" for name, policy in PAIRS])
@pytest.mark.timeout(600)
def test_attempt(results: Results, name: str, policy: Policy) -> None:
    assert not fault_of(results[name, policy])


def test_there_are_attempts_of_every_class() -> None:
    assert {attempt.kind for attempt in all_attempts()} <= CLASSES.keys()


def test_no_two_attempts_have_one_name() -> None:
    names = [attempt.id for attempt in all_attempts()]
    assert len(names) == len(set(names))


def test_what_is_named_is_an_attempt() -> None:
    assert named().keys() <= {attempt.id for attempt in all_attempts() if Policy.HOST in attempt.policies}
    assert Path(HOUSE, "docs").is_dir()
