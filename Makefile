# The workshop. `make` alone lists what it can do. Every target that needs the locked environment makes it first;
# none needs an activated one.

.DEFAULT_GOAL := help
.PHONY: help demo up test test-slow monitoring-table bench lint format lock environment clean

bin := .venv/bin
packages := lake checks trainserve_assets serving proxy
sources := $(packages) bench tests

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: environment ## Play the whole loop on the flights of 2013
	@$(bin)/trainserve demo

up: environment ## Start Dagit, the released predictors, the proxy and the shipper
	@$(bin)/trainserve up

test: environment ## Run the tests (installs chromium, fuse3 and wrk when root on Debian)
	@sh deploy/test_packages.sh
	@$(bin)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

test-slow: environment ## Run the tests that take minutes
	@sh deploy/test_packages.sh
	@$(bin)/python -m pytest -m slow

monitoring-table: environment ## Live through half a year of flights; writes docs/monitoring.md, monitoring.json in the home
	@$(bin)/python -m tests.replay

bench: environment ## Measure; writes bench/results/*.json
	@sh deploy/test_packages.sh
	@$(bin)/python -m bench

lint: environment ## Check style, types, the direction of imports, and the declared dependencies
	@$(bin)/ruff format --check --quiet .
	@$(bin)/ruff check --quiet .
	@$(bin)/mypy
	@$(bin)/lint-imports --no-logo --no-cache
	@$(bin)/deptry $(packages)

format: environment ## Format, and mend what can be mended
	@$(bin)/ruff format .
	@$(bin)/ruff check --fix .

# Addresses of registries may not be committed, so no uv.lock: only names, versions and hashes.
lock: environment ## Resolve the dependencies anew into the locks
	@sh deploy/lock.sh

environment:
	@sh deploy/environment.sh

clean: ## Remove the environment and every cache; what the platform has stored stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find $(wildcard $(sources)) -name __pycache__ -type d -prune -exec rm -rf {} +
