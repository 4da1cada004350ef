# Generic netlink by hand, for what no tool sends: require '/lab/guest/genl.pl'.
use strict;

socket(my $socket, 16, 3, 16) or die "socket: $!"; # AF_NETLINK, SOCK_RAW, NETLINK_GENERIC
bind($socket, pack('SSLL', 16, 0, 0, 0)) or die "bind: $!";
my $seq = 0;

# An attribute of a type, padded.
sub attr {
    my ($type, $data) = @_;
    my $attr = pack('SSa*', 4 + length $data, $type, $data);
    return $attr . "\0" x (-length($attr) % 4);
}

# The answer to a command of a family.
sub ask {
    my ($family, $cmd, $version, $body) = @_;
    my $message = pack('CCS', $cmd, $version, 0) . $body;
    send($socket, pack('LSSLL', 16 + length $message, $family, 5, ++$seq, 0) . $message, 0) or die "send: $!";
    recv($socket, my $answer, 65536, 0);
    return $answer;
}

# The errno of an answer that is an error or an acknowledgement, negative or 0.
sub errno {
    my ($type, $errno) = unpack('x4Sx10l', $_[0]);
    die "an answer of type $type" if $type != 2;
    return $errno;
}

# A family's number: CTRL_CMD_GETFAMILY of nlctrl (16); CTRL_ATTR_FAMILY_ID is 1, CTRL_ATTR_FAMILY_NAME 2.
sub family {
    my $answer = ask(16, 3, 1, attr(2, "$_[0]\0"));
    my ($at, $family) = (20, 0);
    while ($at + 4 <= length $answer) {
        my ($len, $type) = unpack('SS', substr($answer, $at, 4));
        last if $len < 4;
        $family = unpack('S', substr($answer, $at + 4, 2)) if $type == 1;
        $at += ($len + 3) & ~3;
    }
    die "no family $_[0]" unless $family;
    recv($socket, my $acknowledgement, 65536, 0);
    return $family;
}

1;
