# What is rare: a packet that is sent again from the same buffer; one that goes up in segments; buffers whose head is lent
# to the message, with a tag beside it and without; an action that the daemon's tools cannot write; two datapaths, of
# which one is recorded.
set -euo pipefail
. /lab/guest/lib.sh
. /lab/guest/recorders.sh

start_ovs
two_hosts
static_arp 1 2
modprobe tun
# A tap's packets are built on page fragments.
ip tuntap add tap0 mode tap
ip link set tap0 up
ovs-vsctl add-port br0 tap0
ovs-vsctl set Open_vSwitch . other_config:max-idle=600000
ovs-ofctl add-flows br0 - <<'FLOWS'
priority=200,tcp,tp_dst=9000,actions=drop
priority=200,udp,tp_dst=9200,actions=output:p2_l
priority=200,udp,tp_dst=9100,actions=move:NXM_OF_UDP_SRC[]->NXM_NX_REG0[0..15],output:p2_l
FLOWS

own_datapath
ovs-dpctl add-flow system@own 'in_port(1),eth(),eth_type(0x0800),ipv4(proto=17,frag=no),udp(dst=1)' 2

perl >/out/perl 2>&1 - "$(cat /sys/class/net/own/ifindex)" <<'PERL'
use strict;
require '/lab/guest/genl.pl';
# OVS_KEY_ATTR_IN_PORT 3, ETHERNET 4, ETHERTYPE 6, IPV4 7, UDP 10: UDP to port 2.
my $key = attr(3, pack('L', 1)) . attr(4, "\0" x 12) . attr(6, pack('n', 0x0800)) . attr(7, pack('NNCCCC', 0, 0, 17, 0, 0, 0))
    . attr(10, pack('nn', 0, 2));
my $mask = attr(3, pack('L', 0xffffffff)) . attr(4, "\0" x 12) . attr(6, pack('n', 0xffff))
    . attr(7, pack('NNCCCC', 0, 0, 255, 0, 0, 255)) . attr(10, pack('nn', 0, 0xffff));
# OVS_ACTION_ATTR_DEC_TTL 23 with OVS_DEC_TTL_ATTR_ACTION 1, what is done with a packet whose time is over: output 1.
my $actions = attr(23, attr(1, attr(1, pack('L', 1)))) . attr(1, pack('L', 2));
# OVS_FLOW_CMD_NEW 1: KEY 1, ACTIONS 2, MASK 7.
my $new = ask(family('ovs_flow'), 1, 1, pack('l', $ARGV[0]) . attr(1, $key) . attr(2, $actions) . attr(7, $mask));
die "dec_ttl: $!" if ($! = -errno($new));
PERL

with all
with own --datapath own
with daemon --datapath system@ovs-system
wait_for_recorders

# Nobody answers.
in_host 1 timeout 5 "$BASH" -c "exec 3<>/dev/tcp/$(ip_of 2)/9000" 2>/dev/null || true
perl - <<'PERL'
use strict;
use Fcntl;
sysopen(my $tap, '/dev/net/tun', O_RDWR | O_NONBLOCK) or die "tun: $!";
# TUNSETIFF with IFF_TAP | IFF_NO_PI
my $request = pack('a16Sx22', 'tap0', 0x1002);
ioctl($tap, 0x400454ca, $request) or die "TUNSETIFF: $!";
sleep 1;
for my $n (0 .. 39) {
    my $payload = pack('N', $n) x 150;
    my $udp = pack('nnnn', 3000 + $n, 9100, 8 + length $payload, 0) . $payload;
    my $ip = pack('CCnnnCCnNN', 0x45, 0, 20 + length $udp, $n, 0, 64, 17, 0, 0xacc80007, 0xacc80002);
    my $tag = $n % 2 ? pack('nn', 0x8100, 5) : '';
    my $frame = pack('H12H12', '020000000002', '020000000007') . $tag . pack('n', 0x0800) . $ip . $udp;
    syswrite($tap, $frame) == length $frame or die "write: $!";
    select undef, undef, undef, 0.02;
}
PERL
# One packet of five segments: UDP_SEGMENT (103) of UDP (17).
in_host 1 perl - "$(ip_of 2)" <<'PERL'
use strict;
use Socket;
socket(my $s, PF_INET, SOCK_DGRAM, 0) or die "socket: $!";
setsockopt($s, 17, 103, pack('i', 1000)) or die "UDP_SEGMENT: $!";
my $payload = join '', map { pack('N', $_) x 250 } 1 .. 5;
send($s, $payload, 0, sockaddr_in(9200, inet_aton($ARGV[0]))) == 5000 or die "send: $!";
PERL
in_host 5 bash -c ". /lab/guest/lib.sh
. /lab/guest/recorders.sh
    in_host() { shift; \"\$@\"; }
    for port in 1 2 3; do flood_between 5 6 --sport 5000 --dport \$port --count 20 --rate 500 --size 80; done"
settle
end_recorders
for name in own ovs-system; do cat "/sys/class/net/$name/ifindex" >"/out/$name"; done
