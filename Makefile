# `make demo` and `make test` need Python 3.11, make and a package index; everything else they make.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test test-long lint format try-superset bench lock clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY) ## a simulated upstream, two syncs, the models, answers
	$(BIN)/convoy demo

test: $(READY) ## the tests, in minutes
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not long"

test-long: $(READY) ## the tests that take longer
	$(BIN)/python -m pytest -n auto --dist worksteal -m long

lint: $(READY) ## ruff, mypy, sqlfluff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/sqlfluff lint sql

format: $(READY) ## let the formatters do their work
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/sqlfluff fix sql

try-superset: $(READY) ## Superset on the published file while syncs run (downloads hundreds of MB)
	$(BIN)/python docs/superset/try.py

bench: $(READY) ## Convoy beside its peers and the floor (hours; ARGS="--only W1 W5 --scale 0.1" for a part)
	$(BIN)/python benchmarks/bench.py $(ARGS)

lock: $(READY) ## pin versions and hashes anew (no addresses)
	$(BIN)/python -m piptools compile --quiet --upgrade --all-extras --generate-hashes --allow-unsafe --no-strip-extras \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--output-file requirements.lock pyproject.toml

clean: ## forget the environment and what the tools left
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis convoy-demo superset-trial
