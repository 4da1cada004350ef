# ovscope killed whatever it does; then what may happen around a recording: more than its ring buffer holds; a disk that takes
# nothing for a while; the daemon killed and started anew 20 times, and stopped for a minute; ports and bridges that go; the clock set; the module.
set -euo pipefail
. /lab/guest/lib.sh

attached() { echo "$(bpftool prog list | grep -c '^[0-9]') $(bpftool link list | grep -c '^[0-9]')"; }
ping_once() { in_host 1 ping -q -c 1 -w 20 "$(ip_of 2)" >/dev/null; }

start_ovs
two_hosts
static_arp 1 2
ping_once
in_host 1 ping -q -i 0.05 "$(ip_of 2)" >/dev/null &
none=$(attached)

# A recording of so many bytes has events in it.
WRITTEN=32768

# usage: kill_it PID: nothing of it stays in the kernel
kill_it() {
    kill -KILL "$1"
    wait_for '[[ $(attached) == "$none" ]]' 20
}

# usage: kill_recording NAME CONDITION: when the condition holds
kill_recording() {
    ovscope record -o "/out/killed-$1.mcap" 2>"/out/killed-$1.err" &
    local victim=$!
    wait_for "$2" 60
    kill_it "$victim"
    wait "$victim" || true
}
# While it loads and attaches, and when more than its begin is on the disk.
for after in 0.4 1.2 2.0 2.8; do kill_recording "$after" "sleep $after"; done
kill_recording written '(($(stat -c %s /out/killed-written.mcap) > WRITTEN))'

# usage: kill_screen NAME KEYS [CONDITION]: as the screen is after these keys, when the condition holds
kill_screen() {
    mkdir -p "/out/$1"
    mkfifo "/tmp/$1"
    (cd "/out/$1" && exec script -qfc 'stty cols 80 rows 24; exec ovscope' screen <"/tmp/$1" >/dev/null) &
    local terminal=$! keys victim
    exec {keys}>"/tmp/$1"
    wait_for "grep -q 'Storm' '/out/$1/screen'" 60
    sleep 1.5
    printf '%s' "$2" >&"$keys"
    wait_for "${3:-sleep 1}" 60
    victim=$(pgrep -x ovscope)
    kill_it "$victim"
    exec {keys}>&-
    wait "$terminal" || true
    say "$1" >>/out/screens
}
kill_screen paused ' '
kill_screen back '['
kill_screen recording R '(($(stat -c %s /out/recording/*.mcap) > WRITTEN))'
kill_screen saving w 'sleep 0.1'

# usage: record NAME OPTION...: until the probes are attached
record() {
    local name=$1
    shift
    ovscope record "$@" -o "/out/$name.mcap" 2>"/out/$name.err" &
    recorder=$!
    wait_for "grep -q '^recording' /out/$name.err" 120
}
end_record() {
    settle
    sleep 1
    kill -INT "$recorder"
    wait "$recorder"
}
pkill -x ping

# More than a hundred times the smallest ring buffer, and nobody reads it.
record ring --ring 256K --event-budget 100000000 --rpc-rate 0
settle
ovs-dpctl show >/out/ring-before
kill -STOP "$recorder"
flood_between 1 2 --sport 5001 --dport 4789 --count 120000 --size 128
kill -CONT "$recorder"
settle
ovs-dpctl show >/out/ring-after
end_record

# A file that takes nothing while the same comes: a pipe, which is read once all is over.
mkfifo /tmp/slow
ovscope record -o - --ring 64M --event-budget 100000000 --rpc-rate 0 2>/out/slow.err >/tmp/slow &
recorder=$!
exec {slow}</tmp/slow
wait_for "grep -q '^recording' /out/slow.err" 120
settle
ovs-dpctl show >/out/slow-before
flood_between 1 2 --sport 5001 --dport 4789 --count 120000 --size 128
settle
ovs-dpctl show >/out/slow-after
sleep 1
cat <&"$slow" >/out/slow.mcap &
reader=$!
kill -INT "$recorder"
wait "$recorder"
exec {slow}<&-
wait "$reader"

record faults
ovs-dpctl show >/out/before
for _ in {1..20}; do
    kill_daemon
    start_daemon
    ping_once
done
flush_flows
kill -STOP "$(daemon_pid)"
in_host 1 ping -q -c 1 -w 90 "$(ip_of 2)" >/dev/null &
ping=$!
sleep 60
kill -CONT "$(daemon_pid)"
wait "$ping"
for n in {1..5}; do
    make_bridge "gone$n"
    ovs-vsctl del-port p2_l -- add-port "gone$n" p2_l
    ovs-vsctl del-br "gone$n"
    ovs-vsctl add-port br0 p2_l
    ping_once
done
now=$(date +%s)
date -s "@$((now + 86400))" >/dev/null
sleep 2
ping_once
date -s "@$((now - 86400))" >/dev/null
sleep 2
ping_once
ovs-dpctl show >/out/after
# With probes in it the module stays, even with no datapath left.
ovs-vsctl del-br br0
stop_daemon
wait_for '[[ -z $(ovs-dpctl dump-dps) ]]'
status=0
rmmod openvswitch 2>/out/module || status=$?
echo "status $status" >>/out/module
kill -0 "$recorder"
kill -INT "$recorder"
wait "$recorder"
wait_for 'rmmod openvswitch' 10
start_daemon
make_bridge br0
ovs-vsctl add-port br0 p1_l -- add-port br0 p2_l
record anew
ping_once
end_record
