# Each action on a real packet, in the daemon's datapath by OpenFlow and in one of our own by its datapath flows. What the
# flows hold, as the daemon's tools print it, is left beside the events.
set -euo pipefail
. /lab/guest/lib.sh

start_ovs
modprobe -a nf_conntrack_ftp nf_conntrack_tftp
# Flows are still there when they are printed.
ovs-vsctl set Open_vSwitch . other_config:max-idle=100000
two_hosts
static_arp 1 2

# What leaves by loopN_a comes back by loopN_b, as another packet with what was pushed on it.
make_bridge br1
for n in 0 1; do
    ip link add "loop${n}_a" type veth peer name "loop${n}_b"
    ip link set "loop${n}_a" up
    ip link set "loop${n}_b" up
    ovs-vsctl add-port br0 "loop${n}_a"
done
ovs-vsctl add-port br0 loop0_b -- add-port br1 loop1_b
ip address add 172.16.0.1/24 dev br1
ip neigh add 172.16.0.2 lladdr 02:00:00:00:00:99 dev br1 nud permanent
ovs-vsctl add-port br0 vx0 -- set interface vx0 type=vxlan options:remote_ip=172.16.0.2 options:key=123
ovs-vsctl -- --id=@sflow create sFlow agent=lo 'targets="127.0.0.1:6343"' sampling=1 -- set bridge br1 sflow=@sflow
ovs-vsctl -- --id=@ipfix create IPFIX 'targets="127.0.0.1:4739"' sampling=2 -- set bridge br1 ipfix=@ipfix
ovs-vsctl -- --id=@br get bridge br0 -- --id=@ipfix create IPFIX 'targets="127.0.0.1:4739"' \
    -- create Flow_Sample_Collector_Set id=1 bridge=@br ipfix=@ipfix
ovs-ofctl -O OpenFlow15 add-meter br0 meter=1,pktps,bands=type=drop,rate=1
ovs-ofctl -O OpenFlow15 add-group br0 \
    group_id=1,type=select,selection_method=dp_hash,bucket=bucket_id=0,output:p2_l,bucket=bucket_id=1,output:p2_l
ovs-ofctl -O OpenFlow15 del-flows br0
ovs-ofctl -O OpenFlow15 add-flows br0 - <<END
priority=0,actions=resubmit(,9)
table=9,in_port=p1_l,actions=output:p2_l
table=9,in_port=p2_l,actions=output:p1_l
priority=50,icmp,actions=ct(table=1)
table=1,priority=50,icmp,actions=ct(commit),ct_clear,resubmit(,9)
priority=60,udp,tp_dst=7,actions=drop
cookie=0x1234abcd,priority=60,udp,tp_dst=9,actions=controller(max_len=100)
priority=60,udp,tp_dst=10,actions=set_field:32->ip_dscp,output:p2_l
priority=60,udp,tp_dst=11,actions=dec_ttl,output:p2_l
priority=60,udp,tp_dst=12,actions=meter:1,output:p2_l
priority=60,udp,tp_dst=13,actions=group:1
priority=60,udp,tp_dst=14,actions=check_pkt_larger(200)->NXM_NX_REG0[0],resubmit(,10)
table=10,priority=1,ip,reg0=0x1/0x1,actions=set_field:9->nw_ttl,output:p2_l
table=10,priority=0,actions=output:p2_l
priority=60,udp,tp_dst=15,actions=sample(probability=65535,collector_set_id=1,obs_domain_id=2,obs_point_id=3),output:p2_l
priority=60,udp,tp_dst=16,actions=ct(commit,zone=9),output:p2_l
priority=60,udp,tp_dst=17,actions=output:vx0
priority=60,in_port=p1_l,udp,tp_dst=18,actions=output:loop1_a
priority=60,in_port=p1_l,udp,tp_dst=20,actions=push_mpls:0x8847,set_field:100->mpls_label,output:loop0_a
priority=70,in_port=loop0_b,mpls,actions=pop_mpls:0x0800,output:p2_l
priority=60,in_port=p1_l,udp,tp_dst=21,actions=encap(nsh(md_type=1)),set_field:0x1234->nsh_spi,set_field:0x11223344->nsh_c1,encap(ethernet),set_field:02:00:00:00:00:0b->eth_dst,output:loop0_a
priority=70,in_port=loop0_b,dl_type=0x894f,nsh_spi=0x1234,actions=decap(),decap(),output:p2_l
priority=60,in_port=p1_l,udp,tp_dst=22,actions=encap(nsh(md_type=1)),set_field:0x1235->nsh_spi,encap(ethernet),set_field:02:00:00:00:00:0b->eth_dst,output:loop0_a
priority=70,in_port=loop0_b,dl_type=0x894f,nsh_spi=0x1235,actions=set_field:0x77->nsh_c1,output:p2_l
END
ovs-ofctl add-flow br1 priority=0,actions=LOCAL

# Besides the daemon's, one of our own: with flows of every kind that its tools can write.
own_datapath
in_host 5 sysctl -qw net.ipv6.conf.p5_r.disable_ipv6=0
ip -n ns5 address add "$(ip_of 5)/24" dev p5_r
ip -n ns5 address add fd00::5/64 dev p5_r nodad

flows=0
# usage: own_flow MATCH ACTIONS: with the flow's place as its UFID
own_flow() {
    flows=$((flows + 1))
    # The newest action is not in the oldest kernel.
    [[ $2 == psample* && $(uname -r) == 6.1.* ]] ||
        printf 'add ufid:%08x-0000-0000-0000-000000000001,%s %s\n' "$flows" "$1" "$2" >>/tmp/own-flows
}

udp=0
while IFS= read -r actions; do
    udp=$((udp + 1))
    own_flow "recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(proto=17,frag=no),udp(dst=$udp)" "$actions"
done <<'END'
set(eth(src=02:00:00:00:00:aa,dst=02:00:00:00:00:06)),2
set(ipv4(tos=0x20/0xfc,ttl=33)),set(ipv4(src=10.0.0.0/255.0.0.0)),2
set(udp(src=7,dst=8)),set(udp(dst=9/0xff)),2
set(skb_mark(0x12/0xff)),set(skb_priority(0x3)),set(skb_mark(0)),2
push_vlan(vid=5,pcp=3),2
push_vlan(tpid=0x88a8,vid=6,pcp=1),pop_vlan,2
ct(commit,zone=5,mark=0x1/0xff,label=0x10/0xff,nat(src=10.0.0.1-10.0.0.9:1000-2000,random)),2
ct(zone=7),recirc(85)
ct(force_commit,nat(dst=10.1.0.1,persistent,hash)),2
ct(commit,zone=3,helper=tftp,label=0xabcdef0123456789abcdef0123456789,mark=0xffffffff),2
ct(commit,zone=6,timeout=lab_tp),2
ct(zone=8,nat),ct_clear,2
trunc(60),2
clone(push_vlan(vid=9,pcp=1),set(ipv4(ttl=3)),2),2
sample(sample=100.0%,actions(2)),2
sample(sample=12.5%,actions(userspace(pid=5,ipfix(output_port=2)))),2
check_pkt_len(size=70,gt(set(ipv4(ttl=3)),2),le(drop))
check_pkt_len(size=100,gt(drop),le(clone(push_vlan(vid=9,pcp=1),2),2))
userspace(pid=5,controller(reason=1,dont_send=1,continuation=1,recirc_id=8,rule_cookie=0x77,controller_id=3,max_len=65535)),2
userspace(pid=5,sFlow(vid=5,pcp=2,output=7),actions),2
userspace(pid=5,flow_sample(probability=65535,collector_set_id=1,obs_domain_id=2,obs_point_id=3,output_port=2,egress)),2
userspace(pid=5,userdata(c0ffee0000000000),tunnel_out_port=2),2
add_mpls(label=100,tc=5,ttl=64,bos=1,eth_type=0x8847),2
push_nsh(flags=0,ttl=63,mdtype=1,np=3,spi=0x5,si=255,c1=0x1,c2=0x2,c3=0x3,c4=0x4),2
push_nsh(flags=0,ttl=63,mdtype=2,np=3,spi=0x5,si=255,md2=0x10203040),2
set(tunnel(tun_id=0x7b,src=172.31.0.1,dst=172.31.1.1,tos=0x4,ttl=64,tp_src=5,tp_dst=4789,flags(df|csum|key))),2
set(tunnel(ipv6_src=fd00::1,ipv6_dst=fd00::2,ttl=64,flags(0))),2
clone(2,clone(2,clone(ct(commit,zone=4),2))),2
meter(1),2
psample(group=12,cookie=0x0102),2
set(tunnel(tun_id=0x7b,dst=172.31.1.1,ttl=64,tp_dst=6081,geneve({class=0x102,type=0x3,len=4,0xa}),flags(key))),2
END
own_flow 'recirc_id(85),in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)' 'set(ipv4(ttl=9)),2'
own_flow 'in_port(1),eth(),eth_type(0x0800),ipv4(proto=6,frag=no),tcp(dst=1),tcp_flags(0/0)' 'set(tcp(src=7,dst=8)),set(tcp(dst=9/0xff)),2'
own_flow 'in_port(1),eth(),eth_type(0x0800),ipv4(proto=6,frag=no),tcp(dst=2),tcp_flags(0/0)' 'ct(commit,helper=ftp),2'
own_flow 'in_port(1),eth(),eth_type(0x86dd),ipv6(dst=fd00::a,proto=58,frag=no),icmpv6()' \
    'set(ipv6(src=fd00::1,dst=fd00::99,label=0x9,tclass=0x4,hlimit=9)),2'
own_flow 'in_port(1),eth(),eth_type(0x86dd),ipv6(dst=fd00::b,proto=58,frag=no),icmpv6()' \
    'ct(commit,nat(src=fd00::1-fd00::9)),2'
ovs-dpctl add-flows system@own /tmp/own-flows

ovscope record -o /out/actions.mcap --ask 0 2>/out/record.err &
recorder=$!
trap 'kill -9 "$recorder" 2>/dev/null || true' EXIT
wait_for 'grep -q "^recording" /out/record.err' 60

# Packets are handled by the daemon with bottom halves on: one direction at a time.
in_host 1 ping -q -c 2 -i 0.3 -W 5 "$(ip_of 2)"
for port in 7 9 10 11 12 13 14 15 16 17 18 20 21 22; do
    flood_between 1 2 --sport 5000 --dport "$port" --count 6 --rate 12
done
# Each side of the loop then asks for the other one's health, by packets that the daemon handles itself.
ovs-vsctl set interface loop0_a cfm_mpid=1 other_config:cfm_interval=100 \
    -- set interface loop0_b cfm_mpid=2 other_config:cfm_interval=100

in_host 5 bash -c ". /lab/guest/lib.sh
    in_host() { shift; \"\$@\"; }
    own() { flood_between 5 6 --sport 5000 --count 1 --rate 10 --size 80 \"\$@\"; }
    for port in {1..$udp}; do own --dport \$port; done
    for port in 1 2; do own --proto tcp --dport \$port; done"
for host in a b; do
    ip -n ns5 neigh replace "fd00::$host" lladdr "$(mac_of 6)" dev p5_r nud permanent
    in_host 5 ping -q -6 -c 1 -W 1 "fd00::$host" || true
done
# Some more of those, which are action upcalls as soon as there is a flow for them.
wait_for '[[ $(ovs-dpctl dump-flows system@ovs-system) == *"slow_path(cfm)"* ]]'
sleep 1
{
    ovs-dpctl dump-flows -m --no-names system@own
    ovs-dpctl dump-flows -m --no-names system@ovs-system
} >/out/flows.txt
kill -INT "$recorder"
wait "$recorder"
ovscope export /out/actions.mcap >/out/actions.jsonl
