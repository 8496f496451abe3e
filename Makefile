# Everything a fresh machine needs is Python 3.11+ with venv. `make demo` and `make test` do all the set-up.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: demo demo-agents test test-all check fmt bench models lock clean

$(VENV)/core.stamp: requirements/core.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/core.txt
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/core.stamp
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	touch $@

demo: $(VENV)/core.stamp        ## measure the embedded models on the shipped suites, live
	$(BIN)/python -m steelyard demo

demo-agents: $(VENV)/dev.stamp  ## policies and the built-in loop on the shipped tasks, in sandboxes
	$(BIN)/python -m steelyard demo --agents

test: check                     ## everything that CI runs
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" tests

test-all: check                 ## also the long stochastic studies and stress tests
	$(BIN)/python -m pytest --hypothesis-profile explore tests

check: $(VENV)/dev.stamp        ## style, types, layers, sizes, docs
	$(BIN)/ruff check src tests bench examples tools
	$(BIN)/ruff format --check src tests bench examples tools
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -q -m "not executes" tests/house

fmt: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix src tests bench examples tools
	$(BIN)/ruff format src tests bench examples tools

bench: $(VENV)/dev.stamp        ## ratios against floors and peers in one run
	$(BIN)/python -m bench

models: $(VENV)/core.stamp      ## retrain the embedded models (under an hour on 2 cores)
	$(BIN)/pip install -q --disable-pip-version-check torch==2.13.0
	OMP_NUM_THREADS=1 $(BIN)/python tools/train_models.py

lock:                           ## refresh the pinned, hashed requirements (needs uv)
	uv pip compile -q --universal --generate-hashes --no-header --no-annotate --python-version 3.11 pyproject.toml --group build -o requirements/core.txt
	uv pip compile -q --universal --generate-hashes --no-header --no-annotate --python-version 3.11 -c requirements/core.txt pyproject.toml --group dev -o requirements/dev.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
