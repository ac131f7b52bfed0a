# Two commands set up everything on a fresh machine: `make quickstart` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

# Two tests at a time, each with one thread: on two cores more threads only wait for each other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2

.PHONY: quickstart test test-slow lint

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,postgresql,ray]'
	touch $@

quickstart: $(INSTALLED)  ## search small networks on digits, then export the best one
	$(BIN)/archsearch run search_spaces/resnet_space.yaml
	$(BIN)/archsearch export resnet-space --output exported/resnet-space

test: $(INSTALLED)  ## the everyday tests
	$(PYTEST) --dist loadfile

test-slow: $(INSTALLED)  ## the tests that take longer
	$(PYTEST) --dist worksteal -m 'slow and not ray'
	$(BIN)/pytest -m 'slow and ray'

lint: $(INSTALLED)  ## style, types, direction of the imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
