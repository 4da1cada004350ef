# One scenario for each cause that has a verdict, and healthy ones: recorded and reported, each for itself. [NAME...]
set -euo pipefail
. /lab/guest/lib.sh

LASTS=11
# usage: scenario NAME: records while NAME goes on, for LASTS seconds; what it needs first is before_NAME
scenario() {
    local name=$1 recorder
    ! declare -F "before_$name" >/dev/null || "before_$name"
    settle
    ovscope record -o "/out/$name.mcap" --event-budget 2000 2>"/out/$name.err" &
    recorder=$!
    wait_for "grep -q '^recording' /out/$name.err" 200
    sleep 1
    ("$name" >"/out/$name.log" 2>&1; sleep 60) &
    sleep "$LASTS"
    kill -INT "$recorder"
    wait "$recorder"
    pkill -P $! 2>/dev/null || true
    kill $! 2>/dev/null || true
    pkill -x flood 2>/dev/null || true
    ! declare -F "after_$name" >/dev/null || "after_$name"
    ovscope report --format json "/out/$name.mcap" >"/out/$name.json"
    ovscope report "/out/$name.mcap" | sed -n '/^Verdict/,/^Condition/p' >"/out/$name.txt"
    flush_flows
}
# usage: new_ports RATE ARG...: every packet from another port
new_ports() { flood_between 1 2 --count 0 --rate "$1" --sport-range 1024-65535 --size 100 "${@:2}"; }
# usage: on_cpu CPU COMMAND...
on_cpu() {
    taskset -pc "$1" "$BASHPID" >/dev/null
    "${@:2}"
}
# For perl: pace(N, RATE) waits until the Nth of so many a second is due, however late it woke up before.
PACE='
        sub now { open(my $file, "<", "/proc/uptime") or die "uptime: $!"; (split " ", <$file>)[0] }
        my $begin = now;
        sub pace { my ($n, $rate) = @_; select undef, undef, undef, 0.01 while $n > (now() - $begin) * $rate; }'
plain_rules() {
    ovs-ofctl del-flows br0
    ovs-ofctl add-flow br0 'priority=0,actions=NORMAL'
}
other() { ovs-vsctl set Open_vSwitch . other_config:"$1"; }
no_own_datapath() {
    ovs-dpctl del-dp own
    ip netns del ns5
    ip netns del ns6
}
no_other() { ovs-vsctl remove Open_vSwitch . other_config "$1"; }

# What must not be taken for anything.
idle() { :; }
full_rate() { flood_between 1 2 --count 0 --sport 1000 --size 100; }
before_stable_flows() {
    storm_rule
    other max-idle=600000
    flood_between 1 2 --count 2000 --rate 1000 --sport-range 1024-3023 --size 100
}
stable_flows() { flood_between 1 2 --count 0 --rate 1500 --sport-range 1024-3023 --size 100; }
after_stable_flows() {
    plain_rules
    no_other max-idle
}
before_new_connections() { storm_rule; }
new_connections() { new_ports 50; }
after_new_connections() { plain_rules; }
good_restart() {
    flood_between 1 2 --count 0 --rate 200 --sport-range 1024-1123 --size 100 &
    sleep 3
    restart_daemon
    wait
}

# What must be named.
before_field_explosion() { storm_rule; }
field_explosion() { new_ports 600; }
after_field_explosion() { plain_rules; }

before_flow_limit() { storm_rule; other flow-limit=300; }
flow_limit() { new_ports 250; }
after_flow_limit() { plain_rules; no_other flow-limit; }

before_emergency_kill() {
    storm_rule
    other max-idle=600000
    flood_between 1 2 --count 4000 --rate 1500 --sport-range 1024-5023 --size 100
}
emergency_kill() {
    flood_between 1 2 --count 0 --rate 1000 --sport-range 1024-5023 --size 100 &
    sleep 1
    other flow-limit=1200
    wait
}
after_emergency_kill() { plain_rules; no_other flow-limit; no_other max-idle; }

# The revalidators' threads may have three parts in a hundred of a CPU.
before_slow_revalidator() {
    before_stable_flows
    mkdir -p /sys/fs/cgroup/ovs/slow
    echo +cpu >/sys/fs/cgroup/cgroup.subtree_control
    daemon_pid >/sys/fs/cgroup/ovs/cgroup.procs
    echo threaded >/sys/fs/cgroup/ovs/slow/cgroup.type
    echo +cpu >/sys/fs/cgroup/ovs/cgroup.subtree_control
    echo '3000 100000' >/sys/fs/cgroup/ovs/slow/cpu.max
}
slow_revalidator() {
    local task
    for task in /proc/"$(daemon_pid)"/task/*; do
        [[ $(cat "$task/comm") != revalidator* ]] || echo "${task##*/}" >/sys/fs/cgroup/ovs/slow/cgroup.threads
    done
    flood_between 1 2 --count 0 --rate 300 --sport-range 1024-3023 --size 100
}
after_slow_revalidator() {
    daemon_pid >/sys/fs/cgroup/cgroup.procs
    after_stable_flows
}

# The socket has room for some 5000; the daemon is stopped for less than what is a stall.
netlink_overflow() {
    while :; do
        flush_flows
        kill -STOP "$(daemon_pid)"
        flood_between 1 2 --count 6000 --sport 1000 --size 1400
        kill -CONT "$(daemon_pid)"
        sleep 1
    done
}
after_netlink_overflow() { kill -CONT "$(daemon_pid)"; }

before_daemon_gone() { storm_rule; }
daemon_gone() { kill_daemon; new_ports 200; }
after_daemon_gone() { start_daemon; plain_rules; }

before_daemon_stalled() { storm_rule; }
daemon_stalled() { kill -STOP "$(daemon_pid)"; new_ports 100; }
after_daemon_stalled() { kill -CONT "$(daemon_pid)"; sleep 1; plain_rules; }

before_handler_starved() {
    storm_rule
    mkdir -p /sys/fs/cgroup/starved
    echo +cpu >/sys/fs/cgroup/cgroup.subtree_control
    echo '15000 100000' >/sys/fs/cgroup/starved/cpu.max
}
handler_starved() {
    daemon_pid >/sys/fs/cgroup/starved/cgroup.procs
    new_ports 120
}
after_handler_starved() {
    daemon_pid >/sys/fs/cgroup/cgroup.procs
    plain_rules
}

# All packets come on one CPU, whose handler has them all; no field of theirs changes alone.
before_handler_imbalance() {
    ovs-ofctl add-flow br0 \
        'priority=100,udp,actions=move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15],move:NXM_OF_UDP_DST[]->NXM_NX_REG1[0..15],NORMAL'
}
handler_imbalance() {
    on_cpu 1 flood_between 3 2 --count 8 --sport-range 1-8 --size 100
    on_cpu 0 flood_between 1 2 --count 0 --rate 700 --sport-range 1024-65535 --dport 9 --pairs --size 100
}
after_handler_imbalance() { plain_rules; }

before_tuple_space() {
    local n
    own_datapath
    for n in {0..47}; do
        echo "add in_port(1),eth(),eth_type(0x0800),ipv4(proto=17,tos=0/$n,frag=no),udp(src=$((1024 + n))) 2"
    done >/tmp/own-flows
    ovs-dpctl add-flows system@own /tmp/own-flows
    ovs-dpctl cache-set-size own masks-cache 0
}
tuple_space() {
    in_host 5 bash -c '. /lab/guest/lib.sh
        in_host() { shift; "$@"; }
        flood_between 5 6 --count 0 --rate 2000 --sport-range 1024-1071 --size 100'
}
after_tuple_space() { no_own_datapath; }

mac_flapping() {
    flood_between 1 2 --count 0 --rate 200 --sport-range 1024-1123 --size 100 &
    in_host 3 "$FLOOD" --dev p3_r --src-mac "$(mac_of 1)" --dst-mac "$(mac_of 2)" --src-ip "$(ip_of 1)" \
        --dst-ip "$(ip_of 2)" --count 0 --rate 200 --sport-range 1024-1123 --size 100
}

before_controller_punts() { ovs-ofctl add-flow br0 'cookie=0xbeef,priority=200,udp,actions=controller,NORMAL'; }
controller_punts() { flood_between 1 2 --count 0 --rate 400 --sport 1000 --size 100; }
after_controller_punts() { plain_rules; }

before_slow_path() {
    make_bridge br1
    ip link add bfd0 type veth peer name bfd1
    ip link set bfd0 up
    ip link set bfd1 up
    ovs-vsctl add-port br0 bfd0 -- add-port br1 bfd1
}
slow_path() {
    local port
    for port in bfd0 bfd1; do ovs-vsctl set interface $port bfd:enable=true bfd:min_tx=20 bfd:min_rx=20; done
}
after_slow_path() {
    ovs-vsctl del-br br1 -- del-port br0 bfd0
    ip link del bfd0
}

before_sampling() {
    ovs-vsctl --no-wait -- --id=@s create sflow agent=lo target='"127.0.0.1:6343"' header=128 sampling=2 polling=0 \
        -- set bridge br0 sflow=@s >/dev/null
}
sampling() { flood_between 1 2 --count 0 --rate 600 --sport 1000 --size 100; }
after_sampling() { ovs-vsctl clear bridge br0 sflow; }

# Who has …? for one address after the other.
broadcast_flood() {
    in_host 1 perl -e '
        use Socket;
        '"$PACE"'
        socket(my $s, 17, SOCK_RAW, 0x0608) or die "socket: $!"; # AF_PACKET, ETH_P_ARP
        my $to = pack("SnlSCCa8", 17, 0x0806, $ARGV[0], 0, 0, 6, "\xff" x 6);
        my $mac = pack("H12", "020000000001");
        for my $n (1 .. 1e6) {
            my $arp = pack("nnCCn", 1, 0x0800, 6, 4, 1) . $mac . pack("N", 0xacc80001) . "\0" x 6 . pack("N", 0xacc80000 + $n % 65000);
            my $frame = "\xff" x 6 . $mac . pack("n", 0x0806) . $arp . "\0" x 18;
            send($s, $frame, 0, $to) or die "send: $!";
            pace($n, 300);
        }' "$(in_host 1 cat /sys/class/net/p1_r/ifindex)"
}

put_failures() {
    local in_port n
    in_port=$(ovs-dpctl show system@ovs-system | sed -n 's/.*port \([0-9]*\): p1_l\b.*/\1/p')
    # A process for each takes its time: two at once.
    for _ in 1 2; do
        while :; do
            for n in {1..20}; do
                ovs-dpctl add-flow system@ovs-system \
                    "in_port($in_port),eth(),eth_type(0x0800),ipv4(proto=17,frag=no),udp(dst=$n)" \
                    'set(ipv6(hlimit=3))' || true
            done
        done &
    done
    wait
}

flapping_flows() {
    flood_between 1 2 --count 0 --rate 300 --sport 1000 --size 100 &
    flood_between 2 1 --count 0 --rate 300 --sport 1000 --size 100 &
    while :; do
        sleep 0.4
        flush_flows
    done
}

before_unknown_port() {
    modprobe vxlan
    ip netns add away
    ip link add under0 type veth peer name under1 netns away
    ip address add 10.9.0.1/24 dev under0
    ip link set under0 up
    ip -n away address add 10.9.0.2/24 dev under1
    ip -n away link set under1 up
    ip -n away link add vx type vxlan id 99 remote 10.9.0.1 dstport 4789 dev under1
    ip -n away address add 10.8.0.2/24 dev vx
    ip -n away link set vx up
    ip -n away neigh replace 10.8.0.1 lladdr 02:00:00:00:00:99 dev vx nud permanent
    ovs-vsctl add-port br0 vx7 -- set interface vx7 type=vxlan options:remote_ip=10.9.0.2 options:key=7
}
unknown_port() { ip netns exec away ping -q -i 0.02 -W 1 10.8.0.1; }
after_unknown_port() {
    ovs-vsctl del-port vx7
    ip netns del away
}

openflow_churn() {
    flood_between 1 2 --count 0 --rate 300 --sport-range 1024-1223 --size 100 &
    while :; do
        ovs-ofctl add-flow br0 'priority=50,udp,tp_dst=9,actions=NORMAL'
        ovs-ofctl add-flow br0 'priority=51,udp,tp_dst=9,actions=output:2'
        ovs-ofctl --strict del-flows br0 'priority=51,udp,tp_dst=9'
    done
}

before_short_connections() {
    ovs-ofctl add-flows br0 - <<'FLOWS'
priority=100,ct_state=-trk,tcp,actions=ct(table=1)
table=1,priority=100,ct_state=+trk+new,tcp,actions=move:NXM_OF_TCP_SRC[]->NXM_NX_REG0[0..15],ct(commit),NORMAL
table=1,priority=90,ct_state=+trk,tcp,actions=NORMAL
FLOWS
}
short_connections() { new_ports 400 --proto tcp --dport 80; }
after_short_connections() {
    plain_rules
    ovs-appctl dpctl/flush-conntrack
}

jumbo() {
    ip -n ns1 link set p1_r mtu "$1"
    ip link set p1_l mtu "$1"
}
before_too_big() { jumbo 65535; }
too_big() { while :; do in_host 1 ping -q -c 1 -W 0.1 -s 65507 "$(ip_of 2)" || true; done; }

after_too_big() { jumbo 1500; }

# Connection tracking puts them together, and what goes up is the whole. No field of them changes alone.
before_fragments() {
    ovs-ofctl add-flows br0 - <<'FLOWS'
priority=100,ct_state=-trk,udp,actions=ct(table=1)
table=1,priority=100,udp,actions=move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15],move:NXM_OF_UDP_DST[]->NXM_NX_REG1[0..15],NORMAL
FLOWS
}
fragments() {
    in_host 1 perl -e '
        use Socket;
        '"$PACE"'
        my $to = inet_aton($ARGV[0]);
        for my $n (1 .. 60000) {
            my $port = 1024 + $n;
            socket(my $s, AF_INET, SOCK_DGRAM, 0) or die "socket: $!";
            bind($s, sockaddr_in($port, INADDR_ANY)) or next;
            send($s, "x" x 3000, 0, sockaddr_in($port, $to)) or die "send: $!";
            pace($n, 200);
        }' "$(ip_of 2)"
}
after_fragments() {
    plain_rules
    ovs-appctl dpctl/flush-conntrack
}

# Put together, and with more labels than the kernel can cut behind.
before_fragments_dropped() {
    local first
    own_datapath
    ip -n ns5 address add "$(ip_of 5)/24" dev p5_r
    ip -n ns5 neigh replace "$(ip_of 6)" lladdr "$(mac_of 6)" dev p5_r nud permanent
    for first in first later; do
        ovs-dpctl add-flow system@own "in_port(1),eth(),eth_type(0x0800),ipv4(frag=$first)" 'ct(zone=7),recirc(1)'
    done
    ovs-dpctl add-flow system@own 'recirc_id(0x1),in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)' \
        "$(printf 'add_mpls(label=%d,tc=0,ttl=64,bos=0,eth_type=0x8847),' {1..6})2"
}
fragments_dropped() { in_host 5 ping -q -i 0.005 -s 3000 "$(ip_of 6)"; }
after_fragments_dropped() { no_own_datapath; }

start_ovs
two_hosts
add_host 3
static_arp 1 2 3
plain_rules
in_host 1 ping -c 1 -w 10 "$(ip_of 2)" >/dev/null
names=("$@")
((${#names[@]})) || names=(idle full_rate stable_flows new_connections good_restart field_explosion flow_limit
    emergency_kill slow_revalidator netlink_overflow daemon_gone daemon_stalled handler_starved handler_imbalance
    tuple_space mac_flapping controller_punts slow_path sampling broadcast_flood put_failures flapping_flows unknown_port openflow_churn
    short_connections too_big fragments fragments_dropped)
for name in "${names[@]}"; do
    scenario "$name"
    printf '%-20s %s\n' "$name" "$(sed -n 2p "/out/$name.txt")"
done
ls -l /out/*.mcap
