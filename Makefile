# make walk    a new service, its first commit, and that commit in production on this machine, as does make alone
#              NAME="Parcel Office": its name, without quotes in it; INDEX=devpi: through a devpi of its own
# make stop    stop that service, and that devpi
# make test    everything the template promises, proved
# make bench   the figures, each against a yardstick
# make help    this

PYTHON ?= python3
NAME ?= Hello Delivery
DIR ?= build/$(shell printf %s "$(NAME)" | tr 'A-Z' 'a-z' | tr -cs 'a-z0-9' '-' | sed 's/^-//;s/-$$//')
INDEX ?=
DEVPI := build/devpi
# How many of the tests' environments run at a time; one shows all that it says: JOBS=1
JOBS ?= auto
BIN := $(CURDIR)/.venv/bin
# A fresh machine's git does not know who commits.
IDENTITY = $(shell git config user.email >/dev/null || echo -c user.name=$(shell id -un) -c user.email=$(shell id -un)@localhost)

.PHONY: walk stop test bench help

walk: .venv/complete
	@test -z "$(filter-out devpi,$(INDEX))" || { echo 'make: INDEX is devpi, or not given' >&2; exit 2; }
	@test -e "$(DIR)/delivery.toml" || $(BIN)/copier copy --quiet --defaults --vcs-ref HEAD \
	  --data project_name="$(NAME)" . "$(DIR)"
	@test -z "$(INDEX)" || $(BIN)/python devpi/local.py start "$(DEVPI)" --for "$(DIR)"
	@cd "$(DIR)" && test -e .git || git init --quiet --initial-branch main
	@cd "$(DIR)" && git rev-parse --quiet --verify HEAD >/dev/null \
	  || { git add --all && git $(IDENTITY) commit --quiet --message Start; }
	@export DELIVERY_INDEX_PASSWORD="$$(cat "$(DEVPI)/password" 2>/dev/null)"; \
	  cd "$(DIR)" && PATH="$(BIN):$$PATH" $(PYTHON) -m delivery walk
	@echo 'It stays up. To stop it: make stop$(if $(filter file,$(origin NAME)),, NAME="$(NAME)")'

stop:
	@test -e "$(DIR)" || { echo 'make: $(DIR) is not there: NAME was never walked' >&2; exit 2; }
	@cd "$(DIR)" && PATH="$(BIN):$$PATH" $(PYTHON) -m delivery stop
	@test ! -e "$(DEVPI)" || $(BIN)/python devpi/local.py stop "$(DEVPI)"

test: .venv/complete
	@$(BIN)/tox run-parallel --parallel $(JOBS) --parallel-no-spinner

bench: .venv/complete
	@$(BIN)/tox run -e bench

help:
	@sed -n '/^#/!q; s/^# //p' Makefile

.venv/complete: requirements/walk.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "walking-skeleton needs Python 3.11 or newer: make PYTHON=python3.11 …")'
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/walk.txt
	@touch $@
