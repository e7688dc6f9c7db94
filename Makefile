# forge-dagster: every command of the README. `make help` lists them.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
export PYTHONNOUSERSITE := 1
# Modules stay compiled: a suite starts hundreds of processes, and each would compile the project for a second.
unexport PYTHONDONTWRITEBYTECODE

# Test files side by side, three on two cores, for many of them wait; a file's own tests stay in their order.
SIDE_BY_SIDE := --numprocesses 3 --dist loadfile
test test-system: export FORGE_THREADS := 1
test test-system: export OMP_NUM_THREADS := 1

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "pip==26.3"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,export,gpu,k8s,ner,postgres]'
	touch $@

.PHONY: install
install: .venv/.installed ## create .venv with the locked dependencies

.PHONY: demo
demo: install ## the whole graph on data/sample: two recipes from documents to release
	$(BIN)/forge run

.PHONY: ui
ui: install ## Dagster on http://127.0.0.1:3000 over the same state
	$(BIN)/forge ui

.PHONY: audit-ui
audit-ui: install ## the same on http://127.0.0.1:3001 for auditors: every change is refused
	$(BIN)/forge ui --read-only --port 3001

.PHONY: check
check: install ## ruff, import floors, types, layout
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/mypy forge_dagster assets resources sensors benchmarks
	$(BIN)/python -m pytest tests/test_layout.py

.PHONY: test
test: install ## fast tests
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

.PHONY: test-system
test-system: install ## daemons, servers, browsers, killed processes
	$(BIN)/python -m pytest -m "system and not sweep" $(SIDE_BY_SIDE) --durations 30

.PHONY: bench
bench: install ## ratio tables against the bare libraries, and every variant of the system tests
	$(BIN)/python -m benchmarks
	$(BIN)/python -m pytest -m sweep
