# Packets that are dropped and packets that are not, recorded for the reason they are dropped for.
set -euo pipefail
. /lab/guest/lib.sh
. /lab/guest/recorders.sh

start_ovs
two_hosts
static_arp 1 2
ovs-vsctl set Open_vSwitch . other_config:max-idle=600000
ovs-ofctl -O OpenFlow13 add-meter br0 'meter=1,pktps,bands=type=drop,rate=1'
ovs-ofctl -O OpenFlow13 add-flows br0 - <<'FLOWS'
priority=200,udp,tp_dst=7002,actions=resubmit(,0)
priority=200,udp,tp_dst=7200,actions=move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15],NORMAL
priority=200,udp,tp_dst=7003,actions=meter:1,NORMAL
priority=200,ct_state=-trk,udp,tp_dst=7300,actions=ct(table=1)
table=1,priority=200,udp,tp_dst=7300,actions=drop
FLOWS
in_host 2 ping -q -c 1 -w 10 "$(ip_of 1)" >/dev/null
# Somebody listens on one port.
in_host 2 perl -e 'use Socket; socket(S, PF_INET, SOCK_DGRAM, 0); bind(S, sockaddr_in(7200, INADDR_ANY)) or die; sleep' &
listener=$!
trap 'kill "$listener"' EXIT

refused near --where 'cpu < 64 and reason in {NO_SOKET}'
refused upcalls --sample 0 --where 'reason = NO_SOCKET'

number=$(bpftool btf dump file /sys/kernel/btf/vmlinux | sed -n "s/.*'SKB_DROP_REASON_NO_SOCKET' val=//p")
with socket --where 'reason = NO_SOCKET'
with number -f 'udp port 7100' --where "reason = $number and in_port = p1_l and recirc_id = 0 and len = 100"
if [[ $(uname -r) == 6.1.* ]]; then
    refused none --where 'reason = OVS_DROP_METER'
else
    with meter --where 'reason = ovs_drop_meter'
    with passes --where 'reason in {OVS_DROP_EXPLICIT, OVS_DROP_LAST_ACTION} and in_port = p1_l'
    with second --where 'reason in {OVS_DROP_EXPLICIT, OVS_DROP_LAST_ACTION} and recirc_id != 0'
    with others --where 'reason != NO_SOCKET and in_port = p1_l and reason != OVS_DROP_METER'
fi
wait_for_recorders
for port in 7002 7003 7100 7200 7300; do
    flood_between 1 2 --sport 1000 --dport "$port" --count 20 --rate 100 --seq --size 100
done
flood_between 1 2 --sport-range 2000-2019 --dport 7200 --count 20 --rate 100 --seq --size 100
settle
end_recorders
