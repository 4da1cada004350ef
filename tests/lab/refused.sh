# The kernel's verifier refuses some programs, as that of another kernel might (/lab/guest/refuse.pl): doctor, the screen and a
# recording under traffic; then those that count, and the one that all others need. Then a kernel that locks itself down.
set -uo pipefail
. /lab/guest/lib.sh

# usage: refusing 'PROGRAM...' COMMAND...
refusing() {
    local programs=$1
    shift
    # shellcheck disable=SC2086 # words
    exec perl /lab/guest/refuse.pl $programs -- "$@"
}

# usage: try NAME COMMAND...: what it says goes to /out/NAME, with its status
try() {
    local name=$1
    shift
    ("$@") >"/out/$name" 2>&1 </dev/null
    echo "status $?" >>"/out/$name"
}

# usage: screen NAME PROGRAMS: /out/NAME-probes and /out/NAME-storm, all that a terminal of 160 by 50 was shown before its Probes
# view, and its Storm under traffic, could be read
screen() {
    local name=$1 programs=$2 keys terminal
    mkfifo "/tmp/$name"
    (exec script -qfc "stty cols 160 rows 50; exec perl /lab/guest/refuse.pl $programs -- ovscope" "/tmp/$name.shown" \
        <"/tmp/$name" >/dev/null) &
    terminal=$!
    exec {keys}>"/tmp/$name"
    wait_for "grep -aq Storm '/tmp/$name.shown'" 60
    printf 7 >&"$keys"
    # Told of once they are attached; the rest of that picture follows.
    wait_for "grep -aq packet_end '/tmp/$name.shown'" 60
    sleep 1
    cp "/tmp/$name.shown" "/out/$name-probes"
    printf 1 >&"$keys"
    flood_between 1 2 --sport 5001 --dport 4789 --count 200 --rate 100
    cp "/tmp/$name.shown" "/out/$name-storm"
    printf q >&"$keys"
    exec {keys}>&-
    wait "$terminal"
}

start_ovs
two_hosts
static_arp 1 2
in_host 1 ping -q -c 1 -w 20 "$(ip_of 2)" >/dev/null || fail "no ping"
none=$(bpftool prog list | grep -c '^[0-9]')

# One that falls a rung, one that falls below the last, and one of the twins of another.
some='upcall_return:26 flow_new_exit enqueue_message_twin:26'
try some-doctor refusing "$some" ovscope doctor
screen some "$some"
flush_flows
settle
refusing "$some" ovscope record -o /out/some.mcap 2>/out/some.err &
recorder=$!
wait_for "grep -q '^recording' /out/some.err" 120
ovs-dpctl show >/out/before
storm_rule
flood_between 1 2 --sport-range 1024-65535 --count 500 --rate 500 --seq --size 128
settle
flood_between 1 2 --sport 5001 --dport 4789 --count 1000 --rate 1000 --seq --size 128
settle
ovs-dpctl show >/out/after
sleep 1
kill -INT "$recorder"
wait "$recorder" || fail "it ended with $?: $(cat /out/some.err)"

# Those without which less is counted and followed.
screen counting 'flow_hit skb_free_head flow_lookup'
# The one that is no probe's, and is needed by all that follow packets.
try sweep refusing sweep ovscope stat --count 1
try sweep-off refusing sweep ovscope stat --count 1 --track off
wait_for '[[ $(bpftool prog list | grep -c "^[0-9]") == "$none" ]]'

# The last: it cannot be undone. Where the file says so; and where it is not seen, as in a container.
mount -t securityfs security /sys/kernel/security
echo confidentiality >/sys/kernel/security/lockdown || fail "no lockdown: $(cat /sys/kernel/security/lsm)"
try locked ovscope doctor
umount /sys/kernel/security
try unseen ovscope stat --count 1 --track off
