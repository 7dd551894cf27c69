# `make run` serves, `make test` tests; both set up what they need first.
VENV := .venv
PY := $(VENV)/bin/python
SHELL := /bin/bash
.DEFAULT_GOAL := help
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: help
help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(VENV)/installed: requirements/dev.txt pyproject.toml
	python3 -m venv $(VENV)
	$(PY) -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(PY) -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@touch $@

# The pages need Node.js; without it the service runs, and its pages say that they are missing.
NPM := $(shell command -v npm)

node_modules/installed: package-lock.json
ifneq ($(NPM),)
	npm ci --silent --include=dev
	@touch $@
endif

.PHONY: pages
pages: $(VENV)/installed node_modules/installed ## build the web pages, unless they are built from these sources
ifneq ($(NPM),)
	npm run --silent build
else
	@echo "npm isn't installed: the web pages aren't built, and the service answers 503 for each"
endif

.PHONY: install
install: $(VENV)/installed pages ## set up .venv with the locked versions, and build the web pages

.PHONY: lock
lock: install ## write requirements/*.txt anew from pyproject.toml and requirements/*.in
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml -o requirements/runtime.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml requirements/dev.in -o requirements/dev.txt
	for alone in requirements/sdk-*.in requirements/audit.in requirements/bench-peers.in requirements/fuzz.in; do \
	    uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header $$alone -o $${alone%.in}.txt || exit 1; \
	done

.PHONY: run
run: install ## serve on 127.0.0.1:8080 with a database under ./data
	@$(VENV)/bin/organization-service serve --development --tour

.PHONY: generate
generate: install ## write gen/ anew from proto/
	$(PY) tools/generate.py

.PHONY: check
check: install ## lint, types, layers, contract and generated code
	ruff check .
	ruff format --check .
	mypy
	lint-imports
	npm run --silent check
	buf lint
	buf format --diff --exit-code
	buf breaking --against '.git#branch=main'
	$(PY) tools/generate.py --check

.PHONY: test
test: install ## every test that doesn't take long, in parallel
	pytest -n auto --dist loadscope -m "not faults and not slow"

.PHONY: test-slow
test-slow: install ## the tests that take longer: more of the browser, restarts, races, machines that fail
	pytest -n auto --dist loadscope -m "slow and not faults"

.PHONY: test-faults
test-faults: install ## servers under faults for some minutes: histories, mutants, and what else is marked so
	pytest -n 2 --dist load -m faults

HOURS ?= 1
.PHONY: soak
soak: install ## histories, kills and power cuts with fresh seeds for HOURS=1
	$(PY) -m tests.faults.soak --hours $(HOURS)

.PHONY: conformance
conformance: install ## the Connect project's own suite, from a checkout with its runner: SUITE=…, see docs/conformance.md
	$(PY) -m tests.conformance.official $(SUITE)

.PHONY: photographs
photographs: install ## take pictures of every page into dist/photographs, and those in docs/images anew
	python -m tests.web.photographs

AUDIT := .cache/audit
$(AUDIT)/installed: requirements/audit.txt
	python3 -m venv $(AUDIT)
	$(AUDIT)/bin/pip install -q --disable-pip-version-check --require-hashes -r $<
	@touch $@

.PHONY: audit
audit: $(AUDIT)/installed ## look up known vulnerabilities of all that is locked
	$(AUDIT)/bin/python tools/audit.py

# Without pip, so that it holds what the service runs with and nothing else.
RUNTIME := .cache/runtime-alone
$(RUNTIME)/installed: requirements/runtime.txt $(AUDIT)/installed
	python3 -m venv --clear --without-pip $(RUNTIME)
	$(AUDIT)/bin/pip --python $(RUNTIME)/bin/python install -q --disable-pip-version-check --require-hashes -r $<
	@touch $@

.PHONY: sbom
sbom: $(AUDIT)/installed $(RUNTIME)/installed ## write what the service and its pages are made of into dist/sbom-*.json, in CycloneDX
	@mkdir -p dist
	$(AUDIT)/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	    -o dist/sbom-service.json $(RUNTIME)/bin/python
	$(AUDIT)/bin/python tools/sbom_pages.py dist/sbom-pages.json

SECONDS ?= 60
FUZZ := .cache/fuzz-tools
$(FUZZ)/installed: requirements/fuzz.txt $(VENV)/installed
	$(PY) -m pip install -q --disable-pip-version-check --require-hashes --no-deps --upgrade --target $(FUZZ) -r $<
	@touch $@

.PHONY: fuzz
fuzz: $(FUZZ)/installed ## look for bytes that break a parser, SECONDS=60 for each; TARGETS="jwt page" for some
	PYTHONPATH=$(FUZZ) $(PY) -m tests.fuzz.run --seconds $(SECONDS) $(TARGETS)

.PHONY: bench-quick
bench-quick: install ## what calls cost beside the runtime and SQLite alone; fails on gross regressions
	$(PY) -m bench.quick

.PHONY: bench
bench: install ## measures beside ceilings and peers, for an hour: ARGS=--short for minutes, ARGS=--help for parts
	$(PY) -m bench.compare $(ARGS)
