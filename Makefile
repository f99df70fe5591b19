# One way to run everything.  Needs Python >= 3.11 and make; `make help` lists the targets.
PYTHONS := python3 python3.11 python3.12 python3.13 python3.14
PYTHON ?= $(firstword $(foreach p,$(PYTHONS),$(shell $(p) -c 'import sys; print("$(p)" * (sys.version_info >= (3, 11)))' 2>/dev/null)))
VENV := .venv
PY := $(VENV)/bin/python
PIP := -m pip --disable-pip-version-check --no-input --quiet --quiet  # twice: errors only
SEEDS ?= 200
MINUTES ?= 10

.DEFAULT_GOAL := help
.PHONY: help demo test lint types format proto bench docs simulate chaos mutants fuzz prove-A prove-B prove-C lock clean

help: ## this list
	@sed -n 's/^\([a-zA-Z-]*\):.*## /  make \1\t/p' Makefile | expand -t 18

demo: $(VENV)/ready ## three nodes, two workers, real jobs, the leader killed half-way (KEEP=1 leaves them running)
	@$(PY) -m examples.demo $(if $(KEEP),--keep)

test: $(VENV)/ready ## lint, types and every test, with the time of each part (PARTS="lint unit" for some)
	@$(PY) tests/parts.py $(PARTS)

lint: $(VENV)/ready ## ruff: rules and format
	@$(PY) tests/parts.py lint

types: $(VENV)/ready ## mypy, strict, over package and tests
	@$(PY) tests/parts.py types

format: $(VENV)/ready ## rewrite the sources in the one format, sort imports
	@$(PY) -m ruff check --quiet --select I --fix . && $(PY) -m ruff format --quiet .

proto: $(VENV)/ready ## generate the protobuf code from proto/
	@$(PY) proto/generate.py

bench: $(VENV)/ready ## measure; bench/README.md says what each number means
	@$(PY) -m bench

docs: $(VENV)/ready ## generate the reference pages that come from the code
	@$(PY) docs/generate.py

simulate: $(VENV)/ready ## seeded clusters under faults in virtual time (SEEDS=n MIX=name JOBS=processes; SEED=s for one and its story, SHRINK=1 for its shortest trace)
	@$(PY) -m orchestrix_raft.simulation $(if $(SEED),--seed $(SEED),--seeds $(SEEDS)) $(if $(MIX),--mix $(MIX)) $(if $(JOBS),--jobs $(JOBS)) $(if $(SHRINK),--shrink) $(if $(CUT),--cut '$(CUT)')

chaos: $(VENV)/ready ## real processes under every fault at random, and exact accounts (MINUTES=n SEED=s NETWORK=loopback)
	@$(PY) -m tests.chaos --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) $(if $(NETWORK),--network $(NETWORK))

mutants: $(VENV)/ready ## deliberate faults in the core, and what notices each: all must be killed (WORDS="machine/jobs storage" for some)
	@$(PY) -m tests.mutants $(WORDS)

fuzz: .venv-fuzz/ready ## hostile input, guided by what it reaches, for all that reads any (MINUTES=n TARGET=name)
	@.venv-fuzz/bin/python -m tests.fuzz --minutes $(MINUTES) $(if $(TARGET),--target $(TARGET))

prove-A: $(VENV)/ready ## the promises of the first milestone: real processes, every rule of the engine, 500 seeds
	@$(PY) -m pytest -s tests/cluster tests/prove/test_full_stop.py tests/prove/test_leader_kills.py tests/prove/test_rejoin.py tests/simulation/raft
	@$(PY) -m orchestrix_raft.simulation --seeds 500

prove-B: $(VENV)/ready ## time: every zone and change of clocks from 1970 to 2037; slots while leaders die (some 20 minutes)
	@$(PY) -m pytest -s tests/prove/test_schedule_kills.py tests/prove/test_timetable.py

prove-C: $(VENV)/ready ## operating: rolling restarts, lost workers, partitions, members, backups, a death at every step of a change, 100 seeds (some 40 minutes)
	@$(PY) -m pytest -s -m "" tests/prove/test_rolling_restart.py tests/prove/test_lost_workers.py tests/cluster/test_partitions.py tests/cluster/test_members.py tests/cluster/test_drain.py tests/cluster/test_backup.py tests/cluster/test_bad_disks.py tests/cluster/test_chaos.py tests/cluster/test_old_nodes.py tests/cluster/test_rebalancing.py tests/cluster/test_damaged_transfers.py tests/cluster/test_learned_members.py tests/simulation/test_changes.py
	@for mix in drains members disks; do $(PY) -m orchestrix_raft.simulation --seeds 100 --mix $$mix || exit 1; done

lock: ## resolve the newest versions of all dependencies into requirements.lock
	@rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	@.venv-lock/bin/python $(PIP) install --upgrade pip && .venv-lock/bin/python $(PIP) install --group dev .
	@.venv-lock/bin/python -m pip freeze --all --exclude pip --exclude orchestrix-raft | sed "s/^uvloop==.*/&; sys_platform != 'win32'/" > requirements.lock
	@rm -rf .venv-lock && touch requirements.lock

clean: ## remove the environment, caches and build results
	@test ! -e $(VENV) || test -e $(VENV)/made-by-make -o -e $(VENV)/ready || { echo "$(VENV) stays: make did not make it" >&2; exit 1; }
	@rm -rf $(VENV) .venv-lock .venv-fuzz .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist

# An environment that make did not make is somebody's own: it is neither changed nor removed.
$(VENV)/ready: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "no Python >= 3.11 found; name one: make PYTHON=/path/to/python3 ..." >&2; exit 1; }
	@test ! -e $(VENV) || test -e $(VENV)/made-by-make -o -e $@ || { echo "$(VENV) is there, and make did not make it: move it away, or let make have another: make VENV=.venv-make ..." >&2; exit 1; }
	@echo "installing into $(VENV) what requirements.lock lists; a minute or two, once"
	@rm -rf $(VENV) && $(PYTHON) -m venv $(VENV) && touch $(VENV)/made-by-make
	@$(PY) $(PIP) install -r requirements.lock && $(PY) $(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# The fuzzer has wheels for some versions of CPython only, so nothing else depends on it.
.venv-fuzz/ready: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "no Python >= 3.11 found; name one: make PYTHON=/path/to/python3 ..." >&2; exit 1; }
	@echo "installing into .venv-fuzz what the fuzzer needs; a minute or two, once"
	@rm -rf .venv-fuzz && $(PYTHON) -m venv .venv-fuzz
	@.venv-fuzz/bin/python $(PIP) install --upgrade pip && .venv-fuzz/bin/python $(PIP) install --constraint requirements.lock .
	@.venv-fuzz/bin/python $(PIP) install --only-binary atheris --group fuzz 2>/dev/null || { echo "atheris, the fuzzer, cannot be installed for $(PYTHON): name another, such as make fuzz PYTHON=python3.11" >&2; exit 1; }
	@touch $@
