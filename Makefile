# Everything that a developer types. `make demo` and `make test` work on a fresh clone; only the first run needs the network.

PYTHON ?= python3
STAMP := .venv/.installed
RUN := .venv/bin/

.PHONY: demo test soak lint types bench fuzz clusters deploytools clean

demo: $(STAMP)
	$(RUN)xtrader demo

test: $(STAMP)
	$(RUN)pytest -n auto --dist worksteal

soak: $(STAMP)
	XTRADER_STORM=1 XTRADER_MIXES=$${XTRADER_MIXES:-500} $(RUN)pytest -n auto --dist worksteal tests/faults tests/feed/test_storm.py

lint: $(STAMP)
	$(RUN)ruff check .
	$(RUN)ruff format --check .

types: $(STAMP)
	$(RUN)mypy

bench: $(STAMP)
	$(RUN)python -m bench $(ARGS)

# A million damaged messages for each venue's sessions. atheris is no part of the environment: it goes into a directory of its own.
fuzz: $(STAMP)
	$(RUN)python -m pip install --quiet --disable-pip-version-check --target .venv/fuzz atheris \
		|| echo "atheris cannot be had here: a mutator without coverage stands in" >&2
	for venue in BINANCE_SPOT BINANCE_FUTURES OKX_SWAP DERIBIT; do \
		PYTHONPATH=.venv/fuzz $(RUN)python -m tests.venues.fuzz $$venue --runs 1000000 || exit 1; done

# What the tests of docs/clusters.md need besides Java 17: half a gigabyte, so only where it is asked for.
clusters: $(STAMP)
	$(RUN)python -m pip install --quiet --disable-pip-version-check --editable '.[clusters]'

# The programs by which the files in deploy/ are judged: a third of a gigabyte, so only where it is asked for.
deploytools: $(STAMP)
	bash tests/deploy/tools.sh .venv/deploy $(PYTHON)

clean:
	rm -rf .venv bench/.envs bench/.results build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

# The environment, made once and again when what it is made from changes. Debian and Ubuntu ship python3 without ensurepip, so
# pip is fetched where `venv` cannot make an environment with it.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "xtrader needs Python 3.11 or newer: set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(RUN)python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv >/dev/null 2>&1 \
		|| { $(PYTHON) -m venv --without-pip --clear .venv && $(RUN)python deploy/getpip.py; } \
		|| { echo "cannot make .venv with pip in it (Debian, Ubuntu: sudo apt install python3-venv)" >&2; exit 1; }
	@echo "setting up .venv, once: pip fetches $$(grep -c '==' requirements.lock) packages, most of one to three minutes"
	@$(RUN)python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@PYTHONWARNINGS=ignore::UserWarning \
		$(RUN)python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)
