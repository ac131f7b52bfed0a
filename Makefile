# Two commands set up everything on a fresh machine: `make quickstart` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
DOCS_INSTALLED := .venv/docs-installed

# Two files at a time, each with one thread: on two cores more threads only wait for each other. In their order, for by
# number of tests those with few long ones would come last, one alone at the end.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: quickstart test test-slow faults lint docs audit fuzz benchmarks

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,postgresql,grpc,ray,onnx,dashboard]'
	touch $@

quickstart: $(INSTALLED)  ## search small networks on digits, then export the best one
	$(BIN)/archsearch run search_spaces/resnet_space.yaml
	$(BIN)/archsearch export resnet-space --output exported/resnet-space

test: $(INSTALLED)  ## the everyday tests
	$(PYTEST)

# With real services beside them, where PostgreSQL is installed.
test-slow: $(INSTALLED)  ## the tests that take longer
	$(BIN)/python -m tests.services env $(PYTEST) --durations 30 -m 'slow and not ray'
	$(BIN)/pytest -m 'slow and ray'

faults: $(INSTALLED)  ## provoke every fault, often, for real; the table goes into docs
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.faults --counts full --output docs/faults.md

lint: $(INSTALLED)  ## style, types, direction of the imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(DOCS_INSTALLED): $(INSTALLED)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@

docs: $(DOCS_INSTALLED)  ## the documentation as a site, in site/; any warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

audit: $(INSTALLED)  ## weaknesses of the code (bandit), known ones of the pinned packages (pip-audit)
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive archsearch
	$(BIN)/python .ci/audit.py

MINUTES ?= 20
fuzz: $(INSTALLED)  ## study loader, journal reader and architecture builder, MINUTES each
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzzing --minutes $(MINUTES) --record docs/fuzzing.md

# One after the other, on a machine that does nothing else; each says in its docstring what it compares.
BENCHMARKS := overhead growth scale real_search
# A worker of a small network has one thread.
OF_ONE_THREAD := throughput packing signals precision deterministic predictors
benchmarks: $(INSTALLED)  ## speed, scale and search quality, into benchmarks/results
	for name in $(BENCHMARKS); do \
	  $(BIN)/python -m benchmarks.$$name --output benchmarks/results/$$name.json || exit 1; \
	done
	for name in $(OF_ONE_THREAD); do \
	  OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.$$name --output benchmarks/results/$$name.json || exit 1; \
	done
	$(BIN)/python -m benchmarks.scale --postgresql --output benchmarks/results/scale-postgresql.json
	$(BIN)/python -m benchmarks.search_quality --output benchmarks/results/search_quality.json \
	  --picture docs/images/search_quality.png
