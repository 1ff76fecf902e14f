# Everything runs in .venv, which is made anew when pyproject.toml or constraints.txt change.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
PYTHON := python3
# Two tests at a time, each with servers of its own: most of them wait for processes.
SIDE_BY_SIDE := --numprocesses 2
# One thread each: threads that wait for one another spin, and would take the cores from the other test.
test torture: export OMP_NUM_THREADS := 1
test torture: export OPENBLAS_NUM_THREADS := 1

.DEFAULT_GOAL := help
.PHONY: help install demo test torture lint audit model bench up clean

help: ## list the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(READY) ## set everything up in .venv (a few minutes and some gigabytes the first time)

demo: $(READY) ## show the whole way on sample photographs: table on the screen, contact sheet in out/
	$(BIN)/facemem demo --output out

test: $(READY) ## run all tests, against real servers; report in out/tests.xml, pictures in out/pictures
	$(BIN)/pytest $(SIDE_BY_SIDE) --dist loadfile --no-loadscope-reorder --junitxml=out/tests.xml

torture: $(READY) ## kill, freeze and starve a running system in every way, for hours (SHARE=0.1: a tenth of that)
	FACEMEM_TORTURE=$(or $(SHARE),full) $(BIN)/pytest $(SIDE_BY_SIDE) --dist worksteal tests/torture tests/integration/hostile

lint: $(READY) ## check style, types and which module imports which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

audit: $(READY) ## ask the package index's live database for vulnerabilities of what is pinned; make test asks a packaged one
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[audit]' -c constraints.txt
	$(BIN)/pip-audit --strict --no-deps --disable-pip --requirement constraints.txt

model: $(READY) ## train compact anew from DATA=FOLDER into build/compact, card and all, and compare it with the shipped one
	@test -d "$(DATA)" || { echo "Name the folder with the images and ratings: make model DATA=FOLDER" >&2; exit 1; }
	$(BIN)/facemem train --recipe compact --data "$(DATA)" --output build/compact --work build/work --ablations
	$(BIN)/facemem evaluate --bundle build/compact --data "$(DATA)" --like shared/memorability/bundles/compact

bench: $(READY) ## run all benchmarks (one to two hours) and write what they found into docs/performance.md
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]' -c constraints.txt
	$(BIN)/python -m benchmarks

up: $(READY) ## run the whole system on this machine until Ctrl-C
	$(BIN)/facemem up

clean: ## remove what the other targets made; data folders of facemem stay
	rm -rf $(VENV) out build *.egg-info .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "facemem needs Python 3.11 or newer; name one with make PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' -c constraints.txt
	@touch $@
