"""Full outputs of commands, stored in the run directory; a model sees head and tail. Owns the numbering and the cut."""

import os
from pathlib import Path

from core.redaction import Redactor

FOLDER = "outputs"


class OutputStore:
    """Numbered files `outputs/NNN.txt` in the run directory."""

    def __init__(self, run_dir: Path, *, max_bytes: int, redactor: Redactor | None = None) -> None:
        self._folder = run_dir / FOLDER
        self.max_bytes = max_bytes
        """How much of an output is shown."""
        self._redactor = Redactor() if redactor is None else redactor

    def folder(self) -> Path:
        """Where the files are; created if missing."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder

    def create(self) -> tuple[int, str]:
        """Create the next file.

        Returns:
            An open descriptor for writing, which the caller closes, and the path relative to the run directory.

        Raises:
            OSError: The directory cannot be written.
        """
        self.folder()
        number = 1 + max((int(path.stem) for path in self._folder.glob("*.txt") if path.stem.isdigit()), default=0)
        while True:
            name = f"{number:03d}.txt"
            try:
                descriptor = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
            except FileExistsError:
                number += 1
                continue
            return descriptor, f"{FOLDER}/{name}"

    def excerpt(self, name: str) -> str:
        """Head and tail of a file of the store, with a line between them that says what is missing."""
        path = self._folder.parent / name
        size = path.stat().st_size
        with path.open("rb") as file:
            if size <= self.max_bytes:
                return _text(file.read())
            head = file.read(self.max_bytes // 3)
            file.seek(size - self.max_bytes * 2 // 3)
            tail = file.read()
        first, last = head[: head.rfind(b"\n") + 1] or head, tail[tail.find(b"\n") + 1 :] or tail
        missing = size - len(first) - len(last)
        note = f"… {missing} bytes left out; full text in {name} (read_file can page through it) …"
        return f"{_text(first)}\n{note}\n{_text(last)}"

    def keep(self, text: str) -> str:
        """Hide secrets, and shorten a text that is too long, saving the whole text in a file."""
        text = self._redactor.clean(text)
        data = text.encode("utf-8", "replace")
        return text if len(data) <= self.max_bytes else self.excerpt(self.save(text))

    def save(self, text: str) -> str:
        """Save a text, without its secrets, as the next file; returns its path relative to the run directory."""
        descriptor, name = self.create()
        with os.fdopen(descriptor, "wb") as file:
            file.write(self._redactor.clean(text).encode("utf-8", "replace"))
        return name


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").replace("\r\n", "\n")
