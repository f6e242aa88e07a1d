# Everything a developer runs. Each target builds .venv itself, with nothing but Python there, and
# reuses it as long as pyproject.toml and requirements.lock are unchanged.

PYTHON ?= python3
VENV ?= .venv
OUT ?= demo

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
NAPARI := $(VENV)-napari
NAPARI_STAMP := $(NAPARI)/.installed
DOCS := $(VENV)-docs
DOCS_STAMP := $(DOCS)/.installed
OLDEST := 3.11

# Tests and benchmarks on real stacks run where these are, and are skipped elsewhere.
ifneq ($(wildcard ../shared/data/roi1656),)
export HELA_DASK_DATA ?= $(abspath ../shared/data)
endif
# A test file stays in one process. Tests wait for processes that end, so one more than there are
# cores keeps these busy; many start two workers themselves, so four are enough.
PROCESSES = $(shell "$(PYTHON)" -c 'import os; print(min(4, (os.cpu_count() or 1) + 1))')
PARALLEL = --numprocesses $(PROCESSES) --dist loadgroup --no-loadscope-reorder

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Tests start hundreds of processes: each reads the compiled modules that the first one has written,
# also in a shell that asks for none.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test napari lint format docs bench figures lock wheels
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /  make \1\t/'

demo: $(STAMP) ## segment a synthetic volume with known truth and score the result (OUT=demo)
	@$(BIN)/hela-dask demo --out "$(OUT)"

test: $(STAMP) ## run all tests, one process more than cores (ARGS=FILES: a part)
	@$(BIN)/python -m tests.compiling & trap 'kill $$! 2>/dev/null' INT TERM; \
	    $(BIN)/python -m pytest $(PARALLEL) $(ARGS); code=$$?; wait; exit $$code

napari: ## test the review in napari on a virtual display, in an environment that has napari (Linux)
ifeq ($(shell command -v xvfb-run),)
	@echo "the review in napari is not tested: xvfb-run is not there (Debian, Ubuntu: apt install xvfb libegl1 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxcb-shape0)"
else
	@$(MAKE) --no-print-directory $(NAPARI_STAMP)
	@LIBGL_ALWAYS_SOFTWARE=1 QT_QPA_PLATFORM=xcb xvfb-run --auto-servernum \
	    --server-args="-screen 0 1600x1000x24" $(NAPARI)/bin/python -m pytest -m screen tests/napari tests/viewing
endif

lint: $(STAMP) ## check style, format, types, imports and words
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --num-workers 2
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m tests.words

format: $(STAMP) ## format the code and apply the fixes of ruff
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: $(DOCS_STAMP) ## build the documentation site in site/ (ARGS=--no-run: tutorials without outputs)
	@$(DOCS)/bin/python -m website $(ARGS)

bench: $(STAMP) ## time kernels and the scheduler beside the plain way (minutes; prints ratios)
	@$(BIN)/python -m benchmarks.kernels
	@$(BIN)/python -m benchmarks.scheduler --quick

figures: $(STAMP) ## measure every figure of README and docs again (hours; ARGS=--quick: minutes; ARGS=--pages: only write the pages)
	@$(BIN)/python -m benchmarks.figures $(ARGS)

wheels: $(STAMP) ## build wheel and source distribution of the last commit into dist, the same bytes everywhere
	@$(BIN)/python packaging/wheels.py --out dist

lock: pyproject.toml ## renew requirements.lock and requirements-docs.lock (fetches uv into .venv-lock)
	@$(PYTHON) -m venv .venv-lock
	@.venv-lock/bin/python -m pip install --quiet uv
	@.venv-lock/bin/uv pip compile --quiet --universal --python-version $(OLDEST) --group dev \
	    --extra hpc --extra kubernetes --extra gateway --extra gcs --extra fast --extra formats --extra tiff --extra train \
	    --no-annotate --no-emit-index-url --no-header --upgrade \
	    pyproject.toml --output-file requirements.lock
	@.venv-lock/bin/uv pip compile --quiet --universal --python-version $(OLDEST) --group docs \
	    --constraint requirements.lock --no-annotate --no-emit-index-url --no-header --upgrade \
	    --output-file requirements-docs.lock

# uv installs in a third of the seconds of pip, which does it where uv cannot: it reads no pip.conf.
$(STAMP): pyproject.toml requirements.lock
	@command -v "$(PYTHON)" >/dev/null || { \
	    echo "hela_dask needs Python $(OLDEST) or newer and '$(PYTHON)' is not there: install it, or name yours, as in make PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < tuple(map(int, "$(OLDEST)".split("."))))' || { \
	    echo "hela_dask needs Python $(OLDEST) or newer and '$(PYTHON)' is $$("$(PYTHON)" -V 2>&1): name a newer one, as in make PYTHON=python3.12" >&2; exit 1; }
	@echo "building $(VENV) for development: about 0.9 GB are downloaded, which take 3.5 GB on the disk ..."
	@"$(PYTHON)" -m venv "$(VENV)" || { \
	    echo "'$(PYTHON)' cannot make a virtual environment: install its venv module (Debian, Ubuntu: python3-venv)" >&2; exit 1; }
	@{ [ -z "$$PIP_INDEX_URL$$($(BIN)/python -m pip config get global.index-url 2>/dev/null)" ] && \
	    $(BIN)/python -m pip install --quiet uv && \
	    $(BIN)/uv pip install --quiet --python $(BIN)/python --requirement requirements.lock; \
	} || $(BIN)/python -m pip install --quiet --no-compile --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# Only the packages of the site: the others are those of the first environment.
$(DOCS_STAMP): $(STAMP) requirements-docs.lock
	@echo "building $(DOCS) ..."
	@"$(PYTHON)" -m venv "$(DOCS)"
	@$(BIN)/python -c 'import sysconfig; [print("import site; site.addsitedir(%r)" % sysconfig.get_path(name)) \
	    for name in ("purelib", "platlib")]' \
	    > "$$($(DOCS)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/first.pth"
	@$(DOCS)/bin/python -m pip install --quiet --no-compile --requirement requirements-docs.lock
	@touch $@

# Only napari, Qt and what these need: the other packages are those of the first environment. Their
# versions are those of the lock where it has the package; napari and Qt are not in it.
$(NAPARI_STAMP): $(STAMP)
	@echo "building $(NAPARI) ..."
	@"$(PYTHON)" -m venv "$(NAPARI)"
	@$(BIN)/python -c 'import sysconfig; [print("import site; site.addsitedir(%r)" % sysconfig.get_path(name)) \
	    for name in ("purelib", "platlib")]' \
	    > "$$($(NAPARI)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/first.pth"
	@$(NAPARI)/bin/python -m pip install --quiet --no-compile --constraint requirements.lock \
	    --editable ".[napari]"
	@touch $@
