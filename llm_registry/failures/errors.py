"""The ways a model call fails, and what each of them means for the chain. Reading exceptions is done in
`error_mapping`."""

from enum import StrEnum


class ErrorKind(StrEnum):
    """What went wrong with a call."""

    REFUSED = "refused"
    DNS = "dns"
    CONNECT_TIMEOUT = "connect_timeout"
    FIRST_TOKEN_TIMEOUT = "first_token_timeout"  # noqa: S105 - no secret
    IDLE_TIMEOUT = "idle_timeout"
    TOTAL_TIMEOUT = "total_timeout"
    RESET = "reset"
    CUT = "cut"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    CONTEXT = "context"
    QUOTA = "quota"
    REDIRECTED = "redirected"
    AUTH = "auth"
    UNKNOWN_MODEL = "unknown_model"
    NO_ENDPOINT = "no_endpoint"
    UNSUPPORTED = "unsupported"
    BAD_REQUEST = "bad_request"
    BAD_OUTPUT = "bad_output"
    SERVER_ERROR = "server_error"
    OUT_OF_MEMORY = "out_of_memory"
    CRASHED = "crashed"


RETRIES: dict[ErrorKind, int] = {
    ErrorKind.RATE_LIMITED: 2, ErrorKind.OVERLOADED: 2, ErrorKind.RESET: 1, ErrorKind.CUT: 1,
    ErrorKind.SERVER_ERROR: 1, ErrorKind.BAD_OUTPUT: 1,
}  # fmt: skip
"""How often the same spec is retried; a kind that is not here goes to the next spec immediately."""

ENDPOINT_DOWN = frozenset({ErrorKind.REFUSED, ErrorKind.DNS, ErrorKind.CONNECT_TIMEOUT})
"""Nothing was sent: the server is unreachable, so one such failure opens its breaker."""

ENDPOINT_SICK = frozenset({
    ErrorKind.FIRST_TOKEN_TIMEOUT, ErrorKind.IDLE_TIMEOUT, ErrorKind.TOTAL_TIMEOUT, ErrorKind.RESET, ErrorKind.CUT,
    ErrorKind.OVERLOADED, ErrorKind.SERVER_ERROR, ErrorKind.OUT_OF_MEMORY,
})  # fmt: skip
"""Counts against the server; several in a row open its breaker."""

UNSERVED = frozenset({
    ErrorKind.REFUSED, ErrorKind.DNS, ErrorKind.CONNECT_TIMEOUT, ErrorKind.RATE_LIMITED, ErrorKind.OVERLOADED,
    ErrorKind.CONTEXT, ErrorKind.QUOTA, ErrorKind.REDIRECTED, ErrorKind.AUTH, ErrorKind.UNKNOWN_MODEL,
    ErrorKind.NO_ENDPOINT, ErrorKind.UNSUPPORTED, ErrorKind.BAD_REQUEST,
})  # fmt: skip
"""No model did any work: such calls use none of a thread's budget."""

SPEC_DEAD = frozenset(
    {ErrorKind.AUTH, ErrorKind.QUOTA, ErrorKind.UNKNOWN_MODEL, ErrorKind.NO_ENDPOINT, ErrorKind.REDIRECTED}
)
"""The server is fine but will not serve this spec before its owner changes something."""


class CallFailure(Exception):  # noqa: N818 - steers the chain, is never shown as it is
    """One failed call.

    Args:
        kind: What went wrong.
        message: The server's words, shortened.
        retry_after_s: What the server asked for, in seconds.
        blocked: The server was not even asked.
        final: Asking the same spec again would change nothing.
    """

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        *,
        retry_after_s: float | None = None,
        blocked: bool = False,
        final: bool = False,
    ) -> None:
        super().__init__(kind, message)
        self.kind = self.cause = kind
        """`cause` is what there is to be mended: for a call that a breaker stopped, the kind that opened it."""
        self.message = message
        self.retry_after_s = retry_after_s
        self.blocked = blocked
        self.final = final

    def __str__(self) -> str:
        """Kind and message, for lists of what happened to each spec."""
        if self.blocked:
            return self.message
        words = self.kind.value.replace("_", " ")
        return f"{words}: {self.message}" if self.message else words
