# A fresh clone needs Python 3.11 or later and make; everything else goes into .venv.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
BENCH_INSTALLED := .venv/bench-installed

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench paper

help:
	@echo "make demo    learn verdicts about pairs of hand-written digits (about a minute, offline)"
	@echo "make test    run the tests"
	@echo "make lint    run ruff and mypy"
	@echo "make bench   run the benchmarks at full size (hours, most of them for peers)"
	@echo "make paper   measure the claims of the paper at full size (about an hour)"

demo: $(INSTALLED)
	$(BIN)/rungwise demo --force

test: $(INSTALLED)
	$(BIN)/python -m pytest --doctest-modules rungwise tests

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Every file in benchmarks/ whose name does not begin with an underscore is a command.
BENCHMARKS := $(basename $(notdir $(filter-out benchmarks/_%,$(wildcard benchmarks/*.py))))

bench: $(BENCH_INSTALLED)
	@set -e; for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python -m benchmarks.$$name; done

paper: $(BENCH_INSTALLED)
	$(BIN)/rungwise paper

# constraints.txt first and alone: so that the one build of torch named there is what everything else finds in place.
$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -r constraints.txt
	$(BIN)/python -m pip install -c constraints.txt -e ".[dev]"
	touch $@

# Apart from dev: the peers and what they need are large, and nothing else here uses them.
$(BENCH_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install -c constraints.txt -e ".[dev,bench]"
	touch $@
