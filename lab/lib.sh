# Shared by the host side of the lab: where things are kept, messages, locks, steps with content stamps.
# shellcheck shell=bash

LAB_SRC=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LAB_DIR=${OVSCOPE_LAB_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/ovscope-lab}
LAB_KERNELS=(6.12 6.1 7.3)
LAB_DAEMONS=(stock usdt)

# The status of lab/run when the guest never told one: it panicked, or time ran out.
LAB_LOST=125

say() { printf 'lab: %s\n' "$*" >&2; }

die() {
    say "$*"
    exit 2
}

member() {
    local wanted=$1 one
    shift
    for one; do [[ $one == "$wanted" ]] && return 0; done
    return 1
}

need_kernel() { member "$1" "${LAB_KERNELS[@]}" || die "no kernel '$1' here: choose one of ${LAB_KERNELS[*]}"; }
need_daemon() { member "$1" "${LAB_DAEMONS[@]}" || die "no daemon '$1' here: choose one of ${LAB_DAEMONS[*]}"; }

make_lab_dir() {
    (umask 077 && mkdir -p "$LAB_DIR")
    mkdir -p "$LAB_DIR"/{apt,img/.stamp,log,vm}
}

# usage: private_dir KIND: a directory of this process for one guest. Its name holds the owner's pid,
# so that what a killed owner left behind is cleared by the next.
private_dir() {
    local dir pid
    for dir in "$LAB_DIR/vm/$1".*; do
        pid=${dir##*/"$1".}
        pid=${pid%%.*}
        [[ ! -d $dir || -e /proc/$pid ]] || rm -rf "$dir"
    done
    (umask 077 && mktemp -d "$LAB_DIR/vm/$1.$$.XXXXXX")
}

hash_of() { sha256sum | cut -c1-32; }

# usage: is_fresh NAME INPUTS: was NAME made by this very recipe from these inputs?
is_fresh() {
    local stamp=
    { read -r stamp <"$LAB_DIR/img/.stamp/$1"; } 2>/dev/null || return 1
    [[ $stamp == "$(recipe_hash "$1" "$2")" ]]
}

# A recipe is the text of the function make_NAME; changing it, or what it reads, makes the product stale.
recipe_hash() {
    local fn=${1%%:*}
    { declare -f "make_$fn"; printf '%s\n' "$1" "$2"; } | hash_of
}

# usage: step NAME[:ARG] WHAT INPUTS: run make_NAME ARG unless its product is fresh.
# The product appears under its own name only when it is whole, and its stamp after it.
# Never call it in a condition: bash would switch errexit off inside the recipe.
step() {
    local name=$1 what=$2 inputs=$3 arg=
    [[ $name == *:* ]] && arg=${name#*:}
    is_fresh "$name" "$inputs" && return 0
    rm -f "$LAB_DIR/img/.stamp/$name"
    timed "$what" "${name//:/-}" "make_${name%%:*}" "$arg"
    recipe_hash "$name" "$inputs" >"$LAB_DIR/img/.stamp/$name"
}

# usage: timed WHAT LOG FUNCTION ARG...: one progress line with the time it took; the log if it fails
timed() {
    local what=$1 log=$LAB_DIR/log/$2.log started=$EPOCHREALTIME pid status=0
    shift 2
    printf 'lab: %-60s' "$what ..." >&2
    (set -euo pipefail; "$@") >"$log" 2>&1 </dev/null &
    pid=$!
    wait "$pid" || status=$?
    if ((status != 0)); then
        printf ' failed\n' >&2
        tail -n 20 "$log" >&2
        say "the whole log: $log"
        exit 1
    fi
    printf ' %s s\n' "$(seconds_since "$started")" >&2
}

seconds_since() {
    local now=$EPOCHREALTIME
    local us=$((${now/[.,]/} - ${1/[.,]/}))
    printf '%d.%d' $((us / 1000000)) $((us % 1000000 / 100000))
}
