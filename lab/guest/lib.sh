# Sourced by scenarios: Open vSwitch by hand, network namespaces as hosts, traffic, waiting.
# shellcheck shell=bash

OVS_RUN=/run/openvswitch
FLOOD=/lab/bin/flood

say() { printf '%s\n' "$*"; }

fail() {
    printf 'FAILED: %s\n' "$*"
    exit 1
}

# usage: wait_for CONDITION [SECONDS]: evaluates it until it holds
wait_for() {
    local condition=$1 deadline=$((SECONDS + ${2:-20}))
    until eval "$condition" >/dev/null 2>&1; do
        ((SECONDS <= deadline)) || fail "in ${2:-20} s it never held: $condition"
        sleep 0.05
    done
}

# usage: start_ovs [stock|usdt]: database and daemon; the kind defaults to the run's --ovs
start_ovs() {
    OVS_KIND=${1:-${LAB_OVS:-stock}}
    modprobe openvswitch
    quiet_stack
    mkdir -p "$OVS_RUN"
    if [[ ! -e $OVS_RUN/conf.db ]]; then
        ovsdb-tool create "$OVS_RUN/conf.db" /usr/share/openvswitch/vswitch.ovsschema
    fi
    ovsdb-server "$OVS_RUN/conf.db" --remote="punix:$OVS_RUN/db.sock" \
        -vconsole:off --pidfile --detach --no-chdir --log-file="$OVS_RUN/ovsdb-server.log"
    ovs-vsctl --no-wait init
    start_daemon
}

# Both builds are called ovs-vswitchd: tools look for that name.
daemon_path() {
    case $OVS_KIND in
    usdt) echo /lab/usdt/ovs-vswitchd ;;
    *) echo /usr/sbin/ovs-vswitchd ;;
    esac
}

start_daemon() {
    "$(daemon_path)" -vconsole:off --pidfile --detach --no-chdir \
        --log-file="$OVS_RUN/ovs-vswitchd.log"
}

daemon_pid() { cat "$OVS_RUN/ovs-vswitchd.pid"; }

# An orderly end: the datapath's flows go with it.
stop_daemon() {
    local pid
    pid=$(daemon_pid)
    ovs-appctl -t ovs-vswitchd exit
    wait_for "! kill -0 $pid"
}

# The datapath stays, with nobody to receive its upcalls.
kill_daemon() {
    local pid
    pid=$(daemon_pid)
    kill -9 "$pid"
    wait_for "! kill -0 $pid"
}

restart_daemon() {
    stop_daemon
    start_daemon
}

# usage: make_bridge NAME
make_bridge() {
    ovs-vsctl --may-exist add-br "$1"
    ip link set "$1" up
}

mac_of() { printf '02:00:00:00:00:%02x' "$1"; }
ip_of() { printf '172.200.0.%d' "$1"; }

# Nobody should speak unasked: no IPv6 on what is made from here on, and no ICMP error for each UDP
# packet that nobody listens for. (Before 6.13 that limit is one for all namespaces.)
quiet_stack() {
    sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
    sysctl -eqw net.ipv4.icmp_msgs_per_sec=0 net.ipv4.icmp_msgs_burst=0
}

# usage: add_host N [BRIDGE]: namespace nsN with pN_r, address 172.200.0.N/24; pN_l is on the bridge
add_host() {
    local n=$1 bridge=${2:-br0} ns=ns$1
    ip netns add "$ns"
    in_host "$n" bash -c "$(declare -f quiet_stack); quiet_stack"
    ip link add "p${n}_l" address "$(printf '0a:00:00:00:00:%02x' "$n")" type veth \
        peer name "p${n}_r" netns "$ns" address "$(mac_of "$n")"
    ip -n "$ns" link set lo up
    ip -n "$ns" address add "$(ip_of "$n")/24" dev "p${n}_r"
    ip -n "$ns" link set "p${n}_r" up
    ip link set "p${n}_l" up
    ovs-vsctl --may-exist add-port "$bridge" "p${n}_l"
}

# usage: static_arp N...: these hosts know each other and never ask
static_arp() {
    local a b
    for a; do
        for b; do
            ((a == b)) || ip -n "ns$a" neigh replace "$(ip_of "$b")" lladdr "$(mac_of "$b")" \
                dev "p${a}_r" nud permanent
        done
    done
}

# usage: in_host N COMMAND...
in_host() {
    local n=$1
    shift
    ip netns exec "ns$n" "$@"
}

# usage: two_hosts: the plain set-up: br0 with hosts 1 and 2
two_hosts() {
    make_bridge br0
    add_host 1
    add_host 2
}

# A datapath that the daemon does not know, with hosts 5 and 6 at its ports 1 and 2.
own_datapath() {
    local n
    ovs-dpctl add-dp own
    for n in 5 6; do
        ip netns add "ns$n"
        in_host "$n" bash -c "$(declare -f quiet_stack); quiet_stack"
        ip link add "p${n}_l" type veth peer name "p${n}_r" netns "ns$n" address "$(mac_of "$n")"
        ip -n "ns$n" link set "p${n}_r" up
        ip link set "p${n}_l" up
        ovs-dpctl add-if own "p${n}_l"
    done
}

# Every UDP source port becomes a flow of its own: the classic storm by an un-wildcarded field.
storm_rule() {
    ovs-ofctl add-flow "${1:-br0}" \
        'priority=100,udp,actions=move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15],NORMAL'
}

# By the daemon's own hand: after dpctl/del-flows it would still believe in its flows, and packets
# would be upcalled and executed without a put until the next revalidation.
flush_flows() { ovs-appctl revalidator/purge; }

# Until the upcalls that are on their way are handled: misses and flows stand still.
settle() {
    local last='' now
    while now=$(ovs-dpctl show | grep -E 'lookups|flows') && [[ $now != "$last" ]]; do
        last=$now
        sleep 0.5
    done
}

# usage: flood_between A B ARG...: UDP from host A to host B with the lab's generator
flood_between() {
    local a=$1 b=$2
    shift 2
    in_host "$a" "$FLOOD" --dev "p${a}_r" --src-mac "$(mac_of "$a")" --dst-mac "$(mac_of "$b")" \
        --src-ip "$(ip_of "$a")" --dst-ip "$(ip_of "$b")" "$@"
}
