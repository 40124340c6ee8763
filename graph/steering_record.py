"""The messages sent to a thread and their outcomes: the part of the report that is known only at the end of a run."""

from collections.abc import Iterable, Sequence
from textwrap import shorten

from graph.store.receipts import Receipt
from graph.supervisor.escalation import Intervention
from nodes.guidance.delivery import SPOKEN

_LONGEST = 600
_BY_CHECKS = {
    "green": "the checks that followed were green",
    "unchanged": "the checks that followed were green, as before",
    "better": "the checks that followed had fewer failures",
    "same": "the checks that followed had the same failures",
    "worse": "the checks that followed had more failures",
    "no check followed": "no check followed",
}


def steering_markdown(receipts: Sequence[Receipt], interventions: Sequence[Intervention]) -> str:
    """The section of the report on guidance and interventions; empty where there was neither.

    Args:
        receipts: Of every row of the inbox.
        interventions: Everything the supervisor did or suggested.
    """
    by_row = {receipt.item.id: receipt for receipt in receipts}
    said = [one for one in receipts if one.item.author != "supervisor" and one.item.kind in (*SPOKEN, "model")]
    parts = [
        _listed("Guidance received", map(_message, said)),
        _listed("Supervisor", (_intervention(one, by_row.get(one.inbox_id or 0)) for one in interventions)),
    ]
    return "\n\n".join(part for part in parts if part)


def message_outcome(receipt: Receipt) -> str:
    """What became of a message."""
    if receipt.refused:
        return f"reached `{receipt.node}`, {receipt.not_followed}"
    if receipt.status == "seen":
        return f"reached `{receipt.node}`"
    return (
        "not delivered: the work had ended" if receipt.status == "undelivered" else "waiting for the thread to resume"
    )


def _message(receipt: Receipt) -> str:
    item = receipt.item
    return f"{item.author}, {item.kind}: {_short(item.text)} - {message_outcome(receipt)}"


def _intervention(entry: Intervention, receipt: Receipt | None) -> str:
    words = f": {_short(entry.text)}" if entry.text else ""
    return f"{entry.action} (rule {entry.rule}, {_short(entry.reason)}){words} - {_outcome(entry, receipt)}"


def _outcome(entry: Intervention, receipt: Receipt | None) -> str:
    if entry.action == "nothing":
        return "let pass"
    if not entry.applied:
        return "suggested only"
    if receipt is not None and (receipt.refused or receipt.status != "seen"):
        return message_outcome(receipt)
    return _BY_CHECKS.get(entry.outcome or "no check followed", str(entry.outcome))


def _listed(title: str, lines: Iterable[str]) -> str:
    body = "\n".join(f"- {line}" for line in lines)
    return f"## {title}\n\n{body}" if body else ""


def _short(text: str) -> str:
    return shorten(text, _LONGEST, placeholder=" …")
