# Two commands for a fresh machine: `make demo` and `make test`. The rest is for work on the project.
PYTHON ?= python3
BIN := .venv/bin
TYPES = $(BIN)/mypy && $(BIN)/mypy --config-file firmware/mypy.ini firmware

.PHONY: demo plant test check docs format clean

demo: .venv/installed
	$(BIN)/quaver demo

# Twenty nodes whose bearings fail one after the other: two minutes, a live table, a report in plant-of-20/.
plant: .venv/installed
	rm -rf plant-of-20
	$(BIN)/quaver plant run tools/plant_of_20.toml --output plant-of-20

# Three workers on two cores: half of the time tests wait. The types are checked beside them: what mypy says comes last.
test: .venv/installed .venv/stubs
	tools/setup-system compiler mosquitto postgresql chromium
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@($(TYPES)) >.venv/types.txt 2>&1 & types=$$!; \
	$(BIN)/pytest -n 3 --dist worksteal --target unix: --target rp2040: --target esp32_c3:; tests=$$?; \
	wait $$types; types=$$?; cat .venv/types.txt; exit $$((tests || types))

# The quick checks, without a board: under a minute.
check: .venv/installed .venv/stubs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --config-file firmware/mypy.ini firmware
	$(BIN)/pytest -q -n 2 -m "not long" tests/portable tests/host/test_arrows.py tests/host/test_docs.py

# The documentation as a site, from README, docs, protocols and the docstrings.
docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python tools/docs_site.py

format: .venv/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.venv/installed: pyproject.toml tools/setup-system
	PYTHON=$(PYTHON) tools/setup-system python
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

# MicroPython's modules as types, for firmware/. In a folder of their own: some have the names of the host's modules.
.venv/stubs: .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $@ \
		micropython-rp2-rpi_pico_w-stubs==1.26.0.post1 micropython-stdlib-stubs==1.26.0.post3
	touch $@

.venv/docs: .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[docs]'
	touch $@

clean:
	rm -rf .venv .docs site .pytest_cache .mypy_cache .ruff_cache
