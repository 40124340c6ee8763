"""Compares a text with the one kept in `tests/golden/`, or accepts it as the new one with `--update-golden`."""

from pathlib import Path

FOLDER = Path(__file__).parent


class Golden:
    """The kept texts."""

    def __init__(self, *, update: bool) -> None:
        self._update = update

    def check(self, name: str, text: str) -> None:
        """Fail when the text differs from the kept one."""
        path = FOLDER / name
        if self._update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"tests/golden/{name} is missing; accept it with --update-golden"
        assert text == path.read_text(encoding="utf-8"), f"tests/golden/{name} differs; --update-golden accepts it"
