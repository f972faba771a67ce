# `make help` lists the targets.
# Set these on make's command line: variables of these names in the environment are ignored.
PYTHON := python3
TARGET := lab
FROM :=
ALL :=
TO :=
SETTINGS := cloud.toml
ARGS :=
VENV := .venv
BIN := $(VENV)/bin
LAB := $(BIN)/python -m lab
export LAB_NAME ?= lab
# Your shell's settings must not affect Python and bash here; text is UTF-8 in any locale.
unexport BASH_ENV ENV CDPATH $(filter PYTHON%,$(.VARIABLES))
export PYTHONUTF8 := 1
# Tests of one group share a lab; long groups start first (tests/conftest.py).
WORKERS := -n 3
# Tests start their own labs, networks and control groups, which needs root. They use the programs in your cache.
# The code is compiled first, so that root writes no files into the checkout.
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

# Where the notebooks run: in the lab, which is started first, or, after a preflight check, in the accounts of
# $(SETTINGS). INSTALLED are the Python packages: `ready` has all, `base` those of helpers and the series.
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

tutorial: $(READY)  ## run notebooks 00-06; ALL=1: later ones, too; TO=03: those of 00-03 that are not finished; FROM=04 TO=04: one; TARGET=cloud: on real accounts
	@$(PLACE) && $(LOOK) && $(BIN)/python -m series.run $(if $(FROM),--from "$(FROM)") $(if $(TO),--to "$(TO)") $(if $(ALL),--all)
	@$(if $(FROM)$(TO),,$(PLACE) && $(BIN)/python -m series.handouts --executed)

check: $(INSTALLED)  ## check the claims of each finished notebook again, without changing anything; TARGET as above
	@$(PLACE) && $(BIN)/python -m series.check $(if $(filter cloud,$(TARGET)),TARGET=cloud)

destroy: $(INSTALLED)  ## delete what the tutorial created in both clouds; FROM=04 only what 04 and later did; ARGS=--dry-run lists
	@$(PLACE) && $(BIN)/python -m helpers.cleanup $(if $(FROM),--from "$(FROM)") $(ARGS)

test: setup  ## run all tests, as CI does (with sudo if you are not root); ARGS="tests/helpers -k curl" runs some
	@$(PYTEST) $(or $(ARGS),$(WORKERS))

test-all: setup faults kills machines  ## also run tests that take hours: all faults, all kills, virtual machines
	@$(PYTEST) $(WORKERS) -m ''

lab: $(READY)  ## open JupyterLab on copies of the notebooks, from a start page; TARGET as above
	@$(PLACE) && $(LOOK) && $(BIN)/python -m series.start_page
	@$(BIN)/jupyter trust --log-level=ERROR build/start.ipynb my-notebooks/[0-9]*.ipynb >/dev/null # otherwise no pictures are shown
	@$(BIN)/jupyter labextension disable --level=sys_prefix @jupyterlab/apputils-extension:announcements >/dev/null 2>&1 # news
	@$(PLACE) && $(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) --log-level=WARN \
	  --KernelManager.transport_encryption=auto --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/build/start.ipynb

up: setup  ## start the lab
	@$(LAB) up

down: $(VENV)/ready  ## stop the lab; keeps the caches
	@$(LAB) down

status: $(VENV)/ready  ## show what is running in the lab
	@$(LAB) status

doctor: $(VENV)/ready  ## check this machine's prerequisites
	@$(LAB) doctor

setup: $(VENV)/ready  ## install what is missing and build the programs
	@$(LAB) setup

machines: setup  ## run everything in new virtual machines, Debian 12 and 13 (80 minutes without KVM)
	@$(BIN)/python -m tests.machines

handouts: $(VENV)/base  ## create HTML and PDF of the series, and participants' notebooks, in build/handouts
	@$(BIN)/python -m series.handouts

bench: setup  ## measure times and memory, and print them
	@$(BIN)/python -m tests.bench

faults: setup  ## inject a fault at each call of a full run, then run again; prints the figures
	@$(BIN)/python -m tests.faults.report
	@$(BIN)/python -m tests.faults.connections

kills: setup  ## kill a run at each change, clean up, and check what is left; prints the figures
	@$(BIN)/python -m tests.faults.kills

outputs: down  ## run the whole series on a new lab and save the outputs in notebooks/
	@rm -rf build/$(LAB_NAME) # certificates of an earlier run would show as "exists"
	@$(MAKE) --no-print-directory up
	@eval "$$($(LAB) env)" && $(BIN)/python -m series.run --write

lint: $(VENV)/ready  ## check style, types, declared imports, and the direction of imports
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/deptry . && $(BIN)/lint-imports

format: $(VENV)/ready  ## format the code and sort its imports
	@$(BIN)/ruff check --quiet --select I --fix . && $(BIN)/ruff format .

lock: $(VENV)/ready  ## update requirements.lock from pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --no-emit-index-url \
	  --custom-compile-command "make lock" pyproject.toml --output-file requirements.lock

clean:  ## stop the lab; delete build and .venv
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
