# A second ovs-vswitchd with USDT probes, from Debian's own source package: its stock build has none.
# shellcheck shell=bash

LAB_USDT_PACKAGES=openvswitch-source,gcc,make,libc6-dev,systemtap-sdt-dev,python3,autoconf,automake
LAB_USDT_PACKAGES+=,libtool,binutils,libnuma-dev,libcap-ng-dev,libunbound-dev

make_usdt() {
    local tree=$LAB_DIR/tmp/usdt out=$LAB_DIR/tmp/ovs-vswitchd-usdt
    bootstrap "$tree" "$LAB_USDT_PACKAGES"
    install -m 755 "$LAB_SRC/usdt-in-chroot" "$tree/build"
    chroot "$tree" /build
    cp "$tree/ovs-vswitchd" "$out"
    rm -rf --one-file-system "$tree"
    mv "$out" "$LAB_DIR/img/ovs-vswitchd-usdt"
}
