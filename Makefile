# Everything a developer runs. `make` alone lists the targets.
# All commands run from the virtual environment .venv, which `make venv` creates and every target brings up to date.

SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp

.PHONY: help venv proto clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-8s %s\n", $$1, $$2}'

venv: $(STAMP) ## Create or update .venv

$(STAMP): pyproject.toml tools/make_venv.sh
	@PYTHON="$(PYTHON)" tools/make_venv.sh $(VENV)
	@touch $@

proto: $(STAMP) ## Regenerate tesseract_grpc/_proto from protos/
	$(BIN)/python tools/generate_proto.py

clean: ## Remove .venv, caches and build products
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .fuzz *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
