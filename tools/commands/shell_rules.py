"""What is known about programs that only read, and about those that run the repository's code. Data, read by
`command_policy`; the flag notation is explained in `shell_arguments`."""

from dataclasses import dataclass

from tools.commands.shell_arguments import ArgRule

_TEXT = r"(?:[^/\\\n]|\\[^\n])*"
_ADDRESS = rf"(?:\d+|\$|/{_TEXT}/I?)"
_SED = (
    rf"\s*(?:{_ADDRESS}(?:\s*,\s*(?:{_ADDRESS}|\+\d+))?)?\s*!?\s*"
    rf"(?:[pd=q]|s/{_TEXT}/{_TEXT}/[gpI\d]*)?\s*"
)
SED_SCRIPT = rf"{_SED}(?:;{_SED})*"
"""Addresses, and commands that print, delete or replace: none that writes a file or runs a program."""

_CONTEXT = "-A: -B: -C: --after-context: --before-context: --context: -m: --max-count:"
_GIT_DIFF = (
    "-p -u --patch --no-patch -s --stat=? --shortstat --numstat --name-only --name-status --summary --compact-summary "
    "-U: --unified: -w -b --ignore-all-space --ignore-space-change --ignore-blank-lines --color=? --no-color "
    "--word-diff=? --color-words=? --diff-filter: --no-ext-diff --no-textconv --no-renames --find-renames=? -M=? -C=? "
    "--minimal --patience --histogram --diff-algorithm: -W --function-context --exit-code --quiet -q --check --raw -z "
    "--relative=? -R -S: -G: --pickaxe-regex --pickaxe-all --full-index --abbrev=? --merge-base --dirstat=?"
)
_GIT_LOG = (
    f"{_GIT_DIFF} --oneline --graph --decorate=? --no-decorate --all --branches=? --tags=? --author: --committer: "
    "--grep: -i -E -F -n: --max-count: --skip: --since: --until: --after: --before: --follow --reverse --merges "
    "--no-merges --format: --pretty=? --date: --abbrev-commit --first-parent -L: --topo-order --date-order -g "
    "--walk-reflogs --left-right --cherry-pick --no-walk --full-history"
)

_FIND = (
    "-empty -true -false -print -print0 -prune -depth -mount -xdev -daystart -ls -o -or -a -and -not -readable "
    "-writable -executable -nouser -nogroup -quit -name: -iname: -path: -ipath: -wholename: -iwholename: -regex: "
    "-iregex: -regextype: -type: -xtype: -size: -mtime: -mmin: -atime: -amin: -ctime: -cmin: -maxdepth: -mindepth: "
    "-perm: -user: -group: -links: -newer@ -anewer@ -cnewer@ -newermt: -samefile@ -printf: -lname: -ilname:"
)
_TEST = "-e -f -d -s -r -w -x -h -L -n -z -a -o -eq -ne -lt -le -gt -ge -nt -ot -ef"
"""Without -v and -R, which take the name of a variable and run what is in its brackets."""

READERS: dict[str, ArgRule] = {
    "ls": ArgRule(
        "-a -A -l -h -t -r -S -R -X -1 -d -F -p -i -g -G -n -o -s -m -c -u -U -v -x -C -k -Q -N -B -b -q -I: -w: --all "
        "--almost-all --color=? --human-readable --recursive --reverse --directory --classify=? --size --inode "
        "--group-directories-first --sort: --time: --time-style: --ignore: --full-time --no-group",
        walled="-L -H --dereference",
    ),
    "cat": ArgRule("-n -b -s -A -E -T -v -e -t -u --number --number-nonblank --squeeze-blank --show-all"),
    "head": ArgRule("-n: -c: -q -v -z --lines: --bytes: --quiet --verbose", digits=True),
    "tail": ArgRule("-n: -c: -q -v -z --lines: --bytes: --quiet --verbose", digits=True),
    "wc": ArgRule("-l -w -c -m -L --lines --words --bytes --chars --max-line-length"),
    "nl": ArgRule("-b: -n: -w: -s: -v: -i:"),
    "sort": ArgRule(
        "-r -n -u -h -V -f -b -d -g -i -M -R -s -z -c -C -k: -t: --reverse --numeric-sort --unique "
        "--human-numeric-sort --version-sort --ignore-case --key: --field-separator: --stable --check"
    ),
    "uniq": ArgRule("-c -d -u -i -D -z -f: -s: -w: --count --repeated --unique --ignore-case", operands="one path"),
    "cut": ArgRule("-d: -f: -c: -b: -s -n -z --delimiter: --fields: --characters: --complement --output-delimiter:"),
    "tr": ArgRule("-d -s -c -C -t --delete --squeeze-repeats --complement", operands="texts"),
    "grep": ArgRule(
        "-r -n -i -l -L -c -v -w -x -o -h -H -s -q -E -F -P -G -a -I -z -Z -b -U -T -y -e: -f@ -d: -D: "
        f"{_CONTEXT} --recursive --line-number --ignore-case --files-with-matches --files-without-match --count "
        "--invert-match --word-regexp --line-regexp --only-matching --no-filename --with-filename --no-messages "
        "--quiet --silent --extended-regexp --fixed-strings --perl-regexp --basic-regexp --text --null --null-data "
        "--color=? --colour=? --include: --exclude: --exclude-dir: --regexp: --file@ --binary-files: --initial-tab",
        operands="pattern", instead="-e -f --regexp --file", walled="-R --dereference-recursive", digits=True,
    ),
    "rg": ArgRule(
        "-n -N -i -l -c -v -w -x -o -F -S -s -P -U -H -I -0 -p -q -g: -t: -T: -M: -d: -r: -e: -f@ -j: "
        f"{_CONTEXT} --line-number --no-line-number --ignore-case --files-with-matches --files-without-match --count "
        "--count-matches --invert-match --word-regexp --line-regexp --only-matching --fixed-strings --smart-case "
        "--case-sensitive --pcre2 --multiline --multiline-dotall --with-filename --no-filename --null --pretty --quiet "
        "--glob: --iglob: --type: --type-not: --max-columns: --max-depth: --regexp: --file@ --threads: --json --files "
        "--type-list --heading --no-heading --color: --stats --sort: --sortr: --column --trim --no-messages --vimgrep "
        "--no-config --crlf --passthru --replace:",
        operands="pattern", instead="-e -f --regexp --file --files --type-list",
        walled="-L --follow -u -. --hidden --no-ignore --no-ignore-vcs --unrestricted",
    ),
    "sed": ArgRule(
        "-n -E -r -s -u -z -e: --quiet --silent --regexp-extended --separate --null-data", operands="script",
        instead="-e", script=SED_SCRIPT,
    ),
    "diff": ArgRule(
        "-u -q -N -w -b -B -i -y -c -a -t -s -E -Z -d -p -U: -C: -x: -W: -I: --brief --unified=? --side-by-side "
        "--color=? --new-file --ignore-all-space --ignore-blank-lines --ignore-case --strip-trailing-cr --exclude: "
        "--suppress-common-lines --report-identical-files --text --no-dereference --width:",
        walled="-r --recursive",
    ),
    "echo": ArgRule(operands="anything"),
    "printf": ArgRule(operands="texts"),
    "pwd": ArgRule("-P -L", operands="none"),
    "true": ArgRule(operands="none"),
    "false": ArgRule(operands="none"),
    "basename": ArgRule("-a -s: -z --suffix:", operands="texts"),
    "dirname": ArgRule("-z", operands="texts"),
    "stat": ArgRule("-c: -t -f --format: --printf: --terse"),
    "which": ArgRule("-a", operands="texts"),
    "find": ArgRule(_FIND, whole=True, signs="( ) ! ,"),
    "test": ArgRule(_TEST, whole=True, signs="( ) ! = != == < >"),
    "git diff": ArgRule(f"{_GIT_DIFF} --cached --staged"),
    "git log": ArgRule(_GIT_LOG, digits=True),
    "git show": ArgRule(_GIT_LOG, digits=True),
    "git status": ArgRule(
        "-s --short -b --branch --porcelain=? -z -v --verbose -u=? --untracked-files=? --ignored=? --long "
        "--ahead-behind --no-renames --column=? --show-stash"
    ),
    "git blame": ArgRule("-L: -w -l -s -e -f -n -t -c -b -C=? -M=? --since: --porcelain --line-porcelain --date: "
                         "--root"),
    "git ls-files": ArgRule("-c -d -m -o -s -t -z -v -i --cached --deleted --modified --others --stage "
                            "--exclude-standard --full-name --error-unmatch --eol"),
    "git rev-parse": ArgRule("--abbrev-ref --short=? --verify -q --show-toplevel --git-dir --is-inside-work-tree HEAD"),
}  # fmt: skip
"""Programs that read and print, and write nothing. Keys are the program, for git with its subcommand."""

_LAUNCHERS = (
    "sh bash dash zsh ksh fish csh tcsh busybox env xargs sudo su doas eval exec source . command builtin nohup "
    "nice setsid time watch parallel ssh script expect strace ltrace gdb perl ruby awk gawk mawk php lua "
    "osascript trap alias export declare readonly typeset local unset set shopt enable read mapfile readarray let "
    "hash bind tee dd"
)
LAUNCHERS = frozenset(_LAUNCHERS.split())
"""Programs that run what their arguments say, change the shell, or write where they are told: always need approval."""

_VARIABLES = (
    "CI DEBUG VERBOSE TZ LC_ALL LANG NO_COLOR FORCE_COLOR CLICOLOR COLUMNS LINES RUST_BACKTRACE PYTHONUNBUFFERED "
    "PYTHONDONTWRITEBYTECODE PYTHONHASHSEED PYTHONDEVMODE PYTHONUTF8 NODE_ENV CGO_ENABLED GO111MODULE "
    "HYPOTHESIS_PROFILE DJANGO_SETTINGS_MODULE FLASK_ENV RAILS_ENV APP_ENV TESTING V"
)
VARIABLES = frozenset(_VARIABLES.split())
"""What may be set before a command. Others may load code."""


@dataclass(frozen=True, slots=True)
class BuildProgram:
    """What is known about a program that runs the repository's code anyway; the sandbox confines what it does.

    This distinguishes the repository's code, which a person can read, from code in the command itself.
    """

    own: ArgRule | None = None
    """What may come before the first operand, after which everything belongs to the program that is run; `None`:
    anything."""
    first: tuple[str, ...] = ()
    """What the first operand may be; empty: anything."""
    permuted: bool = False
    """Whether its own flags may also follow operands, which then are names and settings."""
    operand: bool = False
    """Whether there must be one: without it the program reads code from its input."""
    refused: tuple[str, ...] = ()
    """What is never allowed; nor are prefixes of long flags, because programs complete them."""


_PYTHON = BuildProgram(ArgRule("-B -E -I -s -S -u -v -q -O -b -P -d -W: -X: -V --version -m:", ends="-m"), operand=True)
_SHELL_IN_NPM = ("--script-shell", "--node-options", "--prefix", "--globalconfig", "--userconfig", "--shell", "--call")
_GO_PROGRAMS = ("-exec", "-toolexec", "-vettool", "-overlay", "-modfile", "-C", "--exec", "--toolexec", "--vettool")

BUILDERS: dict[str, BuildProgram] = {
    "python": _PYTHON,
    "python3": _PYTHON,
    "pytest": BuildProgram(refused=("--pastebin",)),
    "tox": BuildProgram(refused=("--override", "-x", "--workdir", "--root", "exec", "e", "--installpkg", "--runner")),
    "nox": BuildProgram(refused=("--envdir", "--default-venv-backend", "--force-venv-backend", "--install-only")),
    "ruff": BuildProgram(first=("check", "format", "rule", "version", "linter")),
    "mypy": BuildProgram(refused=("--python-executable", "--install-types", "--shadow-file", "--custom-typing-module")),
    "npm": BuildProgram(ArgRule("-s --silent --if-present -w: --workspace: --workspaces"),
                   first=("test", "t", "run", "run-script"), refused=_SHELL_IN_NPM),
    "node": BuildProgram(ArgRule("--test --check -c -v --version --enable-source-maps --no-warnings --trace-warnings "
                         "--test-reporter: --test-name-pattern: --test-only --test-timeout: --trace-uncaught"),
                    operand=True),
    "cargo": BuildProgram(ArgRule("-q --quiet -v --verbose --offline --locked --frozen"),
                     first=("build", "check", "test", "clippy", "fmt", "doc", "bench", "run", "tree", "metadata"),
                     refused=("--config", "-Z")),
    "go": BuildProgram(first=("build", "test", "vet", "fmt", "list", "version", "run", "doc"), refused=_GO_PROGRAMS),
    "make": BuildProgram(ArgRule("-s -k -j=? -n -B -q -i -w -C@ -f@ --silent --quiet --no-print-directory --keep-going "
                         "--jobs=? --dry-run --just-print --always-make --question --directory@ --file@ --makefile@ "
                         "--output-sync=? --version -v", operands="texts"), permuted=True),
}  # fmt: skip

_MODULES = (
    "pytest unittest doctest compileall py_compile mypy ruff black flake8 isort pyflakes pylint coverage tox nox "
    "pydoc tabnanny json.tool ast tokenize"
)
MODULES = frozenset(_MODULES.split())
"""What `python -m` may run besides modules of the repository."""

MAKE_VARIABLES = VARIABLES | {"TEST", "TESTS", "ARGS", "Q", "BUILD", "JOBS", "PROFILE", "MODE"}
