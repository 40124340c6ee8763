"""How the bytes of checkpoints are packed. Owns the format: what is written here must stay readable in later versions.

A thread writes dozens of small checkpoints that mostly contain the same names, so these are in a dictionary.
"""

import zlib
from functools import cache

PACKED = "+zlib1"
"""Suffix of the kind of a value packed with the first dictionary."""
_SMALL = 96
"""Bytes below which packing saves nothing."""
_LARGEST = 1 << 30
"""Bytes a value may unpack to."""
_WORDS = (
    "criterion met evidence accept concerns verdict timed_out output_path outputs/ duration_s exit_code command "
    "checks QAReport markdown Report questions Run the checks. how_to_check out_of_scope constraints "
    "relevant_files acceptance_criteria goal Scope expected_files priority details title steps milestones Plan "
    "served_by tool_calls commit files text attempt step_id StepResult dashboard status_line StepSummary advice "
    "reason action AssessDecision confidence target_model CODING REASONING DELEGATE HANDLE routing_decision "
    "RoutingDecision Acceptance criteria: Milestone: brief snapshot step_results summaries baseline assessment "
    "outcome stop_reason steps_done current_step guidance guidance_cursor steered budget_left cost_usd "
    "model_calls seconds tokens BudgetLeft first choice embedded primary coder router reasoning summarizer Served "
    "served routing task langgraph.types tool_call call_ arguments function content additional_kwargs "
    "response_metadata langchain_core.messages.ai AIMessage langchain_core.messages.tool ToolMessage "
    "langchain_core.messages.human HumanMessage messages thread_model_call_count run_model_call_count"
)
_OUTER = ("route", "answer", "scope", "clarify", "plan", "implement", "summarize", "qa", "assess", "report")
_INNER = (
    "ModelCallLimitMiddleware.before_model", "Compaction.before_model", "model",
    "ModelCallLimitMiddleware.after_model", "InboxMiddleware.after_model",
)  # fmt: skip
_CHANNELS = (
    "__start__", "messages", "brief", "step", "guidance_cursor", "guidance", "thread_model_call_count",
    "run_model_call_count", "__pregel_tasks",
)  # fmt: skip
_VERSION = f"{12:032}.0"


def pack(data: bytes) -> bytes | None:
    """The bytes in a smaller form; `None` if there is none."""
    if len(data) < _SMALL:
        return None
    packing = zlib.compressobj(9, zdict=_dictionary())
    small = packing.compress(data) + packing.flush()
    return small if len(small) < len(data) else None


def unpack(data: bytes) -> bytes:
    """The bytes as they were.

    Raises:
        ValueError: They were not packed here, or are truncated.
    """
    unpacking = zlib.decompressobj(zdict=_dictionary())
    try:
        whole = unpacking.decompress(data, _LARGEST)
    except zlib.error as error:
        raise ValueError(f"it cannot be unpacked ({error})") from error
    if not unpacking.eof:
        raise ValueError("it is truncated")
    return whole


@cache
def _dictionary() -> bytes:
    """The names as MessagePack writes them, in the order of a checkpoint; the most frequent ones come last."""
    versions = [part for name in _CHANNELS for part in (name, _VERSION)]
    for nodes in (_OUTER, _INNER):
        versions += [part for node in nodes for part in (f"branch:to:{node}", _VERSION)]
    seen = b"".join(_string(node) + b"\x81" + _string(f"branch:to:{node}") + _string(_VERSION)
                    for node in (*_OUTER, *_INNER))  # fmt: skip
    frame = b"\x87\xa1v\x04\xa2ts\xd9\x202026-01-01T00:00:00.000000+00:00\xa2id\xd9\x241f1e" + _string("channel_values")
    artifact = _string("core.artifacts") + _string("model_validate_json")
    parts = (*map(_string, _WORDS.split()), artifact, frame, _string("channel_versions"), *map(_string, versions))
    start = _string("versions_seen") + b"\x88" + _string("__input__") + b"\x80" + _string("__start__") + b"\x81"
    return b"".join(parts) + start + _string("__start__") + _string(_VERSION) + seen + _string("updated_channels")


def _string(text: str) -> bytes:
    data = text.encode()
    return (bytes([0xA0 + len(data)]) if len(data) < 32 else bytes([0xD9, len(data)])) + data
