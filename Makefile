# Everything runs from .venv, which `make venv` builds from nothing; `make` alone lists the targets.

VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
COMPILED := pyproject.toml $(wildcard logstore/*/*.c logstore/*/*.h)

# Without its bytecode each process of a service starts three times as slowly.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help venv demo test check check-all bench clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | \
	  awk -F'|' '{ printf "  make %-10s %s\n", $$1, $$2 }'

venv: $(STAMP) ## create .venv and install logstore in it, with everything the checks need

# Rebuilt only when something compiled or declared has changed: Python sources are read in place.
$(STAMP): $(COMPILED) tools/make_venv.sh
	@sh tools/make_venv.sh $(VENV)
	@touch $@

demo: $(STAMP) ## the main job on real input: 4 writers, two kills, every line compared (DEMO_ARGS=...)
	@$(PY) -m logstore.cli demo $(DEMO_ARGS)

test: $(STAMP) ## the tests, but for the long runs, a file on each core (PYTEST_ARGS=...)
	@$(PY) -m pytest -m "not slow" -n auto --maxprocesses 8 --dist loadfile $(PYTEST_ARGS)

check: $(STAMP) ## format, lint, floors, sizes, types, stubs, fast tests: about a minute
	@$(PY) tools/check.py

check-all: $(STAMP) ## check, and process, crash, slow and sanitizer runs
	@$(PY) -m pip install --quiet --disable-pip-version-check atheris || true # the step fuzz says what it lacks
	@$(PY) tools/check.py --all

bench: $(STAMP) ## the benchmarks with the peers, short form, results in bench/ (BENCH_ARGS=...)
	@$(PY) -m pip install --quiet --disable-pip-version-check -e '.[bench]' || echo "peers are left out"
	@$(PY) -m tools.bench --out bench $(BENCH_ARGS)

clean: ## remove .venv and everything that was built
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find logstore workers tests tools -name '*.so' -delete
	find logstore workers tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
