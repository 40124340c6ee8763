"""What must come of each misbehaviour: the right answer, the right fallback or the right typed error.

Owns the expectations only. `first` means that the misbehaving server's own answer was got out of it in the end.
"""

from enum import StrEnum

from benchmarks.faults.trial import Manner, Outcome, Protocol, Trial
from llm_registry.failures.errors import ErrorKind
from tests.modelserver.faults import Fault


class Course(StrEnum):
    """How a misbehaviour is met."""

    HARMLESS = "read anyway"
    MENDED = "asked again, then next"
    NEXT = "next at once"
    LADDER = "asked another way"


_ENDS: dict[Course, dict[Manner, str]] = {
    Course.HARMLESS: {Manner.ONCE: "first", Manner.ALWAYS: "first", Manner.ALONE: "first"},
    Course.LADDER: {Manner.ONCE: "first", Manner.ALWAYS: "first", Manner.ALONE: "first"},
    Course.MENDED: {Manner.ONCE: "first", Manner.ALWAYS: "second", Manner.ALONE: "error"},
    Course.NEXT: {Manner.ONCE: "second", Manner.ALWAYS: "second", Manner.ALONE: "error"},
}

_EXPECTED: dict[Fault, tuple[Course, ErrorKind | None]] = {
    Fault.REFUSED: (Course.NEXT, None),
    Fault.RESET: (Course.MENDED, ErrorKind.RESET),
    Fault.HANG_BEFORE_HEADERS: (Course.NEXT, ErrorKind.FIRST_TOKEN_TIMEOUT),
    Fault.HANG_AFTER_FIRST_TOKEN: (Course.NEXT, ErrorKind.IDLE_TIMEOUT),
    Fault.SLOW_FIRST_TOKEN: (Course.HARMLESS, None),
    Fault.CUT: (Course.MENDED, ErrorKind.CUT),
    Fault.NO_FINISH_REASON: (Course.MENDED, ErrorKind.CUT),
    Fault.PROXY_ERROR: (Course.MENDED, ErrorKind.CUT),
    Fault.ERROR_IN_STREAM: (Course.MENDED, ErrorKind.SERVER_ERROR),
    Fault.INVALID_SSE: (Course.MENDED, ErrorKind.BAD_OUTPUT),
    Fault.MALFORMED_BODY: (Course.MENDED, ErrorKind.BAD_OUTPUT),
    Fault.WRONG_CONTENT_TYPE: (Course.MENDED, ErrorKind.BAD_OUTPUT),
    Fault.EMPTY_BODY: (Course.MENDED, ErrorKind.BAD_OUTPUT),
    Fault.EMPTY_CHOICES: (Course.MENDED, ErrorKind.BAD_OUTPUT),
    Fault.EMPTY_CONTENT: (Course.MENDED, ErrorKind.BAD_OUTPUT),
    Fault.REASONING_ONLY: (Course.MENDED, ErrorKind.BAD_OUTPUT),
    Fault.PROSE: (Course.MENDED, ErrorKind.BAD_OUTPUT),
    Fault.FENCED_JSON: (Course.HARMLESS, None),
    Fault.THINK_BEFORE_JSON: (Course.HARMLESS, None),
    Fault.WRONG_TYPES: (Course.MENDED, ErrorKind.BAD_OUTPUT),
    Fault.WRONG_SHAPE: (Course.HARMLESS, None),
    Fault.TRUNCATED: (Course.MENDED, ErrorKind.BAD_OUTPUT),
    Fault.INVENTED_TOOL: (Course.MENDED, ErrorKind.BAD_OUTPUT),
    Fault.ARGUMENTS_42: (Course.MENDED, ErrorKind.BAD_OUTPUT),
    Fault.ARGUMENTS_BROKEN: (Course.MENDED, ErrorKind.BAD_OUTPUT),
    # An object where a string belongs, or a string where an object does: understood.
    Fault.ARGUMENTS_WRONG_KIND: (Course.HARMLESS, None),
    Fault.ARGUMENTS_MISSING: (Course.MENDED, ErrorKind.BAD_OUTPUT),
    Fault.TOOL_CALL_AS_TEXT: (Course.HARMLESS, None),
    Fault.NO_RESPONSE_FORMAT: (Course.LADDER, ErrorKind.UNSUPPORTED),
    Fault.NO_TOOLS: (Course.NEXT, ErrorKind.UNSUPPORTED),
    Fault.CONTEXT_LLAMA_CPP: (Course.NEXT, ErrorKind.CONTEXT),
    Fault.CONTEXT_VLLM: (Course.NEXT, ErrorKind.CONTEXT),
    Fault.CONTEXT_OLLAMA: (Course.NEXT, ErrorKind.CONTEXT),
    Fault.CONTEXT_LM_STUDIO: (Course.NEXT, ErrorKind.CONTEXT),
    Fault.CONTEXT_LITELLM: (Course.NEXT, ErrorKind.CONTEXT),
    Fault.SILENT_TRUNCATION: (Course.NEXT, ErrorKind.CONTEXT),
    Fault.AUTH: (Course.NEXT, ErrorKind.AUTH),
    Fault.AUTH_STRING_BODY: (Course.NEXT, ErrorKind.AUTH),
    Fault.FORBIDDEN: (Course.NEXT, ErrorKind.AUTH),
    Fault.QUOTA: (Course.NEXT, ErrorKind.QUOTA),
    Fault.UNKNOWN_MODEL: (Course.NEXT, ErrorKind.UNKNOWN_MODEL),
    Fault.NO_ENDPOINT: (Course.NEXT, ErrorKind.NO_ENDPOINT),
    Fault.RATE_LIMITED: (Course.MENDED, ErrorKind.RATE_LIMITED),
    Fault.RATE_LIMITED_NO_HINT: (Course.MENDED, ErrorKind.RATE_LIMITED),
    Fault.OVERLOADED: (Course.MENDED, ErrorKind.OVERLOADED),
    Fault.LOADING: (Course.MENDED, ErrorKind.OVERLOADED),
    Fault.SERVER_ERROR_HTML: (Course.MENDED, ErrorKind.SERVER_ERROR),
    Fault.BAD_GATEWAY: (Course.MENDED, ErrorKind.SERVER_ERROR),
    Fault.OUT_OF_MEMORY: (Course.NEXT, ErrorKind.OUT_OF_MEMORY),
}

_OTHERWISE: dict[tuple[Fault, Protocol], tuple[Course, ErrorKind | None]] = {
    # A bare line is a comment in an event stream, which then lacks its end; between JSON lines it is rubbish.
    (Fault.PROXY_ERROR, Protocol.OLLAMA): (Course.MENDED, ErrorKind.BAD_OUTPUT),
    # The same emptiness: no choice and no reason, or an answer without words.
    (Fault.EMPTY_CHOICES, Protocol.CHAT): (Course.MENDED, ErrorKind.CUT),
    # Its window is set by us, call by call: the prompt is known not to fit and never sent.
    (Fault.SILENT_TRUNCATION, Protocol.OLLAMA): (Course.NEXT, None),
}


def expected(trial: Trial) -> tuple[str, ErrorKind | None, Course]:
    """How a trial must end, the kind its first failure must have (`None`: no call may fail), and why."""
    course, kind = _OTHERWISE.get((trial.fault, trial.protocol), _EXPECTED[trial.fault])
    return _ENDS[course][trial.manner], kind, course


def wrong(trial: Trial, outcome: Outcome) -> str:
    """What is wrong with an outcome, "" when it is as it must be."""
    end, kind, _ = expected(trial)
    if outcome.end != end:
        return f"ended as {outcome.end!r} instead of {end!r}: {outcome.detail or outcome.kinds}"
    first = outcome.kinds[0] if outcome.kinds else None
    wanted = kind.value if kind else None
    return "" if first == wanted else f"its failure was booked as {first!r} instead of {wanted!r}"
