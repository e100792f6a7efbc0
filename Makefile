# 联动 Liandong. `make run` starts the demonstration, `make test` proves everything.
# Needs Python ≥3.11 with venv; everything else is put into .venv at the versions of uv.lock.

SHELL := /bin/sh
.DEFAULT_GOAL := help

# The first Python that is new enough. `make PYTHON=/path/to/python3.12 setup` chooses another.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup run test check format bench soak eval ear parts requirements clean

help:
	@echo "make setup  装好 .venv / build .venv with the command liandong"
	@echo "make run    启动演示并打印网址 / start the demonstration and print its address"
	@echo "make test   全部测试 / checks and all tests"
	@echo "make check  格式、静态检查、类型、分层 / formatting, lint, types, layers"
	@echo "make bench  性能对比 / benchmarks   make soak  断电浸泡 / kill -9 under load   make eval  判别评测 / accuracy"
	@echo "make ear    重学听感权重 / teach the ear again (after a change in training/voices)"

setup: $(STAMP)

# The stamp is written last, so that an interrupted setup is done again.
$(STAMP): uv.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "需要 Python 3.11 以上 / Python 3.11 or newer is needed (Debian, Ubuntu: apt-get install python3 python3-venv)" >&2; exit 1; }
	@rm -f $(STAMP)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "缺少 venv / venv is missing (Debian, Ubuntu: apt-get install python3-venv)" >&2; rm -rf $(VENV); exit 1; }
	@$(BIN)/python -m uv --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip --upgrade >/dev/null
	@$(BIN)/python -m uv --version >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9'
	$(BIN)/python -m uv sync --locked --all-groups --compile-bytecode --inexact --python $(BIN)/python
	@touch $(STAMP)

run: $(STAMP)
	@exec $(BIN)/liandong demo

test: $(STAMP) parts check
	$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal -rs

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# What tests need beside Python: installed where that is allowed, else named. With CI=true a missing part fails.
parts: $(STAMP)
	@sh .ci/parts

bench: $(STAMP)
	@for file in $$(grep -l '__name__ == "__main__"' benchmarks/*.py | grep -v soak); do \
		name=$$(basename $$file .py); echo "== $$name"; $(BIN)/python -m benchmarks.$$name --quick --json || exit 1; done

soak: $(STAMP)
	$(BIN)/python -m benchmarks.soak
	$(BIN)/python -m benchmarks.soak_time

eval: $(STAMP)
	$(BIN)/python -m benchmarks.eval

# Learning needs scikit-learn, which nothing else does: it is installed when somebody teaches.
ear: $(STAMP)
	@$(BIN)/python -c 'import sklearn' 2>/dev/null || $(BIN)/python -m uv sync --locked --all-groups --extra train --inexact --python $(BIN)/python
	$(BIN)/python -m training.ear

requirements: $(STAMP)
	$(BIN)/python -m uv export --quiet --locked --no-dev --no-emit-project --output-file requirements.txt

clean:
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .cache
