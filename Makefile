# Everything is set up in .venv; nothing has to be installed by hand but Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DOORS := .venv-doors
OUT ?= runs/quick

# What others would keep in the user's home.
export PIP_CACHE_DIR ?= $(CURDIR)/.cache/pip
export MPLCONFIGDIR ?= $(CURDIR)/.cache/matplotlib

# Pins hold for what pip builds the package with too; older versions of pip read the first, newer ones the second.
pinned = PIP_CONSTRAINT=$(1) PIP_BUILD_CONSTRAINT=$(1) $(2)/bin/python -m pip install --quiet --disable-pip-version-check

.PHONY: setup run test test-slow test-doors lint verify docs clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Commonweal needs Python 3.11 or later')"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(call pinned,constraints.txt,$(VENV)) -e ".[dev]"
	touch $@

run: setup
	$(BIN)/commonweal run quick --out $(OUT)

test: setup
	$(BIN)/python -m pytest -m "not slow" -n 2

test-slow: setup
	$(BIN)/python -m pytest -m slow -n 2

# RLlib pins an older Gymnasium than the rest: it and TorchRL live in an environment of their own.
$(DOORS)/.ready: pyproject.toml constraints-doors.txt
	test -x $(DOORS)/bin/python || $(PYTHON) -m venv $(DOORS)
	$(call pinned,constraints-doors.txt,$(DOORS)) -e ".[doors]"
	touch $@

test-doors: $(DOORS)/.ready
	$(DOORS)/bin/python -m pytest tests/test_rl_libraries.py tests/test_pins.py

lint: setup
	$(BIN)/ruff check commonweal tests demos docs
	$(BIN)/mypy

verify: setup
	$(BIN)/commonweal verify

docs: setup
	$(call pinned,constraints.txt,$(VENV)) -e ".[docs]"
	$(BIN)/python -m pytest tests/test_pins.py
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

clean:
	rm -rf .cache docs/_build docs/gallery docs/generated .pytest_cache .mypy_cache .ruff_cache
