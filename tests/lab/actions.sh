# Each action on a real packet: conntrack and recirculation, a drop, a packet for the controller, a changed header.
set -euo pipefail
. /lab/guest/lib.sh

start_ovs
two_hosts
static_arp 1 2
ovs-ofctl del-flows br0
ovs-ofctl add-flows br0 - <<END
priority=0,actions=NORMAL
priority=50,icmp,actions=ct(table=1)
table=1,priority=50,icmp,actions=ct(commit),NORMAL
priority=60,udp,tp_dst=7,actions=drop
priority=60,udp,tp_dst=9,actions=controller
priority=60,udp,tp_dst=10,actions=mod_nw_tos:32,NORMAL
END
ovscope record -o /out/actions.mcap --ask 0 2>/out/record.err &
recorder=$!
wait_for 'grep -q "^recording" /out/record.err' 60
in_host 1 ping -c 2 -i 0.5 -W 5 "$(ip_of 2)"
for port in 7 9 10; do flood_between 1 2 --sport 5000 --dport $port --count 6 --rate 6; done
settle
kill -INT "$recorder"
wait "$recorder"
ovscope export /out/actions.mcap >/out/actions.jsonl
ovs-appctl dpctl/dump-flows
