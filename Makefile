# Each target works on a fresh clone: what it needs is installed first.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest

.PHONY: help demo start test test-all check format bench coverage stubs clean venv dev clients

help:
	@echo "make demo      a coffee shop on a cloud of its own, in a minute"
	@echo "make start     a cloud that stays"
	@echo "make test      the tests;  make test-all  the slow ones too"
	@echo "make check     formatter, linter, types, tidy tests"
	@echo "make bench     measure, beside other emulators"
	@echo "make clients   install the clients that the slow tests drive (Debian, PyPI, npm)"
	@echo "make coverage  operations that exist, by service"
	@echo "make stubs     types of all requests and results, from AWS's models"

.venv/runtime: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e . boto3
	@touch $@

.venv/dev: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ .venv/runtime

venv: .venv/runtime
dev: .venv/dev

demo: .venv/runtime
	@$(BIN)/python -m demo.coffee_shop

start: .venv/runtime
	@$(BIN)/doppio start

stubs: .venv/dev
	@$(BIN)/python -m tools.stubs

test: .venv/dev
	@$(BIN)/python -m tools.fetch_protocol_tests
	$(PYTEST) -n 2 -m "not slow"

test-all: .venv/dev
	@$(BIN)/python -m tools.fetch_protocol_tests
	$(PYTEST) -n 2

check: .venv/dev stubs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(PYTEST) tests/tidy

format: .venv/dev
	$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

bench: .venv/dev
	$(BIN)/python -m bench.run
	$(BIN)/python -m bench.s3_large
	$(BIN)/python -m bench.s3_listing
	$(BIN)/python -m bench.scale
	$(BIN)/python -m bench.latency
	$(BIN)/python -m bench.line
	$(BIN)/python -m bench.databases
	$(BIN)/python -m bench.authorisation
	$(BIN)/python -m bench.bytecodes

clients: .venv/dev
	@$(BIN)/python -m tools.install_clients

coverage: .venv/runtime
	@$(BIN)/doppio coverage

clean:
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache src/doppio/_stubs
