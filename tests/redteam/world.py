"""The world of one attempt: a user's home with private things, their repository in it, a folder beside it."""

import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.repositories import git, make_repository, write

PLAIN = {"README.md": "A small library.\n", "calc.py": "def add(a, b):\n    return a + b\n"}


@dataclass(slots=True)
class World:
    """Folders and words of one attempt."""

    base: Path
    repo: Path = field(init=False)
    canary: str = field(default_factory=lambda: f"canary{secrets.token_hex(8)}")
    token: str = field(default_factory=lambda: f"token{secrets.token_hex(6)}")
    env: dict[str, str] = field(default_factory=dict)
    thread: str = ""
    """The short name of the thread, once one is begun."""

    def __post_init__(self) -> None:
        self.repo = self.home / "project"

    @property
    def home(self) -> Path:
        """The user's home."""
        return self.base / "home"

    @property
    def outside(self) -> Path:
        """A folder of the user's outside of home and repository."""
        return self.base / "outside"

    def fill(self, text: str) -> str:
        """Put this world's places and words into a text."""
        places = {
            "@REPO@": self.repo, "@HOME@": self.home, "@OUTSIDE@": self.outside, "@CANARY@": self.canary,
            "@TOKEN@": self.token,
        }  # fmt: skip
        for mark, value in places.items():
            text = text.replace(mark, str(value))
        return text

    def filled(self, tree: Any) -> Any:
        """The same for every text of a tree."""
        if isinstance(tree, str):
            return self.fill(tree)
        if isinstance(tree, Mapping):
            return {key: self.filled(value) for key, value in tree.items()}
        return [self.filled(value) for value in tree] if isinstance(tree, list | tuple) else tree

    def build(self, files: Mapping[str, str]) -> None:
        """Make home, the folder beside it and the repository."""
        for folder in (self.home, self.outside):
            folder.mkdir(parents=True)
        write(self.home, {
            ".gitconfig": "[user]\n\tname = Ada\n\temail = ada@example.org\n",
            "private.txt": f"{self.canary}\n",
            ".ssh/id_ed25519": f"{self.canary}\n",
        })  # fmt: skip
        write(self.outside, {"kept.txt": "as it was\n"})
        make_repository(self.repo, {**PLAIN, **self.filled(files)})

    def git(self, *words: str) -> str:
        """Run git in the user's checkout."""
        return git(self.repo, *words)

    def commit(self, files: Mapping[str, str]) -> None:
        """Commit more files."""
        write(self.repo, self.filled(files))
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "--message", "More")

    def program(self, path: Path, script: str) -> Path:
        """An executable shell script."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n" + self.fill(script), encoding="utf-8")
        path.chmod(0o755)
        return path

    def listening(self, path: Path) -> socket.socket:
        """A unix socket somebody listens on; whoever connects leaves a trace: see `proofs.connected`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        here = Path.cwd()
        os.chdir(path.parent)  # the path of a socket must be short
        try:
            made.bind(path.name)
        finally:
            os.chdir(here)
        made.listen(8)
        made.setblocking(False)
        return made
