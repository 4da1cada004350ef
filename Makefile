# make run       builds ovscope and opens its live screen
# make test      builds and runs every test, those on real kernels included
# make fuzz      a million runs of every fuzz target
# make verdicts  provokes every cause that has a verdict, and writes the recordings in tests/verdicts anew; KERNEL=7.3 only checks
# make bench     measures everything that has a goal, and writes docs/benchmarks.md (hours; benches/run says how to do a part)
# make pictures  makes the pictures in docs/pictures from the recordings
# make package   builds the binary for every userland from Debian 11 on, and a .deb of it
# make package-test  installs, uses and purges that in clean Debian 11, 12 and 13, runs its service, builds and runs the container
#                image (needs root)
# make audit     checks the dependencies: vulnerabilities, licences, origins; ADVISORIES=DIR: a clone of the list of the former
#
# Needs Debian 12 or later with Rust, gcc and make; everything else it installs itself (see deps and lab/build).

SHELL := /bin/bash
CARGO ?= cargo
PACKAGES := clang libelf-dev zlib1g-dev pkg-config
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# What makes trees of other Debians, reads binaries, and builds images.
PACKAGE_TOOLS := mmdebstrap binutils dpkg debian-archive-keyring
IMAGE_TOOLS := buildah

.PHONY: help run build test fuzz verdicts bench pictures package package-test audit deps lint demo clean

help:
	@sed -n 's/^# make /  make /p' Makefile

# Compilers and libraries for the build. Asked of dpkg first, so that a second run needs neither root nor network.
deps:
	@missing=; for p in $(PACKAGES) $(MORE_PACKAGES); do \
	    dpkg-query -W -f '$${Status}' "$$p" 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; \
	done; \
	if [ -n "$$missing" ]; then \
	    echo "make: installing$$missing with apt"; \
	    $(SUDO) apt-get update -q && \
	    $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing; \
	fi

build: deps
	@echo "make: building ovscope (some minutes the first time)"
	$(CARGO) build --release --locked

# On a host with an openvswitch datapath on that one, anywhere else in a virtual machine with a real one under traffic.
run: build
	@if [ -d /sys/module/openvswitch ]; then \
	    exec $(SUDO) target/release/ovscope; \
	else \
	    echo "make: no openvswitch datapath on this host: opening one in a virtual machine"; \
	    exec lab/live --bin target/release/ovscope -- ovscope; \
	fi

demo: build
	target/release/ovscope demo

lint: deps
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

test: lint
	lab/build
	$(CARGO) test --locked --no-fail-fast -- --include-ignored --skip with_ovs::

fuzz: deps
	fuzz/run

# Detail is bounded, so that the recordings stay small. Those in tests/verdicts are of one kernel.
KERNEL ?= 6.12
verdicts: build
	lab/build
	lab/run --timeout 3000 --kernel $(KERNEL) --bin target/release/ovscope --out target/verdicts/$(KERNEL) tests/lab/verdicts.sh
	OVSCOPE_VERDICTS=target/verdicts/$(KERNEL) $(CARGO) test --locked --test verdicts
	[ $(KERNEL) != 6.12 ] || cp target/verdicts/$(KERNEL)/*.mcap tests/verdicts/

# Each part's words go to target/bench, and the page is made of them.
bench: MORE_PACKAGES := python3
bench: build
	lab/build
	benches/run

pictures: MORE_PACKAGES := tmux python3-pil fonts-dejavu-core
pictures: build
	docs/pictures/make target/release/ovscope

package: MORE_PACKAGES := $(PACKAGE_TOOLS)
package-test: MORE_PACKAGES := $(PACKAGE_TOOLS) $(IMAGE_TOOLS)
package: deps
	packaging/build
	packaging/deb

package-test: deps
	$(SUDO) packaging/test
	$(SUDO) packaging/service-test
	$(SUDO) packaging/container-test

# The list of vulnerabilities is fetched by cargo-deny itself, from where it is kept or from a clone that is named.
ADVISORY_DB := https://github.com/RustSec/advisory-db
audit: export GIT_CONFIG_COUNT := $(if $(ADVISORIES),1,0)
audit: export GIT_CONFIG_KEY_0 := url.$(abspath $(ADVISORIES)).insteadOf
audit: export GIT_CONFIG_VALUE_0 := $(ADVISORY_DB)
audit:
	@$(CARGO) deny --version >/dev/null 2>&1 || { echo "make: cargo-deny is needed: cargo install --locked cargo-deny"; exit 1; }
	$(CARGO) deny --locked check

clean:
	$(CARGO) clean
