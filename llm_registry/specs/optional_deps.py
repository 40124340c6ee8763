"""How to install a missing optional extra. Installs nothing."""

import shlex
import sys


def install_command(extra: str) -> str:
    """The command that adds an extra to the environment rolecall runs in; a bare `pip` may be another one's."""
    return f"{shlex.quote(sys.executable)} -m pip install 'rolecall[{extra}]'"
