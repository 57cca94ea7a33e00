# Every target sets itself up: it needs Python 3.11 or newer, make and pip, nothing else.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
JOBS   ?= 2

.PHONY: setup demo test test-slow lint docs hooks clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "precordial needs Python 3.11 or newer; give one with make PYTHON=python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

demo: setup           ## make a hospital, run the study on it, print the tables and the report's path
	$(BIN)/precordial demo --out work/demo

test: setup           ## the default suite
	$(BIN)/python -m pytest -n $(JOBS) -m "not slow"

test-slow: setup      ## the heavy counts
	$(BIN)/python -m pytest -n $(JOBS) -m slow

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: setup
	$(BIN)/sphinx-build -W -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

hooks:                ## run lint before each commit
	git config core.hooksPath .hooks

clean:
	rm -rf $(VENV) work docs/_build
