# Two commands on a bare machine (Python 3.11+, git, make): `make demo` and `make test`. Everything else is for us.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Where the environment forbids it, each process would compile all it imports; that was half of the tests' time.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: setup demo test redteam servers more-servers lint format types layers schema faults damage truth chaos bench-walls bench-run-cost bench-steps bench-repair bench-agree lock clean

setup: $(STAMP)

# The lock is complete, so nothing is resolved: pip would look at newer releases than those it pins.
$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "rolecall needs Python 3.11 or newer; say which with PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip check --disable-pip-version-check
	touch $(STAMP)

demo: setup
	$(BIN)/rolecall demo

test: setup
	$(BIN)/python -m pytest -n 3 --dist worksteal

# Needs bubblewrap; as root it also makes the attempts of an ordinary user.
redteam: setup
	$(BIN)/python -m tests.redteam --json $(VENV)/attempts.json
	RESULTS_OF_ATTEMPTS=$(VENV)/attempts.json $(BIN)/python -m pytest -q -s -m redteam tests/redteam/test_secret_scan.py tests/redteam/test_readme.py

servers: setup
	$(BIN)/python -m tests.servers.install litellm
	$(BIN)/python -m pytest -m servers

# Compiles for minutes and fills 5 GB; needs cmake, a C++ compiler, and a CPU build of PyTorch where pip finds it.
more-servers: setup
	$(BIN)/python -m tests.servers.install router vllm transformers llama_cpp_python
	$(BIN)/python -m pytest -m more_servers

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: setup
	$(BIN)/mypy

layers: setup
	$(BIN)/lint-imports

schema: setup
	$(BIN)/python -m core.config.json_schema > config.schema.json

faults: setup
	$(BIN)/python -m benchmarks.faults

# Needs util-linux: full and read-only disks are mounted apart from everybody else's.
damage: setup
	$(BIN)/python -m benchmarks.damage

truth: setup
	$(BIN)/python -m benchmarks.truth

N ?= 100
chaos: setup
	$(BIN)/python -m benchmarks.chaos --kills $(N)

bench-walls: setup
	$(BIN)/python -m benchmarks.walls

bench-run-cost: setup
	$(BIN)/python -m benchmarks.run_cost $(if $(AGAINST),--against $(AGAINST))

bench-steps: setup
	$(BIN)/python -m benchmarks.step_cost $(if $(AGAINST),--against $(AGAINST))

bench-repair: setup
	$(BIN)/python -m benchmarks.repair.run

bench-agree: setup
	$(BIN)/python -m benchmarks.repair.agree

# Needs pip-tools in the venv; the locks name no index.
COMPILE = $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host
lock:
	$(COMPILE) --all-extras --build-deps-for editable --output-file requirements.lock pyproject.toml
	$(COMPILE) --output-file tests/servers/litellm.lock tests/servers/litellm.in

clean:
	rm -rf $(VENV) .servers build dist .mypy_cache .ruff_cache .import_linter_cache
