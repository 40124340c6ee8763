import json
from pathlib import Path

from benchmarks.repair.engines import read
from benchmarks.repair.table import Row, markdown, ratios


def a_row(**changes: object) -> Row:
    values: dict[str, object] = {
        "bug": "p:x", "kind": "mutated", "category": "o", "judgement": "restored", "rank": 1, "patches": 2,
        "confidence": "high", "template": "t", "tried": 9, "elapsed_s": 1.0, "status": "plausible", "note": "",
        "leftovers": (), "diff": "-a\n+b\n",
    }  # fmt: skip
    return Row.model_validate({**values, **changes})


def test_only_restored_and_correct_count_as_mended() -> None:
    said = ["restored", "correct", "wrong", "unread", "implausible", "none"]
    text = ratios([a_row(bug=f"p:{word}", judgement=word) for word in said])
    assert text[0].startswith(
        "mutated: 2/6 right first (33%, bar 85%): 1 restored, 1 correct by reading; 4 pass all tests (67%, bar 90%)"
    )
    assert "labelled high: 2/6 right (33%)" in text
    assert "not read yet, counted as failures: 1" in text


def test_what_hangs_or_crashes_has_a_bar_of_its_own() -> None:
    rows = [a_row(kind="hard"), a_row(bug="p:y", kind="hard", judgement="none")]
    assert ratios(rows)[0].startswith("hard: 1/2 right first (50%, bar 60%)")
    page = markdown(rows, [], ["About."])
    assert "## Hard bugs" in page
    assert "## Mutated bugs" not in page


def test_what_was_left_behind_is_printed() -> None:
    assert "left something behind: 1\n  p:x: process 7 x" in ratios([a_row(leftovers=("process 7 x",))])


def test_the_page_lists_each_failure() -> None:
    page = markdown([a_row(), a_row(bug="p:y", judgement="wrong", rank=2)], [], ["About."])
    failures = page.split("## Failures")[1]
    assert "`p:y` (o): wrong: `-a ⏎ +b`; a right one stands at place 2" in failures
    assert "p:x" not in failures


def test_the_sealed_part_is_counted_by_itself() -> None:
    page = markdown([a_row()], [a_row(bug="q:z", judgement="none")], ["About."])
    assert page.index("## Sealed part") < page.index("mutated: 0/1") < page.index("## Tuned part")
    assert page.index("## Tuned part") < page.index("mutated: 1/1")


def test_a_search_result_is_read() -> None:
    patch = {"diff": "d", "template": "t", "confidence": "low"}
    out = json.dumps({"status": "plausible", "patches": [patch, patch], "tried": 3, "stop_reason": "done"})
    answer = read(out, "", code=0, elapsed_s=1)
    assert (answer.status, len(answer.proposals), answer.tried, answer.note) == ("plausible", 2, 3, "done")
    assert answer.proposals[0].confidence == "low"


def test_the_last_event_of_a_run_is_read() -> None:
    lines = [{"event": "node"}, {"event": "result", "status": "done", "exit_code": 0, "diff": "d"}]
    answer = read("\n".join(map(json.dumps, lines)), "", code=0, elapsed_s=1)
    assert (answer.status, answer.proposals[0].diff, answer.note) == ("done", "d", "exit 0")


def test_a_diff_that_is_named_by_its_file_is_read(tmp_path: Path) -> None:
    patch = tmp_path / "diff.patch"
    patch.write_text("-a\n+b\n", encoding="utf-8")
    answer = read(json.dumps({"event": "result", "diff": str(patch)}), "", code=0, elapsed_s=1)
    assert answer.proposals[0].diff == "-a\n+b\n"


def test_an_engine_that_says_nothing_has_crashed() -> None:
    answer = read("", "Traceback: boom", code=1, elapsed_s=1)
    assert (answer.status, answer.proposals) == ("crashed", ())
    assert "boom" in answer.note
