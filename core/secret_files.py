"""Which files look like they contain secrets, by their names alone. Opens nothing; what is done about them is decided
where files are shown, staged and mounted."""

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

_NAMES = (
    ".env", ".env.*", "*.env", ".envrc", ".flaskenv", ".dev.vars", ".dev.vars.*", ".yarnrc.yml", ".vault_pass*",
    ".vault-pass*", "vault_pass*.txt", ".secret", ".secrets", "*.secret",
    ".netrc", "_netrc", ".npmrc", ".pypirc", ".pgpass", ".my.cnf",
    ".git-credentials", ".htpasswd", ".dockercfg", ".s3cfg", ".boto", ".vault-token", ".terraformrc", "terraform.rc",
    "*.tfvars", "*.tfvars.json", "*.tfstate", "*.tfstate.backup", "kubeconfig", "*.kubeconfig", "auth.json",
    "credentials", "credentials.json", "credentials.toml", "credentials.yml", "credentials.yaml", "client_secret*.json",
    "service-account*.json", "service_account*.json", "secrets.json", "secrets.yml", "secrets.yaml", "secrets.toml",
    "local.settings.json", "id_rsa", "id_dsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk", "*.kdbx",
    "*.ovpn", "*.agekey", "*.gpg-key",
)  # fmt: skip
_KEY_MATERIAL = ("*.key", "*.pem", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.ppk", "*.p8")
_PLACES = (
    ".aws/credentials",
    ".docker/config.json",
    ".kube/config",
    ".ssh/*",
    ".gnupg/*",
    ".config/gh/hosts.yml",
    ".m2/settings*.xml",
)
_PUBLIC = ("*.example", "*.sample", "*.template", "*.dist", "*.pub", ".env.example.*", "*.example.env", "*.sample.env")
"""Patterns of files meant to be read, whatever else they match."""
_FIXTURES = frozenset({"test", "tests", "testdata", "testing", "fixtures", "examples"})
"""Directories whose keys and certificates are made for tests: without them the checks would fail for no reason."""
_SOURCES = frozenset({".py", ".pyi", ".js", ".ts", ".go", ".rs", ".java", ".c", ".h", ".rb", ".md", ".rst"})


@dataclass(frozen=True, slots=True)
class SecretFiles:
    """Tells secret-looking files from others; `shown` are patterns (`sandbox.show`) of those the user wants seen.

    A pattern without a slash matches the name in any directory, one with a slash the whole relative path.
    """

    shown: tuple[str, ...] = ()

    def hides(self, path: str) -> bool:
        """Whether a file is hidden from tools, commands and the base commit.

        Args:
            path: Relative to the repository, posix; case does not matter.
        """
        return looks_secret(path) and not self.shows(path)

    def shows(self, path: str) -> bool:
        """Whether the user asked for a file by name."""
        return any(_matches(path, pattern) for pattern in self.shown)

    def shown_among(self, paths: Iterable[str]) -> list[str]:
        """Those of some paths that are not hidden, in their order."""
        return [path for path in paths if not self.hides(path)]

    def hidden_among(self, paths: Iterable[str]) -> list[str]:
        """Those of some paths that are hidden, in their order."""
        return [path for path in paths if self.hides(path)]


def looks_secret(path: str) -> bool:
    """Whether files of this name usually contain keys, passwords or tokens."""
    # A space at the end of a name is nothing that a reader sees.
    place = PurePosixPath(path.lower().rstrip())
    name = place.name
    if _any(name, _PUBLIC) or place.suffix in _SOURCES:
        return False
    if _any(name, _NAMES) or any(_any("/".join(place.parts[-parts:]), _PLACES) for parts in (2, 3)):
        return True
    return _any(name, _KEY_MATERIAL) and not _FIXTURES & set(place.parts[:-1])


def _any(name: str, patterns: tuple[str, ...]) -> bool:
    return _compiled(patterns).match(name) is not None


@lru_cache
def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(fnmatch.translate, patterns)))


def _matches(path: str, pattern: str) -> bool:
    place = path.lower()
    wanted = pattern.lower().removeprefix("./")
    return fnmatch.fnmatchcase(place if "/" in wanted else place.rpartition("/")[2], wanted)
