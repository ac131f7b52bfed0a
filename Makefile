# Two commands set up everything on a fresh machine: `make quickstart` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

# Two tests at a time, each with one thread: on two cores more threads only wait for each other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2

.PHONY: quickstart test test-slow lint benchmarks

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,postgresql,ray,onnx]'
	touch $@

quickstart: $(INSTALLED)  ## search small networks on digits, then export the best one
	$(BIN)/archsearch run search_spaces/resnet_space.yaml
	$(BIN)/archsearch export resnet-space --output exported/resnet-space

test: $(INSTALLED)  ## the everyday tests
	$(PYTEST) --dist loadfile

test-slow: $(INSTALLED)  ## the tests that take longer
	$(PYTEST) --dist worksteal --durations 30 -m 'slow and not ray'
	$(BIN)/pytest -m 'slow and ray'

lint: $(INSTALLED)  ## style, types, direction of the imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# One after the other, on a machine that does nothing else; each says in its docstring what it compares.
BENCHMARKS := overhead growth scale search_quality
# A worker of a small network has one thread.
OF_ONE_THREAD := throughput packing signals precision
benchmarks: $(INSTALLED)  ## speed, scale and search quality, into benchmarks/results
	for name in $(BENCHMARKS); do \
	  $(BIN)/python -m benchmarks.$$name --output benchmarks/results/$$name.json || exit 1; \
	done
	for name in $(OF_ONE_THREAD); do \
	  OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.$$name --output benchmarks/results/$$name.json || exit 1; \
	done
	$(BIN)/python -m benchmarks.scale --postgresql --output benchmarks/results/scale-postgresql.json
