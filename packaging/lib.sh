# Shared by the scripts that make and test the package.
# shellcheck shell=bash

SRC=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
WORK=$SRC/target/package
ARCH=$(dpkg --print-architecture)
# shellcheck source=lab/apt.sh
. "$SRC/lab/apt.sh"

# The oldest userland that the binary runs on: Debian 11, whose C library is 2.31. Ubuntu 20.04 has the same one,
# RHEL 9 has 2.34.
FLOOR_SUITE=bullseye
FLOOR_GLIBC=2.31

say() { printf 'package: %s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

# usage: need COMMAND PACKAGE: says how to get a tool that is missing
need() { command -v "$1" >/dev/null || die "$1 is needed: apt install $2"; }

# usage: tree SUITE DIR ARG...: a tree of this suite, made by mmdebstrap with these arguments
tree() {
    local suite=$1 dir=$2 conf
    shift 2
    need mmdebstrap mmdebstrap
    conf=$WORK/apt.conf
    acquire_conf >"$conf"
    sources_for "$suite" | mmdebstrap --quiet --aptopt="$conf" "$@" "$suite" "$dir" -
}

version() { sed -n '/^\[package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' "$SRC/Cargo.toml"; }
