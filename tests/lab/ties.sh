# What can be mistaken for another: packets of one flow that differ in their length and last bytes, or in their last bytes
# alone, from two CPUs in bursts; flows without executes, executes without flows. Every packet has a number at its end.
set -euo pipefail
. /lab/guest/lib.sh

start_ovs
two_hosts
static_arp 1 2
storm_rule
ovs-ofctl add-flow br0 'priority=110,udp,tp_dst=7,actions=move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15]'
ovs-vsctl set Open_vSwitch . other_config:max-idle=600000
in_host 1 ping -c 1 -w 10 "$(ip_of 2)" >/dev/null
flush_flows
settle
ovscope record -o /root/ties.mcap --ask 0 --event-budget 10000000 2>/out/record.err &
recorder=$!
wait_for 'grep -q "^recording" /out/record.err' 100

# usage: both ARG...: from both hosts at the same time, each on a CPU
both() {
    local one
    taskset -c 0 "$BASH" -c ". /lab/guest/lib.sh; flood_between 1 2 $*" &
    one=$!
    taskset -c 1 "$BASH" -c ". /lab/guest/lib.sh; flood_between 2 1 $*"
    wait "$one"
    settle
}
both --sport-range 1024-65535 --dport 9 --count 700 --seq --size-range 100-1400 --rate 3000 --burst 64
flood_between 1 2 --sport-range 1024-65535 --dport 7 --count 300 --seq --size-range 100-1400
settle
ovs-dpctl dump-flows -m >/out/flows
# From here on no flow is put: every packet of one and the same flow goes up.
ovs-vsctl set Open_vSwitch . other_config:flow-limit=0
wait_for '[[ -z "$(ovs-dpctl dump-flows)" ]]'
settle
both --sport 7000 --dport 9 --count 400 --seq --size-range 100-1400 --rate 1500 --burst 32
both --sport 7001 --dport 9 --count 400 --seq --size 128 --rate 1500 --burst 32
kill -INT "$recorder"
wait "$recorder"
ovscope export /root/ties.mcap >/out/ties.jsonl
