# What people do with Boxcar. Every verb makes what it needs first; `make help` lists them.

PYTHON ?= python3
BIN := .venv/bin
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-annotate --no-header

export SAM_CLI_TELEMETRY := 0
# Trust the certificates that the machine trusts: behind a proxy, uv's own list would refuse every download.
export UV_SYSTEM_CERTS ?= 1
# Some containers forbid compiled modules; then each cloud, command and job would compile boto3 again, for seconds.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup setup-node setup-browser lock demo test lint format deploy bench clean reset

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## make .venv and the other environments; nothing is downloaded after this
	@$(PYTHON) requirements/install.py

demo: setup ## train four models twice on this machine, and show what a user of the stack would see
	@$(BIN)/boxcar demo

# make test TESTS=tests/unit     a part
# make test ARGS='-n 0 -x -k x'  pytest's own options
TESTS ?= tests
ARGS ?=
test: setup setup-browser ## run every test: unit, conformance, integration, e2e
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --timeout 300 $(ARGS) $(TESTS)

# make lint CHECK=walls  one check
CHECK ?=
lint: setup setup-node ## run every check: code, template, state machines, permissions, the project's own rules
	@$(BIN)/python -m lint $(CHECK)

format: setup ## mend what ruff can mend by itself
	@$(BIN)/ruff check --fix-only --quiet . ; $(BIN)/ruff format .

# make deploy          asks for everything and remembers it
# make deploy ENV=dev  takes it from samconfig.toml
ENV ?=
deploy: export PATH := $(CURDIR)/$(BIN):$(PATH)
deploy: setup ## build, and deploy to AWS: guided, or with ENV=dev or ENV=prod
	@find functions layers -name __pycache__ -prune -exec rm -rf {} + # both are packaged as they are
	@unset BOXCAR_LAYER_PYTHON; sam build && sam deploy $(if $(ENV),--config-env $(ENV),--guided)

# make bench NAME=imports
NAME ?=
bench: setup ## list the benches, or run one: NAME=counts
	@$(if $(NAME),$(PYTHON) requirements/install.py --with $(wildcard tests/bench/environments/*.lock))
	@$(BIN)/python -m tests.bench $(NAME)

clean: ## remove what builds and checks leave behind; environments and the embedded cloud's state stay
	@rm -rf .aws-sam .boxcar/build .boxcar/cache .boxcar/lint .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	@find . -name __pycache__ -not -path './.venv/*' -not -path './.boxcar/*' -prune -exec rm -rf {} +

reset: setup ## stop the embedded cloud and empty it
	@$(BIN)/boxcar local reset

lock: setup ## choose the newest versions again and write every lock file
	@for name in uv boxcar sam node; do $(LOCK) --upgrade requirements/$$name.in -o requirements/$$name.lock || exit 1; done
	@for layer in deps parquet; do $(LOCK) --upgrade --constraint requirements/boxcar.lock \
		layers/$$layer/requirements.in -o layers/$$layer/requirements.txt || exit 1; done
	@for file in local/environments/*.in tests/bench/environments/*.in; do [ ! -e $$file ] || $(LOCK) --upgrade $$file -o $${file%.in}.lock || exit 1; done

# One of the checkers of state machines is a Node program. Where the machine has no Node, PyPI has one.
setup-node: node_modules/.package-lock.json
node_modules/.package-lock.json: package.json package-lock.json .npmrc | setup
	@if command -v npm >/dev/null; then npm ci --ignore-scripts --no-audit --no-fund --silent; else \
		$(PYTHON) requirements/install.py --with requirements/node.lock \
		&& PATH="$(CURDIR)/.boxcar/environments/node/bin:$$PATH" npm ci --ignore-scripts --no-audit --no-fund --silent; fi
	@touch $@

# Tests of pages skip, with a sentence, where no browser is found. As root on Debian, it is installed for them.
setup-browser:
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0; \
	echo "setup: installing chromium for the tests of pages"; \
	apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null \
	|| echo "setup: chromium could not be installed; the tests of pages will skip"
