# Two commands do all the set-up: `make run` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= out
CT ?=
PORT ?= 8000
WORKERS := -n 2 --dist loadfile --no-loadscope-reorder

# Machine images set it, and every process would then compile each module anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run lint kernels packages test check bench docs clean help

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

# Two workers would both compile what neither finds; meanwhile mypy needs one core.
$(VENV)/.kernels: $(VENV)/.dev tests/kernels.py $(shell find src -name '*_kernels.py')
	$(BIN)/python tests/kernels.py
	touch $@

kernels: $(VENV)/.kernels  ## compile the loops, where they changed

packages:  ## the system packages that tests need, where apt may install them
	bash tests/setup.sh

check:  ## lint, and the fast tests
	$(MAKE) --no-print-directory -j2 lint kernels
	$(BIN)/python -m pytest -m "not slow and not real and not browser" $(WORKERS)

test:  ## everything, system packages included
	$(MAKE) --no-print-directory -j3 packages lint kernels  # the first waits for the network
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
