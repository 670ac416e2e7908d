# 巴蜀信用互联网关. Every target with its one line: `make help`.
.DEFAULT_GOAL := help
SHELL := /bin/sh

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
NODE_BIN := node_modules/.bin
STATE ?= .dev

.PHONY: help
help: ## Show every target with its one line
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

# --- setting up -------------------------------------------------------------------------------------------------
# uv makes the virtual environment even where python3 -m venv is missing; it comes from PyPI when it is not there.
.tools/bin/uv:
	@$(PYTHON) -m pip --version >/dev/null 2>&1 \
	  && $(PYTHON) -m pip install -q --disable-pip-version-check --root-user-action=ignore --target .tools uv \
	  || { $(PYTHON) -m venv .tools/venv && .tools/venv/bin/python -m pip install -q uv && mkdir -p .tools/bin && ln -sf ../venv/bin/uv .tools/bin/uv; }

$(VENV)/.runtime: requirements.lock pyproject.toml bashu/pyproject.toml | $(if $(filter .tools/%,$(UV)),.tools/bin/uv)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@started=$$(date +%s); \
	test -x $(BIN)/python || $(UV) venv -q --python $(PYTHON) $(VENV); \
	test -f $(VENV)/.dev && lock=requirements-dev.lock || lock=requirements.lock; \
	$(UV) pip sync -q --compile-bytecode --python $(BIN)/python $$lock && \
	$(UV) pip install -q --python $(BIN)/python --no-deps -e ./bashu -e . && touch $@ && \
	echo "set up in $$(( $$(date +%s) - started )) s, $$(du -sm $(VENV) | cut -f1) MB (run-time packages and embedded PostgreSQL)"

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@$(UV) pip sync -q --compile-bytecode --python $(BIN)/python requirements-dev.lock && \
	$(UV) pip install -q --python $(BIN)/python --no-deps -e ./bashu -e . && touch $@ $(VENV)/.runtime $@

node_modules/.installed: package.json package-lock.json
	@npm install --silent --no-save --no-fund --no-audit && touch $@

.PHONY: setup setup-dev setup-node lock
setup: $(VENV)/.runtime ## Install the run-time packages and the bundled PostgreSQL into .venv
setup-dev: $(VENV)/.dev ## Install what developing and testing needs
setup-node: node_modules/.installed ## Install buf and the Node client's packages (needs npm)
lock: .tools/bin/uv ## Resolve both lock files anew from the floors in pyproject.toml
	$(UV) pip compile -q --universal --generate-hashes --no-header --no-emit-package bashu --python-version 3.11 pyproject.toml bashu/pyproject.toml -o requirements.lock
	$(UV) pip compile -q --universal --generate-hashes --no-header --no-emit-package bashu --python-version 3.11 pyproject.toml bashu/pyproject.toml --extra dev -o requirements-dev.lock

# --- using it ---------------------------------------------------------------------------------------------------
.PHONY: demo dev subjects refusals
demo: $(VENV)/.runtime ## Show the main job: consent, one query to both regions, offline receipt, revocation, refusal
	@$(BIN)/python -m loadtest.demo

dev: $(VENV)/.runtime ## Run the dev stack in the foreground until Ctrl-C
	@$(BIN)/bashu-gateway dev --state $(STATE) $(ARGS)

subjects: $(VENV)/.runtime ## Query every fixed subject and compare with what is expected
	@$(BIN)/python -m loadtest.subjects

refusals: $(VENV)/.runtime ## Make one wrong request for every reason and compare
	@$(BIN)/python -m loadtest.refusals

# --- proving it -------------------------------------------------------------------------------------------------
.PHONY: test test-fault test-bundled check format proto proto-diff race crash load-quick
test: $(VENV)/.dev ## Run the test suite
	@$(BIN)/pytest -q --ignore=tests/fault $(ARGS)

test-fault: $(VENV)/.dev ## Run the fault suite: platforms that misbehave, disorder in the ledger, all of docs/platforms/faults.md
	@$(BIN)/pytest -q tests/fault $(ARGS)

test-bundled: $(VENV)/.dev ## Run the tests that touch PostgreSQL with the bundled binaries
	@PG_BIN=bundled $(BIN)/pytest -q tests/integration tests/fault --ignore=tests/fault/test_fault_matrix.py $(ARGS)

check: $(VENV)/.dev setup-node ## Lint, types, import contracts, contract lint, generated code, migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd proto && ../$(NODE_BIN)/buf lint
	$(MAKE) -s proto-diff
	$(BIN)/squawk migrations/*.sql migrations/keys/*.sql

format: $(VENV)/.dev ## Format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

proto: $(VENV)/.dev ## Regenerate the contract in bashu/v1
	@PYTHON=$(BIN)/python sh proto/generate.sh

proto-diff: proto
	@git diff --exit-code --stat -- bashu/v1 bashu/vendor || { echo "bashu/v1 is not what proto/ says: commit the output of 'make proto'"; exit 1; }

.PHONY: permutations rules-table fuzz properties
properties: $(VENV)/.dev ## Random interleavings of everything about consents, judged from the export (EXAMPLES=300 SEED=…)
	@seed=$${SEED:-$$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}; echo "seed $$seed"; \
	BASHU_PROPERTY_EXAMPLES=$(or $(EXAMPLES),300) $(BIN)/pytest -q --hypothesis-seed=$$seed -k exported \
	  tests/properties/test_consent_interleavings.py $(ARGS)

fuzz: $(VENV)/.dev ## Fuzz identifiers, amounts, days and code texts against oracles written apart, 20 times as long as the suite
	@BASHU_FUZZ_EXAMPLES=5000 $(BIN)/pytest -q tests/properties/test_texts_fuzz.py $(ARGS)

permutations: $(VENV)/.runtime ## Merge 10,000 shuffled and repeated sets of answers: the same report to the byte
	@$(BIN)/python -m loadtest.permutations

scorecard: $(VENV)/.runtime ## Write docs/standard/scorecard.md: the card of the reference evaluation, from its data
	@$(BIN)/python -m loadtest.scorecard

.PHONY: validation
validation: $(VENV)/.runtime ## Evaluate 1,000 invented firms by real calls; write docs/standard/validation.html (3 minutes)
	@$(BIN)/python -m loadtest.validation $(ARGS)

.PHONY: fault-matrix
fault-matrix: $(VENV)/.runtime ## Write docs/platforms/faults.md: what each fault of a platform does to a query
	@$(BIN)/python -m loadtest.fault_matrix

.PHONY: catalogue
catalogue: $(VENV)/.runtime ## Write docs/standard/catalogue.md: every data item, which platform holds it, its fields
	@$(BIN)/python -m loadtest.catalogue

.PHONY: scorecard scorecard-bench scorecard-removals
scorecard-removals: $(VENV)/.dev ## Print what taking away each of the 27 indicators' data does to score and coverage
	@$(BIN)/pytest -q -s tests/unit/standards/test_scorecard.py -k removing_a_held_good_item | grep -o "X[A-Z][0-9]* score.*"

scorecard-bench: $(VENV)/.runtime ## Measure evaluations a second a core
	@$(BIN)/python -m loadtest.scorecard bench

rules-table: $(VENV)/.runtime ## Write docs/standard/rules.md: each rule of law, where it is enforced, which test proves it
	@$(BIN)/python -m loadtest.rules_table

race: $(VENV)/.runtime ## Race revocations, amendments, pauses, holds, freezes against queries (SECONDS=60 SEED=… BROKEN=1 must fail)
	@$(BIN)/python -m loadtest.race --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED)) $(if $(BROKEN),--broken)

crash: $(VENV)/.runtime ## Kill -9 a worker under load and check the export
	@$(BIN)/python -m loadtest.crash

.PHONY: bad-day
bad-day: $(VENV)/.runtime ## Ask 20 questions/s through a bad day of both platforms (MINUTES=10, or SECONDS=60) and judge it
	@$(BIN)/python -m loadtest.bad_day $(if $(SECONDS),--seconds $(SECONDS),--minutes $(or $(MINUTES),10)) $(ARGS)

.PHONY: test-kill tamper load-ledger
load-ledger: $(VENV)/.runtime ## Measure entries/s and time to proof at 10,000 entries; ARGS="--rate 2000" paces it, "--big 10000000" needs 8 GB of disk
	@$(BIN)/python -m loadtest.ledger $(ARGS)

test-kill: $(VENV)/.runtime ## Kill -9 worker, sealer and PostgreSQL under load, 20 rounds; ARGS="--rounds 3 --seconds 20" for fewer
	@$(BIN)/python -m loadtest.killing $(or $(ARGS),--rounds 20 --keep)

tamper: $(VENV)/.runtime ## Tamper as the database's owner; write what finds it into docs/tampering.md
	@$(BIN)/python -m loadtest.tamper

.PHONY: load-p5 load-p9
load-p9: $(VENV)/.dev ## Measure what one stalled platform does to the other's answers; ARGS="--rounds 6 --keep" writes the chart
	@$(BIN)/python -m loadtest.stalled $(ARGS)

load-p5: $(VENV)/.runtime ## Measure gathered admissions and releases: batch sizes, waiting, PostgreSQL's CPU a query (3 minutes)
	@$(BIN)/python -m loadtest.batching $(ARGS)

load-quick: $(VENV)/.dev ## Measure the whole path for a few seconds, open loop
	@$(BIN)/python -m loadtest.quick

.PHONY: clean
clean: ## Remove what was built and the dev state
	rm -rf $(VENV) .tools node_modules $(STATE) dist .mypy_cache .ruff_cache .pytest_cache
