# Debian packages for the lab: tools for this machine, and other suites without touching its own sources.
# shellcheck shell=bash

LAB_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# The mirror is the one that apt uses already: it is the one that can be reached from here.
debian_mirror() {
    local codename site
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    site=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' "Release: $codename" |
        head -n 1)
    [[ -n $site ]] || {
        echo "apt knows no Debian mirror for '$codename' (apt-get indextargets)" >&2
        return 1
    }
    printf '%s\n' "$site"
}

# usage: sources_for SUITE...: sources.list lines for them
sources_for() {
    local mirror suite
    mirror=$(debian_mirror) || return
    for suite; do
        printf 'deb [signed-by=%s] %s %s main\n' "$LAB_KEYRING" "$mirror" "$suite"
    done
}

# apt with the sources of one suite only, its lists in the lab's own directory.
# usage: suite_apt SUITE COMMAND ARG...
suite_apt() {
    local suite=$1 command=$2 dir=$LAB_DIR/apt/$1
    shift 2
    mkdir -p "$dir/lists/partial"
    "$command" -q \
        -o APT::Sandbox::User=root -o Acquire::Retries=3 \
        -o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$dir/lists" \
        -o Dir::Cache::pkgcache="$dir/pkgcache.bin" -o Dir::Cache::srcpkgcache="$dir/srcpkgcache.bin" \
        "$@"
}

suite_update() {
    mkdir -p "$LAB_DIR/apt/$1"
    sources_for "$1" >"$LAB_DIR/apt/$1/sources.list"
    suite_apt "$1" apt-get update
}

# This machine's way to the mirror (a proxy, a date check) in apt.conf form, for a bootstrap that
# reads no configuration of the host.
acquire_conf() {
    apt-config dump --no-empty --format '%F "%v";%n' Acquire |
        grep -E '^Acquire::(http|https|Check|Retries)' || true
}
