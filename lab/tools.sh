# The programs that the lab itself needs on this machine, installed with apt where they are missing.
# shellcheck shell=bash

# QEMU before 8 corrupts the guest's flags under multi-threaded emulation: random guest panics.
LAB_QEMU_MIN=8

qemu_is_good() {
    local version
    version=$(qemu-system-x86_64 --version 2>/dev/null) || return 1
    [[ $version =~ version\ ([0-9]+)\. ]] && ((BASH_REMATCH[1] >= LAB_QEMU_MIN))
}

# prints the packages whose program is not there
missing_tools() {
    local pair
    for pair in mmdebstrap:mmdebstrap mke2fs:e2fsprogs depmod:kmod xz:xz-utils zstd:zstd cpio:cpio \
        gcc:gcc ssh:openssh-client ssh-keygen:openssh-client flock:util-linux ss:iproute2; do
        command -v "${pair%%:*}" >/dev/null || printf '%s\n' "${pair##*:}"
    done | sort -u
    [[ -e $LAB_KEYRING ]] || echo debian-archive-keyring
    [[ -e /usr/include/linux/if_packet.h ]] || echo linux-libc-dev
    [[ -e /usr/lib/x86_64-linux-gnu/libc.a ]] || echo libc6-dev
}

# The suite that has a good QEMU: this release's own, or its backports.
install_qemu() {
    local suite
    suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
    [[ $suite == bookworm ]] && suite+=-backports
    mkdir -p "$LAB_DIR/apt/$suite"
    # The backport needs libraries of its own release too.
    sources_for "${suite%-backports}" "$suite" | sort -u >"$LAB_DIR/apt/$suite/sources.list"
    suite_apt "$suite" apt-get update
    suite_apt "$suite" apt-get install -y --no-install-recommends -t "$suite" qemu-system-x86
    qemu_is_good
}

install_packages() {
    apt-get update -q
    apt-get install -y -q --no-install-recommends "$@"
}

ensure_tools() {
    local missing
    mapfile -t missing < <(missing_tools)
    if ((${#missing[@]})); then
        need_root "to install ${missing[*]}"
        timed "apt: ${missing[*]}" tools install_packages "${missing[@]}"
    fi
    if ! qemu_is_good; then
        need_root "to install qemu-system-x86"
        timed "apt: qemu-system-x86 (Debian 12: from its backports)" qemu install_qemu
    fi
}

need_root() { ((EUID == 0)) || die "be root $1"; }
