# levelpool: run, test, coverage, check, bench, torture, docs, assets. Each sets up what it needs; nothing but Python 3.11 or later, git and make has to be there.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PEERS := $(VENV)/.peers
RELEASE := $(VENV)/.release
UV := $(VENV)/.uv
OPENAPI := $(VENV)/openapi
HOSTS := $(VENV)/hosts
DIST ?= dist
VENDOR := src/levelpool/service/static/vendor

# A program that is started anew would compile its files each time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test coverage check bench peers fuzz growth torture soak schemathesis test-container test-hosts test-pythons check-pythons sbom licences picture docs assets wheel install-newest install-oldest clean system

run: $(STAMP) assets  ## the service on http://127.0.0.1:8000 with SQLite under var/ and a sample inbox
	@exec $(BIN)/python examples/run.py

test: $(STAMP) assets system $(OPENAPI)/.installed  ## the whole suite
	@$(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadscope --no-loadscope-reorder --durations=20 $(TRACED) $(ARGS)

test-container: $(STAMP)  ## the image, built and run for real: as root on Debian, some minutes; BASE=IMAGE builds on another base
	@BASE=$(BASE) $(BIN)/python tests/container.py

test-hosts: $(HOSTS)/.installed  ## uvicorn, gunicorn, granian, Django, Jupyter, a frozen program, PID 1 and other hosts, each for real, some minutes; NAMES="granian" chooses
	@$(HOSTS)/bin/python tests/hosts.py $(NAMES)

test-pythons: $(STAMP) assets  ## unit, lane and integration tests on every Python that is claimed; VERSIONS="3.14" chooses
	@$(BIN)/python tests/pythons.py $(VERSIONS) -- $(ARGS)

check-pythons: $(STAMP) assets  ## lint, format, types and architecture under the oldest and the newest of them
	@$(BIN)/python tests/pythons.py --check $(VERSIONS)

coverage: TRACED := --cov --cov-report=term
coverage: test  ## the whole suite once more, and which branches it does not run; tracing takes its time

check: $(STAMP)  ## lint, format, types, architecture, complexity, workflows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/zizmor --quiet --offline --pedantic .github/workflows
	$(BIN)/python -m pytest -q tests/unit/test_architecture.py tests/unit/test_complexity.py

bench: $(STAMP) $(PEERS)  ## the benchmarks, ours and the peers' interleaved; ratios are printed
	$(BIN)/python -m benchmarks

peers: $(PEERS)  ## what the benchmarks compare with; some of it is large, and nothing else needs it

fuzz: $(STAMP)  ## spoilt files for ten minutes, elsewhere each time; SECONDS=3600 SEED=7 say how long and where
	FUZZ_SECONDS=$(or $(SECONDS),300) FUZZ_SEED=$(or $(SEED),$(shell date +%s)) $(BIN)/python -m pytest -q -s --no-cov -o timeout=0 tests/unit/sheets/read/test_fuzz.py

growth: $(STAMP)  ## how the time of all readers and cleaning rules grows with the size of a file: minutes; CASES="csv totals" chooses by name
	@$(BIN)/python -m tests.growth $(CASES)

torture: $(STAMP)  ## the process lane under everything at once, for SECONDS (300)
	LANE_TORTURE_SECONDS=$(or $(SECONDS),300) $(BIN)/python -m pytest -q -s tests/integration/test_lane_torture.py $(ARGS)

soak: $(STAMP) assets  ## a real service for MINUTES (20) under uploads, cuts, undo, replay, kills, restarts and a full disk; DATABASE=sqlite or postgresql, or both
	@MINUTES=$(MINUTES) DATABASE="$(DATABASE)" $(BIN)/python tests/soak.py

schemathesis: $(STAMP) assets $(OPENAPI)/.installed  ## requests made from the OpenAPI description, on both databases, for SECONDS (300)
	@SECONDS_OF_ALL=$(or $(SECONDS),300) $(BIN)/python tests/openapi.py

sbom: $(STAMP) $(RELEASE)  ## what levelpool[all] and the page are made of, as CycloneDX, in dist/levelpool.cdx.json
	@$(BIN)/python deploy/parts.py sbom

licences: $(STAMP)  ## docs/reference/licences.md anew
	@$(BIN)/python deploy/parts.py licences

picture: $(STAMP) assets system  ## docs/page.webp and docs/next-month.webp anew, from the running service in a real browser
	@$(BIN)/python tests/picture.py

docs: $(STAMP)  ## the documentation site, in site/, with llms.txt
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

assets: $(VENDOR)/.built  ## third-party JavaScript, from npm

wheel: $(STAMP) assets  ## sdist and wheel in dist/, with the page's scripts; the wheel is built from the sdist, so that holds all
	@rm -rf $(DIST)
	@$(BIN)/python -m hatchling build --target sdist --directory $(DIST)
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir $(DIST) $(DIST)/*.tar.gz
	@$(BIN)/python src/levelpool/service/assets.py --check $(DIST)/*

install-newest: wheel $(UV)  ## the wheel and each extra with the newest versions that our bounds allow; needs the package index, and minutes
	$(BIN)/python tests/try_installs.py newest $(DIST)/*.whl

install-oldest: wheel $(UV)  ## the same with the oldest ones
	$(BIN)/python tests/try_installs.py oldest $(DIST)/*.whl

system: $(STAMP)  ## what the browser and monitoring tests need from Debian
	@$(BIN)/python tests/machine.py

# Every pin is there, so nothing is left to resolve: an older pip would look at newer releases of what a pin asks for with extras, and stop.
$(STAMP): requirements.txt pyproject.toml src/levelpool/_version.py
	@echo "setting up $(VENV) from requirements.txt: once, and for some minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(PEERS): requirements-bench.txt $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-bench.txt
	@touch $@

$(RELEASE): requirements-release.txt $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-release.txt
	@touch $@

# In an environment of its own: what it needs must not change what the suite runs with.
$(OPENAPI)/.installed: requirements-openapi.txt $(STAMP)
	$(PYTHON) -m venv $(OPENAPI)
	$(OPENAPI)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-openapi.txt
	@touch $@

# As above.
$(HOSTS)/.installed: requirements-hosts.txt $(STAMP)
	$(PYTHON) -m venv $(HOSTS)
	$(HOSTS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-hosts.txt
	$(HOSTS)/bin/python -c "import pathlib, sysconfig; pathlib.Path(sysconfig.get_path('purelib'), 'levelpool.pth').write_text('$(CURDIR)/src')"
	@touch $@

$(UV): requirements-uv.txt $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-uv.txt
	@touch $@

$(VENDOR)/.built: package.json package-lock.json .npmrc $(STAMP)
	@$(BIN)/python src/levelpool/service/assets.py $(VENDOR)
	@touch $@

clean:
	rm -rf $(VENV) node_modules site build dist .cache $(VENDOR)
