# SPDX-License-Identifier: Apache-2.0
# setup: Debian packages that are missing   build: debug build        demo: the whole road on real files
# test: every test, the booted systemd too  check: the style gates    tsan: every test under the thread sanitizer
# soak: downloads over faults drawn at random, with kills (JOBS=200000 KILLS=50 SEED=1)
# install, uninstall: PREFIX=/usr/local DESTDIR= (see scripts/install)

SWIFT ?= swift
PREFIX ?= /usr/local
DESTDIR ?=
BIN_DIR ?=
export PREFIX DESTDIR BIN_DIR

.PHONY: all setup build demo test tsan check soak install uninstall clean
all: build

setup:
	@scripts/setup

build: setup
	$(SWIFT) build

demo: build
	@scripts/demo

test: setup
	@scripts/test

tsan: setup
	@scripts/test --tsan

JOBS ?= 200000
KILLS ?= 50
SEED ?= 1
soak: setup
	$(SWIFT) build -c release
	@scripts/soak --release --jobs $(JOBS) --kills $(KILLS) --seed $(SEED)

check: setup
	@scripts/check --self-test
	@scripts/check

# No setup here: installing must not pull in what only tests need. A missing library is named by the build.
install:
	@scripts/install

uninstall:
	@scripts/install --uninstall

clean:
	rm -rf .build
