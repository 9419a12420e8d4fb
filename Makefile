# `make demo` and `make test` set up everything they need in .venv, from nothing but
# python3 (3.11 or newer) with its venv module.
PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo test lint types fast docs bench clean

demo: .venv/user
	rm -rf runs/demo runs/demo.csv
	$(BIN)/dnncli train sample_data/fashion_mini --out runs/demo
	$(BIN)/dnncli eval runs/demo sample_data/fashion_mini --beta 1 --beta 2
	$(BIN)/dnncli predict runs/demo sample_data/fashion_mini --out runs/demo.csv

# A file of tests stays in one process, which shares what its tests train.
test: lint types
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

# The tests that need no TensorFlow: seconds instead of minutes.
fast: .venv/dev
	$(BIN)/python -m pytest -m "not slow"

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: .venv/dev
	$(BIN)/mypy

# Rewrites docs/cli.md and docs/config.md from the code.
docs: .venv/dev
	$(BIN)/python docs/make_pages.py

# The quick benchmarks; those of benchmarks/README.md take longer.
bench: .venv/bench
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/reading.py tfrecord --rounds 1
	$(BIN)/python benchmarks/step.py --rounds 1

.venv/user: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@ .venv/user

.venv/bench: pyproject.toml constraints.txt .venv/dev
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[bench]'
	touch $@

clean:
	rm -rf .venv build dist *.egg-info
