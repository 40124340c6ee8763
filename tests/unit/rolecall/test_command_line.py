import json
import subprocess
import sys
from pathlib import Path

import pytest

from rolecall.cli import COMMANDS, ArgumentParser
from tests.golden.golden import Golden
from tests.unit.rolecall.command_line import environment, rolecall


def test_help_lists_every_command(tmp_path: Path, golden: Golden) -> None:
    done = rolecall("--help", cwd=tmp_path)

    assert (done.code, done.err) == (0, "")
    golden.check("cli/rolecall.txt", done.out)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_each_command_explains_itself(command: str, golden: Golden) -> None:
    golden.check(f"cli/{command}.txt", ArgumentParser(COMMANDS[command]).format_help())


def test_help_of_a_command_is_asked_for_in_two_ways(tmp_path: Path) -> None:
    done = rolecall("diff", "--help", cwd=tmp_path)

    assert (done.code, done.err) == (0, "")
    assert done.out.strip() == ArgumentParser(COMMANDS["diff"]).format_help().strip()
    assert rolecall("help", "diff", cwd=tmp_path).out.strip() == done.out.strip()


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        pytest.param(["rnu"], "unknown command 'rnu'", "rolecall run`?", id="command"),
        pytest.param(
            ["run", "--max-token", "3"], "unknown option --max-token", "did you mean --max-tokens?", id="option"
        ),
        pytest.param(["run"], "no task given", "Make the failing tests pass", id="no task"),
        pytest.param(["run", "  "], "the task is empty", "Make the failing tests pass", id="blank task"),
        pytest.param(["run", "fix", "it"], "several words", "in quotes", id="unquoted task"),
        pytest.param(["run", "x", "-f", "task.md"], "given twice", "give one", id="two tasks"),
        pytest.param(["run", "-f", "absent.md"], "cannot be read from absent.md", "", id="no file"),
        pytest.param(["run", "x", "--max-cost", "-1"], "--max-cost: '-1'", "", id="negative"),
        pytest.param(
            ["run", "x", "--max-tokens", "many"], "'many' is not a positive integer", "", id="word for number"
        ),
        pytest.param(["run", "x", "--model", "coder"], "'coder' is not of the form ROLE=SPEC", "", id="model"),
        pytest.param(["run", "x", "--repo", "absent"], "does not exist", "--repo", id="no folder"),
        pytest.param(["run", "x"], "is not a git repository", "git init", id="no repository"),
        pytest.param(["resume", "abc", "--last"], "both a thread and --last", "", id="two threads"),
        pytest.param(["threads", "show"], "threads show needs a thread", "threads list", id="no thread"),
        pytest.param(["steer", "abc"], "no text given", "", id="no text"),
        pytest.param(["diff"], "THREAD", "", id="missing argument"),
        pytest.param([], "no command given", "", id="nothing"),
    ],
)
def test_a_wrong_call_is_one_sentence_and_exit_2(words: list[str], said: str, hint: str, tmp_path: Path) -> None:
    done = rolecall(*words, cwd=tmp_path)

    assert (done.code, done.out) == (2, "")
    assert f"error[{'repository' if 'repository' in said or 'exist' in said else 'usage'}]: " in done.err
    assert said in done.err
    assert hint in done.err
    assert "continue with: " in done.err
    assert "Traceback" not in done.err


def test_an_empty_task_on_stdin_is_refused(tmp_path: Path) -> None:
    assert "the task is empty" in rolecall("run", "-", cwd=tmp_path, stdin="\n").err


def test_words_for_people_do_not_go_to_stdout_when_stderr_is_closed(tmp_path: Path) -> None:
    command = f"exec {sys.executable} -m rolecall run x --repo nowhere --json 2>&-"
    done = subprocess.run(
        ["/bin/sh", "-c", command], cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert [json.loads(line)["event"] for line in done.stdout.splitlines()] == ["error", "result"]


def test_a_failure_as_json_ends_with_a_result(tmp_path: Path) -> None:
    done = rolecall("run", "x", "--json", cwd=tmp_path)

    events = [json.loads(line) for line in done.out.splitlines()]
    assert [event["event"] for event in events] == ["error", "result"]
    assert events[0]["code"] == "repository"
    assert events[-1]["exit_code"] == done.code == 2
    assert all(event["v"] == 1 for event in events)


def test_debug_shows_where_it_happened(tmp_path: Path) -> None:
    assert "Traceback" in rolecall("run", "x", "--debug", cwd=tmp_path).err


def test_the_name_the_user_typed_is_the_one_to_continue_with(tmp_path: Path) -> None:
    last = rolecall("run", cwd=tmp_path).err.splitlines()[-1]

    assert last.endswith("-m rolecall run --help")


def test_version_names_what_it_stands_on(tmp_path: Path) -> None:
    done = rolecall("version", "--json", cwd=tmp_path)

    assert json.loads(done.out)["versions"].keys() >= {"rolecall", "langgraph", "python"}
    assert rolecall("--version", cwd=tmp_path).out.startswith("rolecall ")
