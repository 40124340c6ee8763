"""Text out of bytes that nobody promised to be UTF-8: names of files, diffs, arguments. Decides no encoding."""

import re

_LONE = re.compile("[\ud800-\udfff]")


def readable(text: str) -> str:
    """Replace the stand-ins for undecodable bytes, which no checkpoint, no log and no server takes.

    Args:
        text: As git, the command line or a model gave it.
    """
    return _LONE.sub("\N{REPLACEMENT CHARACTER}", text)
