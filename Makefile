# The one door: people and CI use the same recipes. Needs Python 3.11+, git and make.
.DEFAULT_GOAL := build
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: build test soak dbt-suite mutants lint types format lock bench bench-heavy bench-spine docs clean

build: $(READY)  ## build the repository's own warehouse
	@$(BIN)/transform build

test: $(READY) lint types  ## lint, types, the whole test suite, and what a build costs beside DuckDB alone
	$(BIN)/python -m pytest -n 2 --dist worksteal
	$(BIN)/python benchmarks/gate.py

soak: $(READY)  ## long runs: many kills, many random projects
	$(BIN)/python -m pytest -m soak -n 2 --dist worksteal

SUITE := .dbt-suite
PICK ?=
dbt-suite:  ## dbt's own suite for adapters against the command; PICK="-k Snapshot" runs a part
	test -x $(SUITE)/bin/python || $(PYTHON) -m venv $(SUITE)
	$(SUITE)/bin/python -m pip install --quiet --disable-pip-version-check --requirement tests/dbt_suite/requirements.txt --editable .
	-$(SUITE)/bin/python -m pytest -c tests/dbt_suite/pytest.ini --rootdir tests/dbt_suite tests/dbt_suite -n 2 --junitxml=$(SUITE)/suite.xml $(PICK)
	test -n "$(PICK)" || $(SUITE)/bin/python -m tests.dbt_suite.figures $(SUITE)/suite.xml > docs/dbt/conformance.md

MUTANTS := .mutants
COUNT ?= 15
SEED ?= 1
mutants: $(READY)  ## random changes of the code in ROOM=landing: do the tests notice?
	test -x $(MUTANTS)/bin/python || $(PYTHON) -m venv $(MUTANTS)
	$(MUTANTS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement tests/mutants/requirements.txt
	$(BIN)/python -m tests.mutants.sweep $(ROOM) --count $(COUNT) --seed $(SEED) --cosmic-ray $(MUTANTS)/bin/cosmic-ray

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

format: $(READY)  ## put the code in its usual form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

N ?= 1000
PEERS ?=
bench: $(READY)  ## measure against plain DuckDB; PEERS=dbt-core,sqlmesh measures others too, N=100 is quick
	$(BIN)/python benchmarks/run.py --models $(N) --peers "$(PEERS)"

bench-heavy: $(READY)  ## the same with 20 models over 20 million rows
	$(BIN)/python benchmarks/run.py --heavy --peers "$(PEERS)"

bench-spine: $(READY)  ## a build of the repository's own warehouse against plain DuckDB
	$(BIN)/python benchmarks/spine.py

docs: $(READY)  ## write the reference anew from the code
	$(BIN)/python docs/reference.py

lock:  ## resolve requirements.in anew (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements.in --output-file requirements.lock

clean:
	rm -rf $(VENV) target .transform exports warehouse*.duckdb

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
