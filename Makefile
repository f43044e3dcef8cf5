# Every target sets up what it needs first; `make help` lists them.
# Needs Python >= 3.11, make and a package registry. A Rust toolchain is welcome and not required.

VENV  := .venv
BIN   := $(VENV)/bin
READY := $(VENV)/.ready
# More arguments for the command behind a target: make simulate ARGS="--departments 4 --json"
ARGS  ?=
# Records in the journal that `make replay` writes and replays.
RECORDS ?= 1000000
# How long `make fuzz-native` works on each of its targets.
SECONDS ?= 60

.DEFAULT_GOAL := help
.PHONY: help simulate test mutated-bundles bench bench-targets bench-guard replay fuzz-native sanitize-native lint format coverage compose-check clean

help: ## Say what can be made (the default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo '  ARGS="..." is passed on: make simulate ARGS="--departments 4", make test ARGS="tests/crypto -k tree"'

# What the native core is built from: an edit builds it again.
NATIVE := ledger/native/Cargo.lock ledger/native/Cargo.toml $(shell find ledger/native/src -name '*.rs')

# Other people's verifiers, which the tests run; set-up fetches what they are built from.
FOREIGN := tests/foreign/go/go.mod tests/foreign/go/go.sum

# The stamp is the last thing set-up writes, so a set-up that was interrupted starts again.
$(READY): pyproject.toml scripts/setup.sh scripts/build_native.py $(NATIVE) $(FOREIGN)
	@sh scripts/setup.sh $(VENV)

simulate: $(READY) ## Run the Beijing scenario: 53 departments as 53 processes, and a verdict
	@$(BIN)/mulu simulate beijing $(ARGS)

test: $(READY) ## Run the tests: random order, warnings are errors, no network but loopback
	@$(BIN)/python -m pytest --numprocesses auto $(ARGS)

mutated-bundles: $(READY) ## Let all three verifiers judge 10,000 changed bundles
	@MULU_MUTANTS=10000 $(BIN)/python -m pytest --numprocesses auto tests/proofs/test_agreement.py $(ARGS)

bench: $(READY) ## Measure validation on this machine
	@$(BIN)/mulu bench validation $(ARGS)

bench-targets: $(READY) ## Measure how far this machine reaches the project's targets
	@$(BIN)/mulu bench targets $(ARGS)

bench-guard: $(READY) ## Fail if something has become slower than benchmarks/ratios.json says (an idle machine, please)
	@$(BIN)/python -m benchmarks.guard $(ARGS)

replay: $(READY) ## Measure how a member comes back from a long journal: make replay RECORDS=10000000
	@$(BIN)/python benchmarks/replay.py --records $(RECORDS) $(ARGS)

fuzz-native: ## Fuzz the native core, guided by coverage: make fuzz-native SECONDS=600 (needs cargo-fuzz)
	@sh scripts/check_native.sh fuzz $(SECONDS)

sanitize-native: ## Run the native core's tests under AddressSanitizer
	@sh scripts/check_native.sh sanitize

lint: $(READY) ## Check format, lint, types, Dockerfile and compose file
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	@sh scripts/lint_dockerfile.sh $(BIN)/hadolint Dockerfile

format: $(READY) ## Put the code into the one format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

coverage: $(READY) ## Run the tests and list the lines that none of them reaches
	@$(BIN)/python -m pytest --numprocesses auto --cov --cov-report=term-missing:skip-covered $(ARGS)

compose-check: $(READY) ## Build and start four departments in containers, use them, restart one (needs a container engine)
	@$(BIN)/python scripts/compose_check.py $(ARGS)

clean: ## Remove what the other targets made
	rm -rf $(VENV) ledger/native/target ledger/_native.abi3.so build dist htmlcov .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .benchmarks ledger/native/fuzz/corpus ledger/native/fuzz/artifacts
	find ledger nodes scenarios tests benchmarks scripts -name __pycache__ -prune -exec rm -rf {} +
