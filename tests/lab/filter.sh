# The same traffic of many kinds, recorded with many filters at once.
set -euo pipefail
. /lab/guest/lib.sh
. /lab/guest/recorders.sh

start_ovs
two_hosts
static_arp 1 2
ovs-vsctl set Open_vSwitch . other_config:max-idle=600000
ovs-ofctl add-flow br0 'priority=100,udp,tp_dst=5002,actions=mod_tp_dst:6002,NORMAL'
for n in 1 2; do
    ip -n ns$n link add link p${n}_r name v$n type vlan id 5
    ip -n ns$n address add 10.5.0.$n/24 dev v$n
    ip -n ns$n link set v$n up
    ip -n ns$n neigh replace 10.5.0.$((3 - n)) lladdr "$(mac_of $((3 - n)))" dev v$n nud permanent
    in_host $n sysctl -qw net.ipv6.conf.p${n}_r.router_solicitations=0 net.ipv6.conf.p${n}_r.accept_dad=0 \
        net.ipv6.conf.p${n}_r.addr_gen_mode=1 net.ipv6.conf.p${n}_r.disable_ipv6=0
    ip -n ns$n address add fd00::$n/64 dev p${n}_r nodad
    ip -n ns$n neigh replace fd00::$((3 - n)) lladdr "$(mac_of $((3 - n)))" dev p${n}_r nud permanent
done

# The tags are put on after the packets were first seen, by the hosts' own devices: before OVS they stand beside the data.
# 20 and 30 UDP, 5 large pings there and back, 4 with a VLAN tag, 3 ARP questions with answers, 6 pings by IPv6.
traffic() {
    flood_between 1 2 --sport 1000 --dport 5001 --count 20 --rate 200
    flood_between 1 2 --sport 1000 --dport 5002 --count 30 --rate 200
    in_host 1 ping -q -c 5 -i 0.02 -s 1000 "$(ip_of 2)"
    in_host 1 ping -q -c 4 -i 0.02 10.5.0.2
    in_host 1 busybox arping -q -c 3 -I p1_r "$(ip_of 2)"
    in_host 1 ping -q -6 -c 6 -i 0.02 fd00::2
} >/dev/null

refused bad-bytes -f 'udp prt 53'
refused bad-field --where 'in_prt = 3'
refused bad-port --where 'cpu < 64 and in_port = p9_l'
refused bad-reason --where 'reason = NO_SOKET'
refused bad-datapath --datapath br9
refused bad-buffer --ring 17
refused bad-ufid --sample 0 --where 'ufid = 00000000-0000-0000-0000-000000000001'

# The flow that most of the first UDP packets hit has the same name each time.
traffic
settle
ufid=$(ovs-dpctl dump-flows -m | grep -F 'dst=5000/0xfffe' | grep -o 'ufid:[0-9a-f-]*')
echo "$ufid" >/out/ufid
with rewritten -f 'udp port 5002'
with mixed -f '(icmp6 and ip6[40] == 128) or greater 1000 or udp[2:2] = 5001 or host 10.5.0.2' --ring 20M
with port --where 'in_port = p2_l and not in_port = 0' --datapath ovs-system
with flow -f 'udp or arp' --where "ufid = $ufid or cmd = action"
with missed --where 'cmd = miss and in_port in {p1_l, 77} and len < 500'
with only --sample 0 -f 'arp or (vlan 5 and icmp)'
wait_for_recorders
flush_flows
traffic
settle
end_recorders
