# make            what there is to make
# make run        a first ticket; everything that it needs is installed into .venv
# make test       every test

PYTHON  ?= python3
BIN     := .venv/bin
API     := $(sort $(wildcard nbs/*.ipynb nbs/*/*.ipynb))

.DEFAULT_GOAL := help
.PHONY: help setup run lab test quick lint check torture bench export notebooks lessons docs dist clean

help:
	@echo 'make run        find a COLT ticket on handwritten digits (ARGS="--sparsity 0.98" adds flags)'
	@echo 'make lab        see tickets being made, in JupyterLab (ARGS="--voila" for the panel alone)'
	@echo 'make test       every test: style, types, notebooks, and tests/'
	@echo 'make quick      the quicker tests, in a few minutes: no browser, no lessons, no long trainings'
	@echo 'make torture    attack runs and files for most of an hour: kills, full disks, races, changed bytes'
	@echo 'make bench      how fast it is beside the original, on this machine, idle: half an hour; benchmarks/results.md'
	@echo 'make check      exactly what continuous integration does'
	@echo 'make setup      install the package and what it is made with into .venv'
	@echo 'make export     the module, the README and the tour from the notebooks'
	@echo 'make notebooks  run every notebook and keep what it shows'
	@echo 'make lessons    run the lessons alone and keep what they show'
	@echo 'make docs       the site in _docs/ (open _docs/index.html)'
	@echo 'make dist       a wheel and an sdist in dist/'
	@echo 'make clean      remove what was made, but no runs and no data'

# Three stamps, one for each set of packages, from small to large; a larger one contains the smaller ones.
# A stamp is newer than what decides the environment, so a second call installs nothing.
DECIDES := settings.ini setup.py pyproject.toml
# pip would compile their modules one after the other, with their tests, for a minute and a half: all cores do it in a quarter of that.
INSTALL  = $(BIN)/python -m pip install --disable-pip-version-check --quiet --progress-bar off --no-compile -e
COMPILE  = env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m compileall -q -j 0 -x '/tests?/' .venv/lib >/dev/null 2>&1 || true

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "colt needs Python 3.10 or newer, and $(PYTHON) is " + sys.version.split()[0] + "; name another: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv

.venv/.run: $(DECIDES) | $(BIN)/python
	$(INSTALL) .
	@$(COMPILE)
	@touch $@
.venv/.lab: $(DECIDES) | $(BIN)/python
	$(INSTALL) '.[lab]'
	@$(COMPILE)
	@touch .venv/.run $@
.venv/.dev: $(DECIDES) | $(BIN)/python
	$(INSTALL) '.[dev]'
	@$(COMPILE)
	@touch .venv/.run .venv/.lab $@

setup: .venv/.dev

run: .venv/.run
	@$(BIN)/colt-prune --name first $(if $(wildcard runs/first/recipe.json),--resume) $(ARGS)

lab: .venv/.lab
	@$(BIN)/colt-lab lab $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/mypy

# More workers than cores, since a test of a page mostly waits for the page; what shares a server shares a worker (tests/conftest.py).
# The types are one of the tests (tests/test_types.py), and the first, so that the others run beside it.
test: setup
	$(BIN)/ruff check .
	$(BIN)/pytest -n 3

quick: setup
	$(BIN)/ruff check .
	$(BIN)/pytest -n 2 -m 'not slow'

torture: setup
	$(BIN)/python tests/torture.py
	$(BIN)/python tests/networks.py
	$(BIN)/python tests/side_by_side.py

BENCH := peak evaluation pruning cycle start memory seeds 'steps fc1 lenet5' 'steps alexnet conv3' \
	'steps resnet18' 'steps densenet121' 'steps mobilenetv2' 'steps shufflenetv2'
bench: setup
	@for part in $(BENCH); do $(BIN)/python benchmarks/bench.py $$part || exit 1; done

check:
	bash .ci/run

export: setup
	$(BIN)/nbdev_clean
	$(BIN)/nbdev_export
	$(BIN)/python tools/readme.py

notebooks: setup
	$(BIN)/python tools/lessons.py $(API)
	$(MAKE) export

lessons: setup
	$(BIN)/python tools/lessons.py $(sort $(wildcard nbs/tutorials/*.ipynb))
	$(MAKE) export

docs: setup
	$(BIN)/python tools/site/build.py

dist: setup
	rm -rf dist
	$(BIN)/python -m build --no-isolation

clean:
	rm -rf .venv _docs build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
