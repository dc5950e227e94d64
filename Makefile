# Everything that a developer types. `make demo` and `make test` work on a fresh clone; only the first run needs the network.

PYTHON ?= python3
STAMP := .venv/.installed
RUN := .venv/bin/

.PHONY: demo test lint types bench clean

demo: $(STAMP)
	$(RUN)xtrader demo

test: $(STAMP)
	$(RUN)pytest -n auto

lint: $(STAMP)
	$(RUN)ruff check .
	$(RUN)ruff format --check .

types: $(STAMP)
	$(RUN)mypy

bench: $(STAMP)
	$(RUN)python -m bench $(ARGS)

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

# The environment, made once and again when what it is made from changes. Debian and Ubuntu ship python3 without ensurepip.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "xtrader needs Python 3.11 or newer: set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(RUN)python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv || $(PYTHON) -m virtualenv --clear .venv \
		|| { echo "cannot make .venv: install venv first (Debian, Ubuntu: sudo apt install python3-venv)" >&2; exit 1; }
	$(RUN)python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(RUN)python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)
