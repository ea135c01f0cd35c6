# Two commands for a fresh machine: `make demo` and `make test`. The rest is for work on the project.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
TARGETS := --target unix: --target rp2040: --target esp32_c3:
# Where the environment keeps Python from writing what it compiles, hundreds of commands compile the same again.
export PYTHONDONTWRITEBYTECODE :=
TYPES = $(BIN)/mypy && $(BIN)/mypy --config-file firmware/mypy.ini firmware

.PHONY: demo plant test nightly check audit fuzz lock docs format clean

demo: .venv/installed
	$(BIN)/quaver demo

# Twenty nodes whose bearings fail one after the other: two minutes, a live table, a report in plant-of-20/.
plant: .venv/installed
	rm -rf plant-of-20
	$(BIN)/quaver plant run tools/plant_of_20.toml --output plant-of-20

# Four workers on two cores: half of the time tests wait. The types are checked beside them: what mypy says comes last.
# While the system's parts are fetched, pytest reads all tests of a new clone once, and keeps them compiled for the workers.
test: .venv/installed .venv/stubs
	@{ test .venv/read -nt .venv/installed || $(BIN)/pytest --collect-only -q $(TARGETS) >.venv/read 2>&1; } & read=$$!; \
	tools/setup-system compiler mosquitto postgresql chromium; fetched=$$?; wait $$read; exit $$fetched
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tools/audit_locks.py
	@($(TYPES)) >.venv/types.txt 2>&1 & types=$$!; \
	$(BIN)/pytest -n 4 --dist worksteal -m "not nightly" $(TARGETS); tests=$$?; \
	wait $$types; types=$$?; cat .venv/types.txt; exit $$((tests || types))

# What takes a processor most of a minute each, or shows on another board or size what `make test` shows on one; and more
# examples for what is said of any input.
nightly: .venv/installed
	tools/setup-system compiler mosquitto postgresql chromium
	$(BIN)/pytest -n 2 --dist worksteal -m "nightly or hypothesis" --hypothesis-profile nightly $(TARGETS)

# The quick checks, without a board: under a minute.
check: .venv/installed .venv/stubs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file firmware/mypy.ini firmware
	$(BIN)/pytest -q -n 2 -m "not long" tests/portable tests/host/test_arrows.py tests/host/test_docs.py

# Known vulnerabilities of what is locked, as OSV knows them; where OSV does not answer, it says so and ends with 0.
audit: .venv/installed
	$(BIN)/python tools/audit_locks.py

# A million inputs for each parser that meets strangers (docs/fuzzing.md): hours. FUZZ="--target cbor" for one.
fuzz: .venv/fuzz
	$(BIN)/python tools/fuzz.py $(FUZZ)

# Writes locks/*.txt anew after a change of the dependencies.
lock: .venv/uv
	tools/lock

# The documentation as a site, from README, docs, protocols and the docstrings.
docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python tools/docs_site.py

format: .venv/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Every dependency at its locked version, by hash; the project itself from its sources, with the builder that is locked.
.venv/installed: pyproject.toml locks/dev.txt tools/setup-system
	PYTHON=$(PYTHON) tools/setup-system python
	$(PYTHON) -m venv .venv
	$(PIP) --require-hashes -r locks/dev.txt
	$(PIP) --no-deps --no-build-isolation -e .
	touch $@

# MicroPython's modules as types, for firmware/. In a folder of their own: some have the names of the host's modules.
.venv/stubs: .venv/installed locks/stubs.txt
	$(PIP) --require-hashes --no-deps --upgrade --target $@ -r locks/stubs.txt
	touch $@

.venv/docs: .venv/installed locks/docs.txt
	$(PIP) --require-hashes -r locks/docs.txt
	touch $@

.venv/fuzz: .venv/installed locks/fuzz.txt
	$(PIP) --require-hashes -r locks/fuzz.txt
	touch $@

.venv/uv: .venv/installed locks/uv.txt
	$(PIP) --require-hashes -r locks/uv.txt
	touch $@

clean:
	rm -rf .venv .docs site .pytest_cache .mypy_cache .ruff_cache
