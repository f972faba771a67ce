# `make help` lists the targets.
# Chosen on make's command line only: a variable TARGET, TO or PYTHON in the environment is another program's.
PYTHON := python3
TARGET := lab
FROM :=
TO :=
SETTINGS := cloud.toml
ARGS :=
VENV := .venv
BIN := $(VENV)/bin
LAB := $(BIN)/python -m lab
export LAB_NAME ?= lab
# What a shell has for other programs does not change what Python and bash do here; text is UTF-8 in any locale.
unexport BASH_ENV ENV CDPATH $(filter PYTHON%,$(.VARIABLES))
export PYTHONUTF8 := 1
# Tests of one group share a lab; the long groups start first (tests/conftest.py).
WORKERS := -n 3
# Tests bring up labs, networks and control groups of their own, which needs root. Root uses the programs that the
# user has built, and leaves no files in the checkout: all is compiled before.
ifneq ($(shell id -u),0)
AS_ROOT = $(BIN)/python -m compileall -q helpers lab series tests && \
  sudo --preserve-env=PIP_INDEX_URL,PIP_FIND_LINKS,PYTEST_LAB_NAME env PYTHONUTF8=1 PYTHONDONTWRITEBYTECODE=1 \
  LAB_CACHE="$${XDG_CACHE_HOME:-$$HOME/.cache}/istio-multicloud-lambda"
endif
PYTEST = $(AS_ROOT) $(BIN)/python -m pytest -p no:cacheprovider
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

.PHONY: tutorial check destroy test test-all lab up down status doctor setup handouts bench machines outputs faults kills lint format lock clean help

# Where the notebooks run: the lab, which comes up first, or, after a look and a question, the accounts of $(SETTINGS).
# INSTALLED is what that needs of Python's packages: `ready` has all, `base` what helpers and the series need.
ifeq ($(TARGET),lab)
INSTALLED := $(VENV)/ready
READY := up
PLACE = eval "$$($(LAB) env)"
LOOK = true
else ifeq ($(TARGET),cloud)
INSTALLED := $(VENV)/base
READY := $(INSTALLED)
PLACE = export TUTORIAL_SETTINGS=$(SETTINGS)
LOOK = $(BIN)/python -m series.preflight
else
$(error TARGET is lab or cloud, not "$(TARGET)")
endif

tutorial: $(READY)  ## run notebooks 00-06; TO=03 only what is missing of 00-03; FROM=04 TO=04 that one; TARGET=cloud on real accounts
	@$(PLACE) && $(LOOK) && $(BIN)/python -m series.run $(if $(FROM),--from "$(FROM)") $(if $(TO),--to "$(TO)")
	@$(if $(FROM)$(TO),,$(PLACE) && $(BIN)/python -m series.handouts --executed)

check: $(INSTALLED)  ## prove the claims of each notebook that was run, changing nothing; TARGET as above
	@$(PLACE) && $(BIN)/python -m series.check $(if $(filter cloud,$(TARGET)),TARGET=cloud)

destroy: $(INSTALLED)  ## delete what the tutorial made in both clouds; FROM=04 what 04 and later made; ARGS=--dry-run only lists it
	@$(PLACE) && $(BIN)/python -m helpers.cleanup $(if $(FROM),--from "$(FROM)") $(ARGS)

test: setup  ## run all tests, as CI does (by sudo where you are not root); ARGS="tests/helpers -k curl" runs a part of them
	@$(PYTEST) $(or $(ARGS),$(WORKERS))

test-all: setup faults kills machines  ## run also what takes hours: all faults, all kills, virtual machines
	@$(PYTEST) $(WORKERS) -m ''

lab: $(READY)  ## open JupyterLab on copies of the notebooks, from a start page; TARGET as above
	@$(PLACE) && $(LOOK) && $(BIN)/python -m series.start_page
	@$(BIN)/jupyter trust --log-level=ERROR build/start.ipynb my-notebooks/[0-9]*.ipynb >/dev/null # else no picture is shown
	@$(BIN)/jupyter labextension disable --level=sys_prefix @jupyterlab/apputils-extension:announcements >/dev/null 2>&1 # news
	@$(PLACE) && $(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) --log-level=WARN \
	  --KernelManager.transport_encryption=auto --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/build/start.ipynb

up: setup  ## bring the lab up
	@$(LAB) up

down: $(VENV)/ready  ## take the lab down; leaves the caches
	@$(LAB) down

status: $(VENV)/ready  ## show what runs in the lab
	@$(LAB) status

doctor: $(VENV)/ready  ## show what this machine has and lacks
	@$(LAB) doctor

setup: $(VENV)/ready  ## install what is missing and build the programs
	@$(LAB) setup

machines: setup  ## run it all in fresh virtual machines, Debian 12 and 13 (80 minutes where KVM is missing)
	@$(BIN)/python -m tests.machines

handouts: $(VENV)/base  ## HTML and PDF of the series, and participants' notebooks, in build/handouts
	@$(BIN)/python -m series.handouts

bench: setup  ## measure times and memory, and print them
	@$(BIN)/python -m tests.bench

faults: setup  ## a fault at each call of a full run, and a second run; prints the figures
	@$(BIN)/python -m tests.faults.report
	@$(BIN)/python -m tests.faults.connections

kills: setup  ## kill a run at each of its changing calls, clean up, and look what is left; prints the figure
	@$(BIN)/python -m tests.faults.kills

outputs: down  ## run the whole series on a fresh lab and put its outputs into notebooks/
	@rm -rf build/$(LAB_NAME) # certificates of an earlier run would show as "exists"
	@$(MAKE) --no-print-directory up
	@eval "$$($(LAB) env)" && $(BIN)/python -m series.run --write

lint: $(VENV)/ready  ## style, types, declared imports, and the direction of imports
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/deptry . && $(BIN)/lint-imports

format: $(VENV)/ready  ## format the code and sort its imports
	@$(BIN)/ruff check --quiet --select I --fix . && $(BIN)/ruff format .

lock: $(VENV)/ready  ## choose versions anew for requirements.lock from pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --no-emit-index-url \
	  --custom-compile-command "make lock" pyproject.toml --output-file requirements.lock

clean:  ## take the lab down; delete build and .venv
	@[ ! -e $(VENV)/ready ] || $(LAB) down
	@rm -rf build $(VENV) tutorial.toml tutorial-*.toml

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-10s %s\n", $$1, $$2}'

$(VENV)/ready: requirements.lock pyproject.toml
	@./setup.sh $(PYTHON) $(VENV) lab
	@touch $(VENV)/base $@

$(VENV)/base: requirements.lock pyproject.toml
	@./setup.sh $(PYTHON) $(VENV) base
	@touch $@
