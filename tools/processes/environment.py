"""The environment for the repository's programs: listed variables of the user's, without rolecall's venv.
Reads the environment of this process when asked, never on import."""

import os
import re
import sys
from collections.abc import Collection
from pathlib import Path

from core.redaction import Redactor

ORIGINAL_PYTHONPATH = "ROLECALL_ORIGINAL_PYTHONPATH"
"""Where the command line stores the user's PYTHONPATH while it clears its own."""

_NAMES = """
PATH HOME USER LOGNAME SHELL LANG LANGUAGE TERM TZ TZDIR PWD TMPDIR TMP TEMP CI NO_COLOR MANPATH HOSTNAME
XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME XDG_STATE_HOME XDG_DATA_DIRS XDG_CONFIG_DIRS VIRTUAL_ENV CONDA_PREFIX
CONDA_DEFAULT_ENV CONDA_EXE MAMBA_ROOT_PREFIX PYENV_ROOT PYENV_VERSION PIPX_HOME POETRY_HOME UV_CACHE_DIR
UV_PYTHON_INSTALL_DIR PYTHONHASHSEED PYTHONUTF8 PYTHONIOENCODING PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE
PYTHONWARNINGS NODE_PATH NODE_ENV NVM_DIR NVM_BIN FNM_DIR FNM_MULTISHELL_PATH VOLTA_HOME PNPM_HOME BUN_INSTALL
DENO_DIR CARGO_HOME RUSTUP_HOME RUSTUP_TOOLCHAIN CARGO_TARGET_DIR RUSTFLAGS GOPATH GOROOT GOBIN GOCACHE GOMODCACHE
GOFLAGS GO111MODULE GOTOOLCHAIN CGO_ENABLED JAVA_HOME JDK_HOME M2_HOME MAVEN_HOME GRADLE_HOME GRADLE_USER_HOME
ANDROID_HOME ANDROID_SDK_ROOT KOTLIN_HOME SCALA_HOME SDKMAN_DIR RBENV_ROOT RBENV_VERSION GEM_HOME GEM_PATH RUBYLIB
DOTNET_ROOT DOTNET_CLI_HOME PERL5LIB R_HOME R_LIBS_USER JULIA_DEPOT_PATH OPAM_SWITCH_PREFIX OCAML_TOPLEVEL_PATH
CAML_LD_LIBRARY_PATH STACK_ROOT GHCUP_INSTALL_BASE_PREFIX FLUTTER_ROOT PUB_CACHE ASDF_DIR ASDF_DATA_DIR
MISE_DATA_DIR HOMEBREW_PREFIX HOMEBREW_CELLAR HOMEBREW_REPOSITORY NIX_PATH NIX_PROFILES NIX_SSL_CERT_FILE
LD_LIBRARY_PATH LIBRARY_PATH CPATH C_INCLUDE_PATH CPLUS_INCLUDE_PATH PKG_CONFIG_PATH CC CXX CPP AR LD CFLAGS
CXXFLAGS CPPFLAGS LDFLAGS CMAKE_PREFIX_PATH CMAKE_GENERATOR CUDA_HOME CUDA_VISIBLE_DEVICES OMP_NUM_THREADS
SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE NODE_EXTRA_CA_CERTS SOURCE_DATE_EPOCH MPLBACKEND
QT_QPA_PLATFORM DJANGO_SETTINGS_MODULE PYTEST_DISABLE_PLUGIN_AUTOLOAD
"""
_LOCALE = (
    "ALL", "CTYPE", "COLLATE", "MESSAGES", "MONETARY", "NUMERIC", "TIME", "ADDRESS", "IDENTIFICATION", "MEASUREMENT",
    "NAME", "PAPER", "TELEPHONE",
)  # fmt: skip
_PASSED = frozenset(_NAMES.split()) | {f"LC_{category}" for category in _LOCALE}
"""What programs need in order to find themselves and their parts; everything else is withheld. A list of what is
forbidden would always lack the next vendor's name for a key."""
_PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY"})
_PASSWORD_IN_URL = re.compile(r"://[^/\s@]+@")


def user_environment() -> dict[str, str]:
    """The environment of the user's shell as commands may see it: what is known to be harmless, and nothing else."""
    kept = {name: value for name, value in os.environ.items() if name in _PASSED and not _tells_a_secret(value)}
    pythonpath = os.environ.get(ORIGINAL_PYTHONPATH, os.environ.get("PYTHONPATH", ""))
    if pythonpath:
        kept["PYTHONPATH"] = pythonpath
    if _is_ours(os.environ.get("VIRTUAL_ENV", "")):
        kept.pop("VIRTUAL_ENV", None)
    kept["PATH"] = os.pathsep.join(user_path(os.environ.get("PATH", os.defpath)))
    # A pager or an editor would wait for a person who is not there.
    return kept | {"PAGER": "cat", "GIT_PAGER": "cat", "GIT_TERMINAL_PROMPT": "0", "EDITOR": "true"}


def listed_variables(names: Collection[str]) -> dict[str, str]:
    """The variables a person listed by name; rolecall's own are still withheld."""
    return {name: os.environ[name] for name in names if name in os.environ and not name.startswith("ROLECALL_")}


def proxy_variables() -> dict[str, str]:
    """How to reach the network, for commands that may; a URL with a password in it is left out."""
    return {name: value for name, value in os.environ.items()
            if name.upper() in _PROXIES and not _tells_a_secret(value)}  # fmt: skip


def user_path(path: str) -> list[str]:
    """The directories of a PATH without those of the venv rolecall runs in."""
    return [entry for entry in path.split(os.pathsep) if entry and not _is_ours(str(Path(entry).parent))]


def in_own_venv() -> bool:
    """Whether this process runs in a venv, which then is rolecall's own."""
    return sys.prefix != sys.base_prefix


def _tells_a_secret(value: str) -> bool:
    return bool(_PASSWORD_IN_URL.search(value)) or Redactor().finds(value)


def _is_ours(prefix: str) -> bool:
    if not prefix or not in_own_venv():
        return False
    try:
        return os.stat(prefix)[1:3] == os.stat(sys.prefix)[1:3]  # noqa: PTH116 - number of the file and its device
    except OSError:
        # Not there, or closed to us: then we do not run from it.
        return False
