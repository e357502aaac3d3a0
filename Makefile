# Everything happens in .venv: `make demo` and `make test` are all that a fresh clone needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev

# Mirrors, proxies and certificates given to pip hold; what would send packages elsewhere or unsettle the lock does not.
# (`PIP_USER = 0` also answers a pip.conf that says `user = true`.)
export PIP_USER := 0
unexport PIP_CONSTRAINT PIP_NO_BUILD_ISOLATION PIP_NO_DEPS PIP_PREFIX PIP_REQUIRE_HASHES PIP_REQUIREMENT PIP_ROOT PIP_TARGET
unexport PYTHONHOME PYTHONPATH VIRTUAL_ENV
# Without its bytecode every process of ours compiles itself anew, and the tests start hundreds.
unexport PYTHONDONTWRITEBYTECODE
export NO_MKDOCS_2_WARNING := 1
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input

.DEFAULT_GOAL := help
.PHONY: help demo test install check lint format docs bench prove lock clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(RUNTIME)  ## install, then walk a sample site through three environments (ARGS="--yes --keep")
	@$(BIN)/towpath demo $(ARGS)

# Three processes on two cores: a test waits for servers and clocks a third of its time.
test: $(DEV)  ## install, then run every test against a real Temporal server (ARGS="tests/domain -x")
	@$(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)

install: $(DEV)  ## install everything into .venv, with the tools of development

check: lint test  ## all that must be green: format, lint, types, imports, docs, tests

lint: $(DEV)  ## check without the tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/basedpyright
	@$(BIN)/lint-imports
	@$(BIN)/python -m mkdocs --quiet build --strict

format: $(DEV)  ## format the code and mend what ruff can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(DEV)  ## serve the documentation, rebuilt on every save
	@$(BIN)/python -m mkdocs serve

bench: $(DEV)  ## measure against a bare workflow on the same server (OUT=bench.json)
	@$(BIN)/python -m tests.bench $(if $(OUT),--out $(OUT))

prove: $(DEV)  ## run the property tests for long (ARGS=tests/domain/test_lane.py)
	@$(BIN)/python -m pytest --hypothesis-profile=prove --timeout=0 $(or $(ARGS),tests/domain tests/workflows/test_lane_life.py)

# Both files are universal (any platform, Python 3.11 and later) and name no index: pip's own settings choose it.
UV ?= $(shell command -v uv || echo $(BIN)/uv)
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --annotation-style line \
	--custom-compile-command "make lock" pyproject.toml --extra demo --extra embedded --group build

lock: $(UV)  ## write the requirement files anew from pyproject.toml (ARGS=--upgrade for newer versions)
	@$(COMPILE) $(ARGS) --output-file requirements.txt
	@$(COMPILE) $(ARGS) --group dev --constraint requirements.txt --output-file requirements-dev.txt

clean:  ## remove .venv and all that tools have left
	@rm -rf $(VENV) .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist site
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps make a second run quick. The tools of development include the runtime, at the same versions.
$(RUNTIME): requirements.txt pyproject.toml $(VENV)/pyvenv.cfg
	$(call install,requirements.txt)
	@touch $@

$(DEV): requirements-dev.txt pyproject.toml $(VENV)/pyvenv.cfg
	$(call install,requirements-dev.txt)
	@touch $(RUNTIME) $@

define install
@echo "Installing $(1) into $(VENV) …"
@$(PIP) install --require-hashes --requirement $(1)
@$(PIP) install --no-deps --no-build-isolation --editable .
endef

# Made anew where its Python went away or was replaced, or where making it was interrupted.
$(VENV)/pyvenv.cfg: $(shell $(BIN)/python -c 'import pip' 2>/dev/null || echo unusable)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Towpath needs Python 3.11 or later, and “$(PYTHON)” is not one: install it, or name it, e.g. make test PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "“$(PYTHON)” cannot make virtual environments: install its venv package (Debian, Ubuntu: apt-get install python3-venv)." >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)

.PHONY: unusable
unusable:

$(BIN)/uv: $(VENV)/pyvenv.cfg
	@$(PIP) install uv
