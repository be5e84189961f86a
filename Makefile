# Every target works as the first command in a fresh clone: the environment is made on demand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DOCS_STAMP := $(VENV)/.docs-installed
# Errors only; pip's own settings (PIP_INDEX_URL and the like) are honoured.
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
CONSTRAINED := -c constraints.txt --build-constraint constraints.txt

SECONDS ?= 600
# Tests run in two processes, a file's tests in one of them, in the order of tests/conftest.py; with more cores try more,
# with WORKERS=0 all run in one.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations=25

.DEFAULT_GOAL := help
.PHONY: help demo test test-bare fuzz test-clients check lint docs bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

demo: $(STAMP) ## show what gen3d does: videos, a mesh, an inversion, one page, in gen3d-out/demo
	@$(BIN)/gen3d demo --overwrite -o gen3d-out/demo

test: $(STAMP) ## run the tests
	@$(PYTEST)

test-bare: $(STAMP) ## find every test, and run those that need them, without system libraries that pip does not bring
	@$(BIN)/python -m tests.repository.bare all --collect-only -qq
	@$(BIN)/python -m tests.repository.bare usb -m libraries

fuzz: $(STAMP) ## read spoilt files of every format for SECONDS=600
	@$(BIN)/python -m tests.fuzz $(SECONDS)

test-clients: $(STAMP) ## open meshes and pages with Blender, model-viewer, Chromium and Khronos' validator (installs what is missing)
	@sh tests/clients/install.sh
	@$(BIN)/python -m pytest tests/clients -m clients

check: $(DOCS_STAMP) ## everything a change must pass: ruff, mypy, import layers, docs, tests
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(MAKE) --no-print-directory docs
	@$(MAKE) --no-print-directory test-bare
	@$(PYTEST)

lint: $(STAMP) ## fix what ruff can fix, and format
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

docs: $(DOCS_STAMP) ## build the site of docs/ with the Python reference, in site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

bench: $(STAMP) ## time the fast paths against the plain procedure
	@$(BIN)/python -m benchmarks

clean: ## remove the environment, caches and outputs
	rm -rf $(VENV) build dist site gen3d-out *.egg-info .coverage
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -path ./.git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# torch goes first, so that nothing else decides which build of it comes.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is missing or older than 3.11; name a newer one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "$(PYTHON) lacks the venv module; install it (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "Making $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@$(PIP) install --upgrade pip==$$(sed -n 's/^pip==//p' constraints.txt)
	@echo "Installing PyTorch into $(VENV) (the largest part, once)"
	@$(PIP) install -c constraints.txt torch
	@echo "Installing gen3d_tools and its tools into $(VENV)"
	@$(PIP) install $(CONSTRAINED) -e '.[dev]'
	@touch $@

# Neither the demo nor the tests need what builds the site.
$(DOCS_STAMP): $(STAMP)
	@echo "Installing what builds the site into $(VENV)"
	@$(PIP) install $(CONSTRAINED) -e '.[docs]'
	@touch $@
