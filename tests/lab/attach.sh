# Everything on kprobes: two pings, a storm, a fast path; what each thread may still do. Then, as it is attached by
# itself, a datapath deleted and made anew.
set -euo pipefail
. /lab/guest/lib.sh

start_ovs
two_hosts
static_arp 1 2
storm_rule
sysctl -qw kernel.bpf_stats_enabled=1
in_host 1 ping -c 1 -w 10 "$(ip_of 2)" >/dev/null
# As under sudo: the directory is another user's.
mkdir -m 700 /tmp/home
chown 1000:1000 /tmp/home

# usage: start_recording NAME OPTION...
start_recording() {
    local name=$1
    shift
    ovscope record "$@" -o "/tmp/home/$name.mcap" 2>"/out/$name.err" &
    recorder=$!
    wait_for "grep -q '^recording' /out/$name.err || ! kill -0 $recorder" 120
    kill -0 "$recorder" || fail "$(cat "/out/$name.err")"
}

# usage: end_recording NAME
end_recording() {
    sleep 1
    kill -INT "$recorder"
    wait "$recorder"
    ovscope export "/tmp/home/$1.mcap" >"/out/$1.jsonl"
}

start_recording kprobe --attach kprobe
grep -hE '^(Name|CapInh|CapPrm|CapEff|CapAmb|NoNewPrivs):' "/proc/$recorder/task/"*/status >/out/threads
flush_flows
settle
ovs-dpctl show >/out/before
in_host 1 ping -c 2 -i 0.5 -W 5 "$(ip_of 2)" >/dev/null
flood_between 1 2 --sport-range 1024-65535 --count 1500 --seq --size 128
settle
flood_between 1 2 --sport 5001 --dport 4789 --count 1500 --rate 2000 --seq --size 128
settle
ovs-dpctl show >/out/after
end_recording kprobe

start_recording again
flush_flows
in_host 1 ping -c 2 -i 0.2 -W 5 "$(ip_of 2)" >/dev/null
sleep 1.5
ovs-vsctl del-br br0
wait_for '! ovs-dpctl show | grep -q "^system@"'
make_bridge br0
ovs-vsctl add-port br0 p1_l -- add-port br0 p2_l
in_host 1 ping -c 3 -i 0.2 -W 5 "$(ip_of 2)" >/dev/null
settle
ovs-dpctl show >/out/again
cat /sys/class/net/ovs-system/ifindex >/out/number
end_recording again
