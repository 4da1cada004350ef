# Two hosts that know each other; flows deleted; two pings, recorded.
set -euo pipefail
. /lab/guest/lib.sh

start_ovs
two_hosts
static_arp 1 2
in_host 1 ping -c 1 -w 10 "$(ip_of 2)" >/dev/null
ovscope record -o /out/ping.mcap 2>/out/record.err &
recorder=$!
wait_for 'grep -q "^recording" /out/record.err' 60
flush_flows
in_host 1 ping -c 2 -i 0.5 -W 5 "$(ip_of 2)"
sleep 0.5
kill -INT "$recorder"
wait "$recorder"
cat /out/record.err
ovscope export /out/ping.mcap >/out/ping.jsonl
