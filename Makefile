# Everything a developer runs; `make` alone lists it.
# All commands run from the virtual environment .venv, which `make venv` creates and every target brings up to date.

SHELL := /bin/bash
# Without bytecode every process that a test starts would compile the whole package again.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
BENCH_STAMP := $(VENV)/.stamp-bench

# Arguments for demo, serve, test, fuzz and bench, e.g. `make test ARGS="tests/engine -k sort"`.
ARGS ?=
# Processes that run the tests.
WORKERS ?= 2
# How long a soak takes.
MINUTES ?= 20

.PHONY: help demo serve test check check-lint check-format check-types check-protos check-generated check-breaking \
	clients-test fix proto fuzz bench soak deephaven venv clean mutants crash-test

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: $(STAMP) ## Load real flights into a server and watch live queries over them (under 90 s)
	$(BIN)/tesseract-grpc demo $(ARGS)

serve: $(STAMP) ## Serve an empty hub on localhost:50051
	$(BIN)/tesseract-grpc serve $(ARGS)

test: $(STAMP) ## Run every test
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

clients-test: $(STAMP) ## Build and test the clients in all languages, or some (ARGS="go rust")
	$(BIN)/python -m tests.clients $(ARGS)

check: check-lint check-format check-types check-protos check-generated check-breaking ## Lint, format, types, protos (all of them: make -k check)

check-lint: $(STAMP)
	$(BIN)/ruff check .

check-format: $(STAMP)
	$(BIN)/ruff format --check .

check-types: $(STAMP)
	$(BIN)/mypy

check-protos: $(STAMP)
	$(BIN)/buf lint protos
	$(BIN)/buf format --diff --exit-code protos

check-generated: $(STAMP)
	$(BIN)/python tools/generate_proto.py --check
	$(BIN)/python tools/generate_sync_client.py --check

check-breaking: $(STAMP)
	tools/check_breaking.sh $(BIN)/buf

fix: $(STAMP) ## Apply what lint and format can repair; regenerate the sync client
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/buf format --write protos
	$(BIN)/python tools/generate_sync_client.py

proto: $(STAMP) ## Regenerate the code of protos/: Python, and what clients keep
	$(BIN)/python tools/generate_proto.py

fuzz: $(STAMP) ## Run the property tests for long (FUZZ_EXAMPLES=5000)
	HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest -m fuzz -n $(WORKERS) --timeout=0 $(ARGS)

crash-test: $(STAMP) ## Kill a server 300 times under load and look for what was lost (ARGS="--kills 30 --seed 7")
	$(BIN)/python -m tests.crash $(ARGS)

mutants: $(STAMP) ## Plant bugs in the engine and count which the tests catch
	$(BIN)/python -m tests.mutants $(ARGS)

bench: $(BENCH_STAMP) ## Measure against the peers, in the same run
	$(BIN)/python -m benchmarks $(ARGS)

soak: $(BENCH_STAMP) ## Watchers come, stall and die for MINUTES=20: does anything leak? Writes docs/soak.json and .png
	$(BIN)/python -m tests.soak --minutes $(MINUTES) $(ARGS)

deephaven: $(BENCH_STAMP) ## Install the optional peer of the benchmark (900 MB; needs Java 17)
	$(BIN)/python -m pip install --quiet --editable '.[bench,deephaven]'

venv: $(STAMP) ## Create or update .venv

$(STAMP): pyproject.toml tools/make_venv.sh
	@PYTHON="$(PYTHON)" tools/make_venv.sh $(VENV)
	@touch $@

$(BENCH_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	@touch $@

clean: ## Remove .venv, caches and build products
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .fuzz *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
