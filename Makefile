# Two commands do all the set-up: `make run` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= out
CT ?=
PORT ?= 8000
WORKERS := -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: run lint packages test check bench docs clean help

help:  ## list the commands
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*##/\t/'

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=24"

$(VENV)/.run: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev,train,serve]"
	touch $@ $(VENV)/.run

run: $(VENV)/.run  ## assess a synthetic CT, or your own with CT=path
	@if [ -z "$(CT)" ]; then \
	  $(BIN)/hilum phantom "$(OUT)/phantom" --seed 7 && \
	  $(BIN)/hilum assess "$(OUT)/phantom" "$(OUT)/assessment"; \
	else \
	  $(BIN)/hilum assess "$(CT)" "$(OUT)/assessment"; \
	fi
	@echo "Report: $(OUT)/assessment/report.html"

lint: $(VENV)/.dev  ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

packages:  ## the system packages that tests need, where apt may install them
	bash tests/setup.sh

check: lint  ## lint, and the fast tests
	$(BIN)/python -m pytest -m "not slow and not real and not browser" $(WORKERS)

test:  ## everything, system packages included
	$(MAKE) -j2 packages lint  # the one waits for the network, the other computes
	$(BIN)/python -m pytest $(WORKERS)

bench: $(VENV)/.dev  ## the benchmarks, each a table
	for script in benchmarks/*.py; do \
	  grep -q __main__ $$script || continue; \
	  echo "== $$script"; $(BIN)/python $$script || exit 1; \
	done

docs: $(VENV)/.dev  ## the documentation, in docs/_build
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build

clean:  ## remove what was built, and the environment
	rm -rf $(VENV) $(OUT) docs/_build build dist
