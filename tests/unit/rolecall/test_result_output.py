"""What a run used, in words."""

import pytest

from core.artifacts import RoleUsage, SpecUsage
from core.run_result import RunResult
from core.state import UNCHECKED
from rolecall.invocation import Invocation
from rolecall.output.result_output import print_outcome, usage_lines


def test_each_model_is_charged_with_what_it_was_asked() -> None:
    usage = {
        "summarizer": RoleUsage(
            calls=18, input_tokens=25_800, output_tokens=69_000, seconds=43, specs=("embedded",),
            by_spec={
                "summarizer:tiny": SpecUsage(
                    calls=9, failed=9, input_tokens=25_800, output_tokens=69_000, seconds=42
                ),
                "embedded": SpecUsage(calls=9, seconds=1),
            },
        ),
        "router": RoleUsage(
            calls=3, specs=("tiny", "big"),
            by_spec={
                "tiny": SpecUsage(calls=2, failed=1, input_tokens=5, seconds=2),
                "big": SpecUsage(calls=1, input_tokens=7, output_tokens=2, seconds=1, cost_usd=0.5),
            },
        ),
    }  # fmt: skip

    assert usage_lines(usage) == [
        "router: tiny, 2 calls (1 without a usable answer), 5 tokens in, 2.0 s",
        "router: big, 1 call, 7 tokens in, 2 out, 1.0 s (0.5000 USD)",
        "summarizer: summarizer:tiny, 9 calls without a usable answer, 25.8k tokens in, 69.0k out, 42.0 s",
        "summarizer: embedded, 9 calls, 1.0 s",
    ]


def test_a_thread_whose_id_begins_with_the_time_is_named_as_its_branch(capsys: pytest.CaptureFixture[str]) -> None:
    thread = "01a1fe58-4a08-771e-b920-5cb6eb94149b"
    outcome = RunResult(thread_id=thread, status="answered", exit_code=0, branch="rolecall/eb94149b", message="Four.")

    print_outcome(outcome, 0, Invocation([]))

    assert capsys.readouterr().out.splitlines()[0] == "eb94149b  answered"


def test_nothing_is_called_green_where_there_was_no_check(capsys: pytest.CaptureFixture[str]) -> None:
    thread = "1a2b3c4d-4a08-471e-b920-5cb6eb94149b"
    print_outcome(
        RunResult(thread_id=thread, status="done", exit_code=0, branch="rolecall/1a2b3c4d", message=UNCHECKED), 0,
        Invocation([]),
    )  # fmt: skip

    assert capsys.readouterr().out.splitlines() == ["1a2b3c4d  done", f"          {UNCHECKED}"]


def test_a_limit_without_an_option_is_raised_by_what_stands_before_the_command() -> None:
    """Else the command that is to go on would be stopped by the same limit at once."""
    call = Invocation([], thread="1a2b3c4d-4a08-471e-b920-5cb6eb94149b", resumable=True, approves=True)
    call.environment = "ROLECALL_BUDGET__MAX_MODEL_CALLS=10"

    assert call.continuation(usage=False).startswith("ROLECALL_BUDGET__MAX_MODEL_CALLS=10 ")
    assert call.continuation(usage=False).endswith("resume 1a2b3c4d --yes")


@pytest.mark.parametrize("command", ["steer", "pause"])
def test_what_a_finished_thread_refuses_is_not_suggested_again(command: str) -> None:
    call = Invocation([command, "1a2b3c4d"], command=command, thread="1a2b3c4d-4a08-471e-b920-5cb6eb94149b")
    assert call.continuation(usage=False).endswith("log 1a2b3c4d")
