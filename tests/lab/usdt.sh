# A daemon with USDT probes: a storm that it and the kernel both tell, flows deleted for several reasons; then daemons
# that come late, are restarted, upgraded, live in namespaces of their own, and one without probes.
set -euo pipefail
. /lab/guest/lib.sh

links() { bpftool link list | grep -c '^[0-9]' || true; }
record() {
    ovscope record -o "/out/$1.mcap" --event-budget 1000000 --track "$2" 2>"/out/$1.err" &
    recorder=$!
    wait_for "grep -q '^recording' /out/$1.err" 60
}
end_record() {
    sleep 0.5
    kill -INT "$recorder"
    wait "$recorder"
    ovscope export "/out/$1.mcap" >"/out/$1.jsonl"
}
# usage: new_flows NAME: the daemon of this moment makes flows; its process id goes to /out
new_flows() {
    pgrep -x ovs-vswitchd >"/out/$1.pid"
    wait_for "in_host 1 ping -c 1 -W 1 $(ip_of 2)" 30
    settle
}

start_ovs
two_hosts
static_arp 1 2
storm_rule
# Flows go when they are told to.
ovs-vsctl set Open_vSwitch . other_config:max-idle=600000
in_host 1 ping -c 1 -w 10 "$(ip_of 2)" >/dev/null
settle
flush_flows
record storm usdt
flood_between 1 2 --sport-range 1024-65535 --count 3000 --seq --size 128
settle
flush_flows
# Held up for longer than anything else takes, most likely between a receive and its answer.
flood_between 1 2 --sport-range 1024-65535 --count 1500 --rate 1500 --seq --size 128 &
flood=$!
sleep 0.5
kill -STOP "$(daemon_pid)"
sleep 2.5
kill -CONT "$(daemon_pid)"
wait "$flood"
settle
flush_flows
ovs-vsctl set Open_vSwitch . other_config:max-idle=500
in_host 1 ping -c 1 -W 5 "$(ip_of 2)"
wait_for '[[ -z "$(ovs-dpctl dump-flows)" ]]'
ovs-vsctl remove Open_vSwitch . other_config max-idle
in_host 1 ping -c 1 -W 5 "$(ip_of 2)"
ovs-vsctl del-port p2_l
wait_for '[[ -z "$(ovs-dpctl dump-flows | grep "in_port(p2_l)\|in_port(3)")" ]]'
end_record storm
ovs-vsctl add-port br0 p2_l

# From here on the daemon changes, and one session sees all of them.
stop_daemon
record daemons auto
none=$(links)
start_daemon
wait_for "((\$(links) > $none))" 30
new_flows late
restart_daemon
new_flows restarted
kill_daemon
one=$(links)
mkdir -p /root/upgrade
cp "$(daemon_path)" /root/upgrade/ovs-vswitchd
daemon_path() { echo /root/upgrade/ovs-vswitchd; }
start_daemon
wait_for "((\$(links) > $one))" 30
new_flows upgraded
kill_daemon
mkdir -p /run/ovsdb
mount --bind "$OVS_RUN" /run/ovsdb
unshare --pid --fork --mount-proc bash -c "mount -t tmpfs none $OVS_RUN && exec $(daemon_path) \
    unix:/run/ovsdb/db.sock -vconsole:off -vunixctl:file:dbg --pidfile --no-chdir \
    --log-file=/run/ovsdb/contained.log" &
wait_for 'pgrep -x ovs-vswitchd' 30
new_flows contained
# Its control socket is found.
wait_for 'grep -q "received request version" $OVS_RUN/contained.log' 30
end_record daemons
pkill -x ovs-vswitchd
wait_for '! pgrep -x ovs-vswitchd'

OVS_KIND=stock
daemon_path() { echo /usr/sbin/ovs-vswitchd; }
start_daemon
ovscope stat --track usdt --count 1 >/out/stock 2>&1
