# The guest's root disk: Debian trixie with its stock Open vSwitch 3.5 and the tools that tests use.
# shellcheck shell=bash

LAB_ROOT_SUITE=trixie
LAB_ROOT_PACKAGES=openvswitch-switch,iproute2,iputils-ping,kmod,procps,ethtool,busybox-static
LAB_ROOT_PACKAGES+=,bpftool,bpftrace,tcpdump,conntrack,dropbear-bin,ncurses-base

# usage: bootstrap DIR PACKAGES: a trixie tree, without documentation
bootstrap() {
    local conf
    conf=$(mktemp "$LAB_DIR/tmp/apt.XXXXXX")
    acquire_conf >"$conf"
    sources_for "$LAB_ROOT_SUITE" |
        mmdebstrap --mode=root --variant=minbase --include="$2" --aptopt="$conf" \
            --dpkgopt='path-exclude=/usr/share/man/*' \
            --dpkgopt='path-exclude=/usr/share/doc/*' \
            --dpkgopt='path-exclude=/usr/share/locale/*' \
            "$LAB_ROOT_SUITE" "$1" -
}

# usage: disk_of DIR IMG SPARE_MB: an ext4 disk with what is in DIR
disk_of() {
    local mb
    mb=$(du -sm --apparent-size "$1" | cut -f1)
    mke2fs -q -t ext4 -O ^has_journal -m 0 -d "$1" "$2" "$((mb + mb / 4 + $3))M"
}

make_root() {
    local tree=$LAB_DIR/tmp/root
    bootstrap "$tree" "$LAB_ROOT_PACKAGES"
    rm -rf "$tree"/var/lib/apt/lists/* "$tree"/var/cache/apt/*
    # The mount points that the guest's first script needs.
    mkdir -p "$tree"/{lab,out} "$tree/usr/lib/modules"
    echo ovscope-lab >"$tree/etc/hostname"
    printf '127.0.0.1 localhost ovscope-lab\n' >"$tree/etc/hosts"
    # Root without a password on a machine whose only way in is a key on the loopback.
    sed -i 's/^root:[^:]*:/root::/' "$tree/etc/shadow"
    cp "$tree/usr/bin/busybox" "$LAB_DIR/tmp/busybox"
    disk_of "$tree" "$LAB_DIR/tmp/root.img" 256
    rm -rf --one-file-system "$tree"
    mv "$LAB_DIR/tmp/busybox" "$LAB_DIR/img/busybox"
    mv "$LAB_DIR/tmp/root.img" "$LAB_DIR/img/root.img"
}
