# Everything that can go wrong with an upcall, a put or an execute, and every reason to drop that can be provoked.
set -euo pipefail
. /lab/guest/lib.sh

DATAPATH=system@ovs-system
port_no() { ovs-dpctl show "${2:-$DATAPATH}" | sed -n "s/.*port \([0-9]*\): $1\b.*/\1/p"; }
packets() { flood_between 1 2 --rate 500 --seq --size 100 "$@"; }
# usage: datapath_flow add|mod|del DPORT [ACTIONS]: by hand, past the daemon
datapath_flow() {
    local match
    match="in_port($in_port),eth(src=$(mac_of 1),dst=$(mac_of 2)),eth_type(0x0800),ipv4(proto=17,frag=no),udp(dst=$2)"
    ovs-dpctl "$1-flow" "$DATAPATH" "$match" ${3+"$3"} 2>>/out/dpctl.err
}

start_ovs
two_hosts
add_host 3
static_arp 1 2 3
ip -n ns1 link set p1_r mtu 65535
ip link set p1_l mtu 65535
in_host 1 ping -c 1 -w 10 "$(ip_of 2)" >/dev/null
in_port=$(port_no p1_l)
settle

ovscope record -o /out/errors.mcap 2>/out/record.err &
recorder=$!
wait_for 'grep -q "^recording" /out/record.err' 60
# What the kernel itself says of each handler's time: on a CPU, on a run queue, and how often it was given a CPU.
schedstat() {
    local task
    for task in /proc/"$(daemon_pid)"/task/*; do
        [[ $(cat "$task/comm") != handler* ]] || echo "${task##*/} $(cat "$task/schedstat")"
    done
}
schedstat >/out/schedstat-before
ovs-dpctl show >/out/before

# Drops, by what the flows say.
ovs-ofctl -O OpenFlow13 add-meter br0 'meter=1,pktps,bands=type=drop,rate=1'
ovs-appctl dpctl/ct-set-limits zone=7,limit=1
ovs-ofctl -O OpenFlow13 add-flows br0 - <<'FLOWS'
priority=200,udp,tp_dst=7001,actions=drop
priority=200,udp,tp_dst=7002,actions=resubmit(,0)
priority=200,udp,tp_dst=7003,actions=meter:1,NORMAL
priority=200,udp,tp_dst=7004,actions=ct(commit,zone=7),NORMAL
FLOWS
for port in 7001 7002 7003; do packets --dport "$port" --count 20; done
# The one connection that there may be is there before its next packet comes.
packets --sport 5001 --dport 7004 --count 1
settle
for sport_count in 5001:3 5002:4 5003:4; do
    packets --sport "${sport_count%:*}" --dport 7004 --count "${sport_count#*:}"
done
settle

# Too big for a message.
in_host 1 ping -c 1 -w 1 -s 65507 "$(ip_of 2)" >/dev/null || true
# Nobody reads the sockets: they fill.
flush_flows
kill -STOP "$(daemon_pid)"
in_host 1 ping -q -c 400 -i 0.002 -W 1 -s 60000 "$(ip_of 2)" >/dev/null || true
kill -CONT "$(daemon_pid)"
settle
schedstat >/out/schedstat-after
sleep 0.5

# The daemon is gone, its sockets with it.
kill_daemon
packets --dport 11 --count 30
# A datapath that never had one.
ovs-dpctl add-dp system@lonely
ovs-dpctl add-if system@lonely lonely0,type=internal
ovs-dpctl del-if "$DATAPATH" p3_l
ovs-dpctl add-if system@lonely p3_l
in_host 3 ping -c 3 -i 0.1 -w 1 "$(ip_of 1)" >/dev/null || true

# Flows by hand: one that is there already, one that is not; one without actions.
datapath_flow add 7005 ''
datapath_flow add 7005 '' || true
datapath_flow mod 7006 '' || true
datapath_flow del 7006 || true
packets --dport 7005 --count 20

# A packet given back with an action that there is none of, by hand.
perl >/out/perl 2>&1 - "$(cat /sys/class/net/ovs-system/ifindex)" <<'PERL'
use strict;
require '/lab/guest/genl.pl';
my $frame = ("\2" x 12) . "\x08\x00" . ("\0" x 50);
# OVS_PACKET_CMD_EXECUTE: PACKET 1, KEY 2 with IN_PORT 3, ACTIONS 3 with an action of number 99.
my $refused = ask(family('ovs_packet'), 3, 1, pack('l', $ARGV[0]) . attr(1, $frame) . attr(2, attr(3, pack('L', 1))) . attr(3, attr(99, '')));
printf "execute: %d\n", errno($refused);
PERL

sleep 1
ovs-dpctl show >/out/after
kill -INT "$recorder"
wait "$recorder"
ovscope export /out/errors.mcap >/out/errors.jsonl
cat /out/dpctl.err /out/perl
cat /out/before /out/after
