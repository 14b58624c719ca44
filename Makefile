# SPDX-License-Identifier: Apache-2.0
# setup: Debian packages that are missing   build: debug build        demo: the whole road on real files
# test: every test, the booted systemd too  check: the style gates    tsan, asan: every test under a sanitizer
# crash: kills dld at every write, cuts its power 100 times
# fuzz: every parser of foreign bytes, MINUTES=1 each
# soak: downloads over faults drawn at random, with kills (JOBS=200000 KILLS=50 SEED=1)
# bench: measures dld against its peers (as root; an hour), writes docs/benchmarks.md; bench-B3: one work of it
# install, uninstall: PREFIX=/usr/local DESTDIR= (see scripts/install)

SWIFT ?= swift
PREFIX ?= /usr/local
MINUTES ?= 1
DESTDIR ?=
BIN_DIR ?=
export PREFIX DESTDIR BIN_DIR

.PHONY: all setup build demo test tsan asan crash soak check fuzz bench install uninstall clean
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

asan: setup
	@scripts/test --asan

crash: build
	@scripts/crash

fuzz: setup
	@scripts/fuzz $(MINUTES)

JOBS ?= 200000
KILLS ?= 50
SEED ?= 1
soak: setup
	$(SWIFT) build -c release
	@scripts/soak --release --jobs $(JOBS) --kills $(KILLS) --seed $(SEED)

# Built as scripts/install builds it. With a higher priority: else it measures whatever else runs.
BENCH = $(SWIFT) build -c release --static-swift-stdlib && nice -n -10 Benchmarks/run
bench: setup
	$(BENCH)

bench-%: setup
	$(BENCH) $*

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
