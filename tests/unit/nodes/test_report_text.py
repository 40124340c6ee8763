"""The layout of the report, from state and record alone."""

from core.artifacts import ReportNarrative, RoleUsage, SpecUsage
from core.state import Outcome
from nodes.text.report_text import RunFigures, report_markdown

STAT = " slugs/slug.py      | 2 ++\n tests/test_slug.py | 4 ++++\n 2 files changed, 6 insertions(+)\n"


def laid_out(usage: dict[str, RoleUsage]) -> str:
    facts = RunFigures(
        thread_id="1a2b3c4d-4a08-471e-b920-5cb6eb94149b",
        branch="rolecall/1a2b3c4d",
        stat=STAT,
        changed=True,
        usage=usage,
        sandbox="",
    )
    return report_markdown({"task": "Write slugify"}, ReportNarrative(summary="Done."), facts, status="done")


def test_tokens_stand_beside_the_model_that_was_called() -> None:
    spent = SpecUsage(calls=9, failed=9, input_tokens=25_800, output_tokens=69_000, seconds=42.04)
    usage = RoleUsage(
        calls=18, input_tokens=25_800, output_tokens=69_000, seconds=42.1, specs=("embedded",),
        by_spec={"tiny": spent, "embedded": SpecUsage(calls=9, seconds=0.06, cost_usd=0.0)},
    )  # fmt: skip
    text = laid_out({"summarizer": usage})

    assert "| role | model | calls | failed |" in text
    assert "| summarizer | tiny | 9 | 9 | 25,800 | 69,000 | 42.0 | unknown |" in text
    assert "| summarizer | embedded | 9 | 0 | unknown | unknown | 0.1 | $0.0000 |" in text


def test_the_stat_keeps_the_indent_of_its_first_line() -> None:
    assert f"```\n{STAT}```" in laid_out({})


def test_what_a_report_advises_is_what_apply_does() -> None:
    def advice(status: Outcome, *, uncommitted: bool = False) -> str:
        facts = RunFigures("1a2b3c4d-4a08-471e-b920-5cb6eb94149b", "rolecall/1a2b3c4d", STAT, True, {}, "", uncommitted)
        text = report_markdown({"task": "Write slugify"}, ReportNarrative(summary="So."), facts, status=status)
        return text.partition("## How to apply")[2]

    assert advice("done").endswith("rolecall apply 1a2b3c4d\n```\n")
    assert "apply 1a2b3c4d --force" in advice("stuck")
    assert "not committed yet" not in advice("stuck")
    assert ("not committed yet and will not be applied; run `rolecall resume 1a2b3c4d`") in advice(
        "budget", uncommitted=True
    )
