# make search   the main job on a fresh machine: virtual environment, installation, a search on the embedded data
# make test     the tests          make lint   style and types          make docs   docs/cli.md from the commands
# make browser  headless Chromium for the tests of the report (Debian, root)
# VENV=DIR and PYTHON=COMMAND choose the virtual environment and the interpreter it is made with.

PYTHON ?= python3
VENV ?= .venv
MODEL ?= efficientnet_lite0
BUDGET ?= latency=0.7x
TIME ?= 4m

BIN := $(VENV)/bin
# A stamp is named for the content of pyproject.toml, so a fresh checkout with old file times reinstalls nothing.
KEY := $(shell cksum < pyproject.toml | cut -d' ' -f1)
BASE := $(VENV)/.base-$(KEY)
DEV := $(VENV)/.dev-$(KEY)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: search test lint types docs browser wheel clean

search: $(BASE)
	$(BIN)/automl search $(MODEL) --budget $(BUDGET) --effort quick --time $(TIME)

# The interpreter is asked first for what a minimal Debian lacks, so that the message names the cure.
$(BIN)/python:
	@$(PYTHON) -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'automl needs Python 3.11 or newer with venv; on Debian: apt-get install python3-venv' >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

# torch first and pinned: everything else then agrees with it instead of moving it.
$(BASE): $(BIN)/python
	$(INSTALL) 'torch==2.14.1' 'torchvision==0.29.1'
	$(INSTALL) -e '.[zoo]'
	touch $@

$(DEV): $(BASE)
	$(INSTALL) -e '.[zoo,dev]'
	touch $@

# Where Chromium is neither present nor installable the page's static checks in tests/artifact still run.
test: $(DEV)
	@if $(MAKE) --no-print-directory browser; then marks='not slow and not gpu'; \
	else echo 'make test: the tests that drive a browser are left out' >&2; marks='not slow and not gpu and not browser'; fi; \
	$(BIN)/python -m pytest -m "$$marks" $(ARGS)

lint: $(DEV)
	$(BIN)/ruff check automl tests experiments examples
	$(BIN)/ruff format --check automl tests experiments examples
	$(BIN)/mypy

types: $(DEV)
	$(BIN)/mypy

docs: $(DEV)
	$(BIN)/python -m typer automl.cli.app utils docs --name automl --title 'Commands' --output docs/cli.md
	sed -i 's|</\{0,1\}span[^>]*>||g' docs/cli.md
	$(BIN)/python -m pytest tests/architecture/test_docs.py

browser:
	@command -v chromium > /dev/null || command -v chromium-browser > /dev/null || command -v google-chrome > /dev/null \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null && apt-get update -qq \
	     && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium > /dev/null; } \
	|| { echo 'headless Chromium is missing and cannot be installed here; install the package chromium' >&2; exit 1; }

wheel: $(DEV)
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
