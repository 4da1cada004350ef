# Fast path and storm while the counters are shown; the datapath's own counts before and after. Then the same in parts.
set -euo pipefail
. /lab/guest/lib.sh
. /lab/guest/recorders.sh

start_ovs
two_hosts
static_arp 1 2
storm_rule
in_host 1 ping -c 1 -w 10 "$(ip_of 2)" >/dev/null
settle
ovscope stat -i 500ms --json >/out/stat.jsonl 2>/out/stat.err &
stat=$!
ovscope record -o /out/storm.mcap 2>/out/record.err &
recorder=$!
wait_for '[[ -s /out/stat.jsonl ]]' 60
wait_for 'grep -q "^recording" /out/record.err' 60
ovs-dpctl show >/out/before
flood_between 1 2 --sport-range 1024-65535 --count 6000 --seq --size 128
settle
flood_between 1 2 --sport 5001 --dport 4789 --count 3000 --rate 2000 --seq --size 128
settle
ovs-dpctl show >/out/after
sleep 1
kill -INT "$stat" "$recorder"
wait "$stat"
wait "$recorder"
ovscope export /out/storm.mcap >/out/storm.jsonl

# Killed with -9, nothing of it stays.
bpftool prog list | grep -c '^[0-9]' >/out/programs-before || true
bpftool link list | grep -c '^[0-9]' >/out/links-before || true
ovscope stat -i 500ms >/out/killed 2>&1 &
victim=$!
wait_for '(($(wc -l </out/killed) >= 3))' 60
bpftool prog list | grep -c '^[0-9]' >/out/programs-during || true
bpftool link list | grep -c '^[0-9]' >/out/links-during || true
kill -9 "$victim"
wait "$victim" || true
# The kernel frees programs after a grace period.
wait_for '[[ "$(bpftool prog list | grep -c "^[0-9]")" == "$(cat /out/programs-before)" ]]' 10 || true
bpftool prog list | grep -c '^[0-9]' >/out/programs-after || true
bpftool link list | grep -c '^[0-9]' >/out/links-after || true

# The same traffic looked at in parts: one packet of eight, a budget that is too small, counters alone, no daemon's own probes.
with sampled --sample 1/8 --event-budget 10000000
with budget --event-budget 2000
with counted --track off
with kernel --track kernel --event-budget 10000000
wait_for_recorders
flush_flows
settle
ovs-dpctl show >/out/parts-before
# Misses all the time that the fast path is busy.
flood_between 1 2 --sport-range 30000-65535 --dport 9 --count 80 --rate 40 --size 128 &
misses=$!
flood_between 1 2 --sport 5001 --dport 4789 --count 4000 --rate 2000 --size 128
wait "$misses"
settle
ovs-dpctl show >/out/parts-after
sleep 1.5
end_recorders
