# One command for everything; `make help` lists them. Each target first brings
# .venv up to date by itself, from nothing if need be (.ci/environment).
#
#   make run LOG=path/to/access.log
#   make test TESTS=tests/supervisors/test_clock.py
#   make bench ONLY=kernel,otp
#   make ... PYTHON=/path/to/python3      (any Python from 3.11; asked when .venv is made)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: alerts bench bench-smoke campaign check clean constraints coverage doc-examples docs format format-check help \
	interpreters kills layers lint outside package properties pykka-suite run schedules serve-load simulate simulate-many tampering test torture types untraced verify-outside

# Only a PYTHON that somebody chose is passed on; without one .ci/environment looks for it.
export PYTHON

BIN := .venv/bin
READY := .venv/.ready
LOG ?= examples/access.log
TESTS ?=
ONLY ?=
SEED ?= 0
RUNS ?= 1
TESTED := .coverage
# Whatever a test may look at; a folder is there so that a file that has gone is noticed.
FOLDERS := sessionactors supervisors tests benchmarks examples docs changelog.d .ci
SOURCES := $(shell find $(FOLDERS:%=%/.) -name __pycache__ -prune -o -type d -print -o -type f -print) pyproject.toml constraints.txt Makefile $(wildcard *.md)
define test_all
	$(BIN)/coverage erase
	.ci/tests $(BIN)
	$(BIN)/coverage combine -q
	@touch $(TESTED)
endef
WORKLOAD ?= supervisors.simulation.workloads:supervised_workers
WORKLOADS ?= supervisors.simulation.workloads:supervised_workers supervisors.simulation.workloads:linked_actors \
	tests.simulation.session_workload:sessions tests.simulation.day_workload:day \
	tests.simulation.pool_workload:pools tests.simulation.recovery_workload:recovery \
	tests.simulation.process_workload:processes tests.simulation.process_workload:pool_processes \
	tests.simulation.sandbox_workload:sandboxes
N ?= 1000
BUDGET ?= 600

$(READY): pyproject.toml constraints.txt .ci/environment
	@.ci/environment
	@touch $@

run: $(READY) ## Replay examples/access.log (or LOG=path); audit log and report land in run-output/
	$(BIN)/sessionactors replay --out run-output --overwrite "$(LOG)"

test: $(READY) ## Run all tests and note which branches they miss (or TESTS=path, which notes nothing)
	$(if $(TESTS),$(BIN)/python -m pytest -q $(TESTS),$(test_all))

interpreters: ## Run the tests of the runtime under every other Python from 3.12 on that is here (or PYTHONS="...")
	.ci/interpreters $(TESTS)

untraced: $(READY) ## Run the tests where threads meet without the tracer, behind which a race can hide
	$(BIN)/python -m pytest -q tests/supervisors/runtime tests/supervisors/test_system.py \
		tests/supervisors/simulation/test_scheduler.py

# A run of all tests that has passed leaves $(TESTED), so `make check` after `make test`
# runs them again only if something has changed since.
$(TESTED): $(READY) $(SOURCES)
	$(test_all)

check: format-check lint types coverage untraced bench-smoke outside ## Run every check; green means ready

format: $(READY) ## Format the code and sort its imports
	$(BIN)/ruff check -q --select I --fix .
	$(BIN)/ruff format .

format-check: $(READY)
	$(BIN)/ruff format --check .

lint: $(READY) ## Check the code with ruff
	$(BIN)/ruff check .

types: $(READY) ## Check the types with mypy
	$(BIN)/mypy

layers: $(READY) ## Check layers, exports, and that time and randomness have one door each
	$(BIN)/python -m pytest -q tests/architecture

coverage: $(TESTED) ## Show which branches the tests miss; run them first if something has changed
	$(BIN)/coverage report

docs: $(READY) ## Build the documentation into build/docs; any warning is an error
	.ci/mermaid build/mermaid
	DOCS_MERMAID=$(CURDIR)/build/mermaid $(BIN)/sphinx-build --fail-on-warning --keep-going --quiet --jobs auto --doctree-dir build/doctrees docs build/docs

doc-examples: $(READY) ## Run the examples in README.md, docs/ and docstrings
	$(BIN)/python -m pytest -q tests/docs

package: $(READY) ## Build the wheel and use it
	$(BIN)/python -m pytest -q tests/packaging

pykka-suite: $(READY) ## Run Pykka's own test suite with our actor and future
	$(BIN)/python tests/contracts/pykka_suite.py

properties: $(READY) ## Run the property tests with many more examples
	HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -q tests/properties -o faulthandler_timeout=3600

verify-outside: $(READY) ## Have programs by others (Go, OpenSSL, PyPI) verify our audit logs
	$(BIN)/python -m tests.outside.verify_outside

# The same for `make check`: with CI=true it installs them and fails without, elsewhere it names what is missing.
outside: $(READY)
	$(BIN)/python -m tests.outside.verify_outside --where-possible

simulate: $(READY) ## Run our own workload under SEED=n (RUNS=n seeds from there; or WORKLOAD=module:function)
	$(BIN)/python -m supervisors.simulation $(WORKLOAD) --seed $(SEED) --runs $(RUNS)

simulate-many: $(READY) ## Run each of our own workloads under N seeds (1000 by default), from SEED on
	for workload in $(WORKLOADS); do \
		$(BIN)/python -m supervisors.simulation $$workload --seed $(SEED) --runs $(N) || exit 1; \
	done

campaign: $(READY) ## Run all of our own workloads for BUDGET=600 seconds, each with its share, and count faults by kind
	$(BIN)/python -m supervisors.simulation $(WORKLOADS) --seed $(SEED) --budget $(BUDGET)

schedules: $(READY) ## Explore the schedules of the runtime with two preemptions throughout (minutes)
	SCHEDULES=thorough $(BIN)/python -m pytest -q -s tests/schedules -o faulthandler_timeout=3600

torture: $(READY) ## Torture the runtime at full size (TORTURE_SECONDS=60 by default)
	TORTURE_SECONDS=$${TORTURE_SECONDS:-60} $(BIN)/python -m pytest -q -s tests/torture -o faulthandler_timeout=3600

kills: $(READY) ## Kill a process with stored sessions KILL_ROUNDS=200 times (minutes)
	KILL_ROUNDS=$${KILL_ROUNDS:-200} $(BIN)/python -m pytest -q tests/sessionactors/storage/test_kill.py -o faulthandler_timeout=3600

serve-load: $(READY) ## Drive a daemon with SERVE_SESSIONS=100000 sessions, watch it and end it (minutes)
	SERVE_SESSIONS=$${SERVE_SESSIONS:-100000} $(BIN)/python -m pytest -q -s tests/torture/test_serve.py -o faulthandler_timeout=3600

alerts: $(READY) ## Have a real Prometheus fire the alerts of docs/prometheus/rules.yml
	ALERTS=1 $(BIN)/python -m pytest -q tests/docs/test_prometheus_fires.py tests/docs/test_prometheus_rules.py

tampering: $(READY) ## Flip every bit of a small audit log, and alter a larger one 100,000 times (an hour)
	AUDIT_FLIP_STEP=$${AUDIT_FLIP_STEP:-1} AUDIT_FLIPS=$${AUDIT_FLIPS:-0} AUDIT_EDITS=$${AUDIT_EDITS:-100000} \
		$(BIN)/python -m pytest -q -s tests/sessionactors/audit/test_bit_flips.py \
		tests/torture/test_audit_tampering.py -o faulthandler_timeout=0

bench: $(READY) ## Measure (or ONLY=group,group); figures land in benchmarks.json
	$(BIN)/python -m benchmarks --json benchmarks.json $(if $(ONLY),--only $(ONLY))

bench-smoke: $(READY) ## Run every benchmark once at its smallest size
	$(BIN)/python -m benchmarks --smoke

constraints: ## Write constraints.txt anew with the newest versions allowed
	@header=$$(grep '^#' constraints.txt) && pins=$$(.ci/environment --freeze) && \
		printf '%s\n' "$$header" "$$pins" > constraints.txt

clean: ## Remove what runs and tools leave; .venv stays
	rm -rf build run-output dist htmlcov benchmarks.json .benchmarks .coverage .coverage.* \
		.hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 15
