"""What is adopted from a repository's configuration: how files are read and written, and who the user is. Owns
that list, and the list of programs a configuration names, none of which is run."""

import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

from core.errors import RepositoryError

_KEPT = {
    "core": (
        "autocrlf", "eol", "filemode", "ignorecase", "symlinks", "precomposeunicode", "checkstat", "trustctime",
        "compression", "loosecompression", "sharedrepository", "protecthfs", "protectntfs", "longpaths",
        "checkroundtripencoding",
    ),
    "user": ("name", "email"),
    "author": ("name", "email"),
    "committer": ("name", "email"),
    "extensions": ("objectformat", "partialclone"),
}  # fmt: skip
"""Settings without which files would be stored differently than by the user's own git. None of them names a program."""
_FIXED = {
    "core": {
        "bare": "false", "hookspath": os.devnull, "fsmonitor": "false", "quotepath": "false", "safecrlf": "false",
        "splitindex": "false", "untrackedcache": "false",
    },
    "color": {"ui": "false"},
    "diff": {"context": "3"},
    "apply": {"ignorewhitespace": "no"},
    "gc": {"auto": "0"},
}  # fmt: skip
_IN_ADDRESS = re.compile(r"https?://(?P<user>[^/\s@:]+)(?::(?P<password>[^/\s@]+))?@")
_FILES = {"excludesfile": "ignore", "attributesfile": "attributes"}


class GitConfig:
    """The effective configuration of a repository, as `git config --list -z` prints it."""

    def __init__(self, listed: str) -> None:
        self._values: dict[str, str] = {}
        for entry in listed.split("\0"):
            if entry:
                name, gap, value = entry.partition("\n")
                self._values[name] = value if gap else "true"

    def get(self, name: str) -> str | None:
        """The effective value; section and variable in lower case."""
        return self._values.get(name)

    def is_on(self, name: str) -> bool:
        """Whether a switch is on."""
        return (self.get(name) or "").lower() in {"true", "yes", "on", "1"}

    def section(self, name: str, wanted: Collection[str] | None = None) -> dict[str, str]:
        """The variables of a section without subsections; all of them, or those that are wanted."""
        found = ((*key.partition("."), value) for key, value in self._values.items())
        return {variable: value for start, _, variable, value in found
                if start == name and "." not in variable and (wanted is None or variable in wanted)}  # fmt: skip

    def filters(self) -> dict[str, bool]:
        """The filters that would run a program, each with whether git itself refuses to store a file without it."""
        return {name: self.is_on(f"filter.{name}.required") for name, variable, value in self._of("filter")
                if name and value and variable in {"clean", "smudge", "process"}}  # fmt: skip

    def merge_drivers(self) -> set[str]:
        """Names of the merge drivers that would run a program."""
        return {name for name, variable, value in self._of("merge") if variable == "driver" and value}

    def secrets(self) -> dict[str, str]:
        """Passwords and tokens in the configuration, by the name they are shown under."""
        found = {}
        for name, value in self._values.items():
            section, _, variable = name.partition(".")
            if variable.endswith("extraheader"):
                found[f"git.{section}.extraheader"] = value.rpartition(" ")[2]
            # Addresses stand in values and, for `url.*.insteadOf` and `http.*`, in names.
            for address in (value, variable):
                user = _IN_ADDRESS.search(address)
                if user:
                    found[f"git.{section}.url"] = unquote(user["password"] or user["user"])
        return found

    def programs_off(self) -> tuple[str, ...]:
        """Settings for `git -c` that turn every program named here off; for calls that must read the configuration.

        Raises:
            RepositoryError: A name cannot be written that way.
        """
        off: list[str] = []
        for name in {name for name, _, _ in self._of("filter")}:
            off += [f"filter.{name}.{variable}=" for variable in ("clean", "smudge", "process")]
            off.append(f"filter.{name}.required=false")
        # A driver that always answers "conflict".
        off += [f"merge.{name}.driver=exit 1" for name in self.merge_drivers()]
        if self.get("merge.default") is not None:
            off.append("merge.default=text")
        for name in {name for name, _, _ in self._of("hook")}:
            off += [f"hook.{name}.command=:", f"hook.{name}.enabled=false"]
        for name in {name for name, variable, _ in self._of("diff") if variable in {"command", "textconv"}}:
            off += [f"diff.{name}.command=", f"diff.{name}.textconv="]
        odd = next((setting for setting in off if "=" in setting.split("=", 1)[0] or setting.count("=") > 1), None)
        if odd is not None:
            raise RepositoryError(
                f"the git configuration names a program under {odd!r}, a name with an equals sign",
                hint="give that filter, driver or hook another name in the git configuration",
            )
        return tuple(off)

    def own_config(self, work_tree: Path) -> str:
        """A configuration file with what is kept of this one; blocking."""
        found = {section: self.section(section, names) for section, names in _KEPT.items()}
        sections = {section: values for section, values in found.items() if values}
        core = sections.setdefault("core", {})
        core["repositoryformatversion"] = "1" if "extensions" in sections else "0"
        for name, usual in _FILES.items():
            path = self._file(name, usual, work_tree)
            if path is not None:
                core[name] = str(path)
        for section, fixed in _FIXED.items():
            sections.setdefault(section, {}).update(fixed)
        return config_text(sections)

    def identity(self) -> dict[str, str]:
        """Environment variables that name rolecall as the author where the user has set none."""
        given = {}
        for part, value in (("name", "rolecall"), ("email", "rolecall@localhost")):
            for whose in ("author", "committer"):
                variable = f"GIT_{whose}_{part}".upper()
                if not (self.get(f"user.{part}") or self.get(f"{whose}.{part}") or os.environ.get(variable)):
                    given[variable] = value
        return given

    def _file(self, name: str, usual: str, work_tree: Path) -> Path | None:
        """A file of patterns that the user has for all repositories."""
        home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111
        given = self.get(f"core.{name}")
        path = Path(home, "git", usual) if given is None else Path(os.path.expanduser(given))  # noqa: PTH111
        path = work_tree / path
        return path if path.is_file() else None

    def _of(self, section: str) -> Iterator[tuple[str, str, str]]:
        """Subsection, variable and value of the entries of a section."""
        for name, value in self._values.items():
            if name.startswith(f"{section}."):
                subsection, gap, variable = name.removeprefix(f"{section}.").rpartition(".")
                if gap:
                    yield subsection, variable, value


def config_text(sections: Mapping[str, Mapping[str, str]]) -> str:
    """A configuration file with some sections."""
    lines = []
    for section, values in sections.items():
        lines.append(f"[{section}]\n")
        for name, value in values.items():
            quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
            lines.append(f'\t{name} = "{quoted}"\n')
    return "".join(lines)
