"""Commands that are run for their output."""

import subprocess
import sys

COUNT = "import sys; print(len(sys.stdin.read().split()))"
ECHO = "import sys\nfor line in sys.stdin: print(line.strip()[::-1], flush=True)"


def count_words(text: str) -> int:
    """Count words in another process."""
    done = subprocess.run([sys.executable, "-c", COUNT], input=text, text=True, capture_output=True, check=True)
    return int(done.stdout)


class Reverser:
    """A process that turns lines round."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", ECHO], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def turn(self, line: str) -> str:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().rstrip("\n")

    def close(self) -> int:
        """End the process and return its exit code."""
        self.process.stdin.close()
        code = self.process.wait()
        self.process.stdout.close()
        return code


def ask(question: str, default: str = "") -> str:
    """Ask on the terminal; a default is taken without asking."""
    if default:
        return default
    return input(f"{question} ").strip()
