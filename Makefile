# Two commands set up everything on a fresh machine: `make quickstart` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: quickstart test lint

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,postgresql,ray]'
	touch $@

quickstart: $(INSTALLED)  ## search small networks on digits, then export the best one
	$(BIN)/archsearch run search_spaces/resnet_space.yaml
	$(BIN)/archsearch export resnet-space --output exported/resnet-space

test: $(INSTALLED)  ## the everyday tests
	$(BIN)/pytest --numprocesses 2 --dist loadfile

lint: $(INSTALLED)  ## style, types, direction of the imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
