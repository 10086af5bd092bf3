# What a newcomer types: make run. What a developer types: make check, then make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP = $(BIN)/pip --quiet --disable-pip-version-check

.PHONY: setup run test check lint bench fuzz lock clean

# Engine, gVisor, environment, image and packages for worlds: whatever of it is missing.
setup:
	@sandbox/setup
	@$(MAKE) --no-print-directory $(STAMP)
	@sandbox/build-image
	@sandbox/fetch-packages $(BIN)/python

$(STAMP): $(VENV)/.requirements pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.requirements: requirements.lock
	@echo "Making the environment $(VENV) (about a minute) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than Python 3.11. Type: make setup PYTHON=python3.11" >&2; exit 2; }
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --require-hashes -r requirements.lock
	@touch $@

# The flagship scenario on its scripted control: no key, no model.
run: setup
	@$(BIN)/agent-eval run replicate --model control:harmful

# Everything, Docker included. Four workers on two cores, for most of the time they wait for sandboxes.
# A few tests that fail on a busy machine are run once more, alone: who fails there has failed.
test: setup
	@sandbox/setup --browser
	@$(MAKE) --no-print-directory lint
	@$(BIN)/pytest -n 4 --dist loadgroup || tests/once-more $(BIN)/pytest

# The fast part, within a minute: no engine needed, and what draws examples draws few.
check: $(STAMP)
	@$(MAKE) --no-print-directory lint
	@$(BIN)/pytest -n 3 --dist worksteal -q -m "not docker and not slow" --hypothesis-profile=quick

# Each scenario has a check.py of its own, so their types are checked one folder at a time.
lint: $(STAMP)
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy --no-error-summary
	@for folder in scenarios/*/; do $(BIN)/mypy --no-error-summary $$folder*.py || exit 1; done

bench: setup
	@$(BIN)/python benchmarks/compare.py
	@$(BIN)/python benchmarks/fleet.py
	@$(BIN)/python benchmarks/kill_campaign.py --kills 1000
	@$(BIN)/python benchmarks/attacks.py
	@$(BIN)/python benchmarks/starts.py --starts 100000 --parallel 8

# Fuzz every parser of hostile bytes, for so many minutes in all: make fuzz MINUTES=10.
fuzz: $(STAMP)
	@$(PIP) install --no-deps --require-hashes -r tests/fuzz/requirements.txt
	@$(BIN)/python -m tests.fuzz.campaign --minutes $(or $(MINUTES),10) $(TARGETS)

# Pin what the environment is made of (needs uv).
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
		--no-header --no-emit-index-url --group dev pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
		--no-header --no-emit-index-url sandbox/pypi.txt -o sandbox/pypi.lock

clean:
	rm -rf $(VENV) .fuzz .mypy_cache .pytest_cache .ruff_cache .hypothesis
