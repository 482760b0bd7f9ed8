# `make run` brings the mesh up, `make test` runs every test. Both set up what they need, in .venv and nowhere else.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
ARGS :=
# A Python to use; without it the newest that works is taken.
PYTHON :=
# How many tests run at the same time.
JOBS := 2

.PHONY: run test e2e lint bench generate lock help

run: $(INSTALLED) ## Start the mesh and show what it does. `make run ARGS=--exit` stops after the tour.
	@$(BIN)/verbund up --tour $(ARGS)

test: $(INSTALLED) ## Run every test. `make test ARGS="tests/unit -k names"` runs some.
	@echo "Running the tests, $(JOBS) at a time ..."
	@$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadgroup $(ARGS)

e2e: $(INSTALLED) ## Run the tests that start the whole mesh.
	@$(BIN)/python -m pytest tests/e2e tests/faults $(ARGS)

lint: $(INSTALLED) ## Check style, types, protos and the code generated from them.
	@echo "Checking style, types, and protos ..."
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/python protos/generate.py --check
	@$(BIN)/python docs/generate.py --check

bench: $(INSTALLED) ## Measure speed and memory; the figures go to docs/performance.md.
	@$(BIN)/python -m tests.bench $(ARGS)

generate: $(INSTALLED) ## Write what follows from the protos: the Python stubs, and parts of the documentation.
	@$(BIN)/python protos/generate.py
	@$(BIN)/python docs/generate.py

lock: $(INSTALLED) ## Choose the newest versions that pyproject.toml allows, with their hashes.
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras --generate-hashes \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" pyproject.toml -o requirements.lock

help: ## Show this.
	@echo "make run and make test are all that is needed; Python 3.11 or later is all they need."
	@sed -n 's/^\([a-z0-9]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-11s %s\n", $$1, $$2 }'

$(INSTALLED): requirements.lock pyproject.toml
	@set -e; \
	works() { "$$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }; \
	if [ ! -x $(BIN)/python ] || ! $(BIN)/python -c '' 2>/dev/null; then \
		found=; \
		for python in $(PYTHON) python3.13 python3.12 python3.11 python3; do \
			if works "$$python"; then found="$$python"; break; fi; \
		done; \
		if [ -z "$$found" ]; then \
			echo "No Python 3.11 or later with its venv module was found: install one (Debian: apt install python3-venv)," \
				"or name it: make PYTHON=/path/to/python3 ..." >&2; \
			exit 3; \
		fi; \
		echo "Setting up: making $(VENV) with $$("$$found" --version), then installing what requirements.lock names ..."; \
		"$$found" -m venv --clear $(VENV); \
	else \
		echo "Setting up: installing what requirements.lock names ..."; \
	fi; \
	{ $(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements.lock || echo FAILED; } | { \
		fetched=0; total=$$(grep -c '==' requirements.lock); \
		while read -r what rest; do case "$$what" in \
			Collecting) fetched=$$((fetched + 1)); \
				if [ -t 1 ]; then printf '\r  %s of about %s packages fetched' "$$fetched" "$$total"; fi;; \
			Installing) if [ -t 1 ]; then echo; fi; echo "  $$fetched packages fetched, now installing them ...";; \
			FAILED) exit 1;; \
		esac; done; \
	}; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .; \
	touch $@
