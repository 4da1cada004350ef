# A second ovs-vswitchd with USDT probes, from Debian's own source package: its stock build has none.
# shellcheck shell=bash

make_usdt() {
    echo "not yet" >&2
    return 1
}
