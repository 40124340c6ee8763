"""What a person should know about their configuration, on stderr."""

import sys

from rolecall.output.event_text import without_control_characters


def warn(said: str) -> None:
    """Print one sentence."""
    print(f"warning: {without_control_characters(said)}", file=sys.stderr)
