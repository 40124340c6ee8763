"""Each sentence of the README's "What leaves the machine" has a test of its name here."""

import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.jobs import SLUGIFY, SLUGS
from tests.modelserver.competent import CompetentScript
from tests.modelserver.server import ModelServer
from tests.redteam.apart import HOUSE
from tests.redteam.attempt import WALLS, Policy, Result
from tests.redteam.runner import policies_here
from tests.redteam.servers import Answering
from tests.redteam.table import is_named, named
from tests.repositories import make_repository
from tests.unit.rolecall.command_line import Done, environment, rolecall

pytestmark = [pytest.mark.redteam, pytest.mark.timeout(900)]  # the first test may wait for all attempts
HERE = tuple(policy for policy in WALLS if policy in policies_here())
HOST = (Policy.HOST,)
MADE: dict[str, tuple[str, ...]] = {
    "keys": ("redirect-openai-doctor-307", "redirect-ollama-run-307", "redirect-collector"),
    "masks": ("echoed-key", "key-in-override", "outputs-kept", "shown-configuration"),
    "files": ("tool-reads-0", "tool-reads-5", "tool-searches-secrets", "tool-shows-secrets", "base-commit"),
    "walls": ("loopback", "datagram", "socket-abstract", "read-home", "write-checkout", "write-everywhere",
              "temporary-files"),
    "rights": ("remount-checkout", "unmount-home", "open-by-handle", "kill-outside", "peek-at-processes",
               "tracked-secrets"),
    "host": ("read-home", "write-checkout", "loopback", "kill-outside"),
    "both": ("environment", "key-variable", "daemon", "daemon-disowned", "time-not-a-number", "output-flood"),
    "proved": ("broken-walls", "fake-walls", "without-walls", "falling-walls"),
    "asked": ("ask-comment", "ask-sed-execute", "ask-python-c", "ask-redirection", "ask-outside-cat"),
    "repository": ("project-address", "planted-link", "planted-trigger", "planted-thread", "filter-clean", "hooks"),
    "studio": ("studio-no-token-run", "studio-foreign-page", "studio-plain-text", "studio-rebound"),
}  # fmt: skip
LIMITS = ("much-memory", "fork-bomb", "fill-worktree")
ROLES = ("primary", "coder", "reasoning", "router", "summarizer", "supervisor")
WATCHED = """
import sys
def heard(event, args):
    if event == "socket.connect":
        print("CONNECT", args[1], file=sys.stderr)
    elif event == "socket.getaddrinfo":
        print("RESOLVE", args[0], file=sys.stderr)
sys.addaudithook(heard)
sys.argv = ["rolecall", *sys.argv[1:]]
from rolecall.__main__ import main
sys.exit(main())
"""


def section() -> str:
    text = (HOUSE / "README.md").read_text(encoding="utf-8")
    return text.partition("## What leaves the machine\n")[2].partition("\n## ")[0]


def sentences() -> list[str]:
    plain = re.sub(r"\]\([^)]*\)", "]", section()).replace("[", "").replace("]", "")
    return [found.strip() for found in re.split(r"(?<=[a-z`])\.\s+(?=[A-Z])|\.\s*\n", plain) if found.strip()]


def name_of(sentence: str) -> str:
    words = re.findall(r"[a-z0-9]+", sentence.lower())
    return f"test_{'_'.join(words[:10])}"


def test_each_sentence_has_a_test_and_each_test_a_sentence() -> None:
    wanted = {name_of(sentence) for sentence in sentences()}
    assert len(wanted) == len(sentences()) >= 15
    ours = {name for name in globals() if name.startswith("test_")} - {
        test_each_sentence_has_a_test_and_each_test_a_sentence.__name__
    }
    assert ours == wanted


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    if made := os.environ.get("RESULTS_OF_ATTEMPTS"):
        file = Path(made)
    else:
        file = tmp_path_factory.mktemp("attempts") / "results.json"
        _make_attempts(file)
    return [Result(**{**one, "policy": Policy(one["policy"])}) for one in json.loads(file.read_text())]


def _make_attempts(file: Path) -> None:
    names = sorted({name for group in MADE.values() for name in group} | set(LIMITS))
    done = subprocess.run(
        [sys.executable, "-m", "tests.redteam", "--exactly", "--json", file, "--only", *names],
        cwd=HOUSE, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert file.is_file(), done.stderr


def held(results: list[Result], names: tuple[str, ...], *policies: Policy) -> None:
    """All of these attempts were made under these policies, where they apply, and none got out."""
    mine = [one for one in results if one.id in names and one.policy in policies]
    assert {one.id for one in mine} == set(names)
    assert not [one for one in mine if one.error or (one.escape and not is_named(one))]


def got_out(results: list[Result], names: tuple[str, ...]) -> None:
    """On the host these get out, and the documents say so."""
    mine = [one for one in results if one.id in names and one.policy is Policy.HOST]
    assert {one.id for one in mine if one.escape} == set(names)
    assert all(is_named(one) for one in mine)


def watched(*words: str, cwd: Path, env: dict[str, str] | None = None) -> Done:
    """`rolecall` with every address it connects to told on stderr."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *words],
        cwd=cwd, env={**environment(cwd.parent, env), "PYTHONPATH": str(HOUSE)}, capture_output=True, text=True,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo", SLUGS)


def configuration(folder: Path, server: ModelServer, **sections: object) -> str:
    spec = {"provider": "openai_compatible", "model": "scripted", "base_url": server.v1}
    path = folder / "config.json"
    path.write_text(json.dumps({"llm": {**dict.fromkeys(ROLES, "primary"), "primary": spec}, **sections}))
    return str(path)


def foreign(done: Done) -> list[str]:
    told = [line for line in done.err.splitlines() if line.startswith(("CONNECT", "RESOLVE"))]
    return [line for line in told if not re.search(r"127\.0\.0\.1|localhost|::1|None|CONNECT [b'/]", line)]


def test_nothing_leaves_it_unless_you_configure_a_server_elsewhere(repo: Path) -> None:
    with ModelServer(CompetentScript(files=SLUGIFY)) as server:
        config = configuration(repo.parent, server)
        done = watched("run", "Add slugify", "--yes", "-q", "--config", config, cwd=repo)
        assert done.code == 0, done.err
        assert f"{server.port}" in done.err  # what is looked for would be seen
    assert not foreign(done)


def test_there_is_no_telemetry_and_langsmith_tracing_stays_off_unless(repo: Path) -> None:
    env = {"ROLECALL_CONFIG": "", "LANGSMITH_API_KEY": "lsv2_" + "x" * 20, "LANGCHAIN_API_KEY": "lsv2_" + "x" * 20}
    assert not foreign(watched("run", "Say hello", "--yes", "-q", cwd=repo, env=env))
    assert not foreign(watched("doctor", cwd=repo, env=env))


def test_a_server_is_called_only_if_a_chain_names_it(repo: Path) -> None:
    unused = Answering()
    with ModelServer(CompetentScript(files=SLUGIFY)) as server:
        other = {"provider": "openai_compatible", "model": "m", "base_url": f"{unused.url}/v1"}
        path = Path(configuration(repo.parent, server))
        given = json.loads(path.read_text())
        path.write_text(json.dumps({"llm": {**given["llm"], "models": {"spare": other}}}))
        assert rolecall("run", "Add slugify", "--yes", "-q", "--config", str(path), cwd=repo).code == 0
        assert server.requests
    assert not unused.requests


@pytest.mark.parametrize("recorded", [False, True])
def test_prompts_are_recorded_only_with_telemetry_record_prompts(repo: Path, *, recorded: bool) -> None:
    with ModelServer(CompetentScript(files=SLUGIFY)) as server:
        config = configuration(repo.parent, server, telemetry={"record_prompts": recorded})
        assert rolecall("run", "Add slugify", "--yes", "-q", "--config", config, cwd=repo).code == 0
    with sqlite3.connect(repo / ".rolecall" / "rolecall.db") as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE name = 'call_prompts'")]
        rows = db.execute("SELECT count(*) FROM call_prompts").fetchone()[0] if tables else 0
    db.close()
    assert (rows > 0) == recorded


def test_a_key_is_sent_only_to_the_scheme_host_and(results: list[Result]) -> None:
    held(results, MADE["keys"], *HOST)


def test_keys_in_your_configuration_and_anything_that_looks_like_one(results: list[Result]) -> None:
    held(results, MADE["masks"], *HOST)


def test_files_whose_names_look_secret_env_pem_are_neither_shown(results: list[Result]) -> None:
    held(results, MADE["files"], Policy.USER)
    held(results, MADE["files"], *HOST)


def test_in_bubblewrap_a_command_has_no_network_sees_neither_your(results: list[Result]) -> None:
    for policy in HERE:
        held(results, MADE["walls"], policy)


def test_it_has_no_root_privileges_cannot_reach_your_processes_and(results: list[Result]) -> None:
    for policy in HERE:
        held(results, MADE["rights"], policy)


def test_on_the_host_a_command_can_do_what_you_can(results: list[Result]) -> None:
    got_out(results, MADE["host"])


def test_under_both_policies_the_environment_contains_no_secrets_memory_processes(results: list[Result]) -> None:
    for policy in policies_here():
        held(results, (*MADE["both"], *LIMITS), policy)


def test_bubblewrap_is_tested_before_it_is_used_and_with_sandbox(results: list[Result]) -> None:
    for policy in HERE:
        held(results, MADE["proved"], policy)


@pytest.mark.parametrize("mode", ["bubblewrap", "host"])
def test_the_first_lines_of_a_run_and_its_report_name(repo: Path, mode: str) -> None:
    env = {"ROLECALL_CONFIG": "", "ROLECALL_SANDBOX__MODE": mode}
    done = rolecall("run", "Say hello", "--yes", cwd=repo, env=env)
    told = "bubblewrap" if mode == "bubblewrap" else "host"
    assert told in "\n".join(done.err.splitlines()[:4])
    report = next((repo / ".rolecall" / "runs").glob("*/report.md"))
    assert f"in {told}" in report.read_text() or f"on the {told}" in report.read_text()


def test_without_yes_commands_wait_for_your_approval_unless_they_are(results: list[Result]) -> None:
    held(results, MADE["asked"], *HOST)


def test_a_repository_cannot_configure_rolecall_its_rolecall_json_is_read(results: list[Result]) -> None:
    held(results, MADE["repository"], *HOST)


def test_studio_s_server_refuses_requests_without_its_token_and_pages(results: list[Result]) -> None:
    held(results, MADE["studio"], *HOST)


def test_security_lists_what_is_protected_where_and_what_is_not() -> None:
    text = (HOUSE / "docs" / "security.md").read_text(encoding="utf-8")
    table = text.partition("<!-- named:")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \|$", table, re.MULTILINE)
    assert dict(rows) == named()
    assert len(rows) == len(named())
