# usage: perl /lab/guest/refuse.pl NAME[:TYPE]... -- COMMAND ARG...: runs the command; of the BPF programs that it loads, those of
# these names are refused by the kernel's verifier. TYPE is the number of a type of program, where only one of that is meant: 2
# kprobe, 17 raw tracepoint, 26 fentry, fexit and tp_btf.
#
# Each bpf(2) stops in a filter of system calls, and where it would load such a program, its first instruction is written over
# in the command's memory by one that reads outside of the stack. The kernel then does what it does with any bad program.
use strict;

my %wanted;
while (defined(my $word = shift @ARGV)) {
    last if $word eq '--';
    # The kernel knows so much of a name.
    my ($name, $type) = split /:/, $word;
    $wanted{substr($name, 0, 15) . (defined $type ? ":$type" : '')} = 1;
}
die "usage: refuse.pl NAME[:TYPE]... -- COMMAND ARG...\n" if !%wanted || !@ARGV;

# BPF_LDX | BPF_MEM | BPF_DW: r0 = *(u64 *)(r10 + 8)
my $bad = pack('CCsl', 0x79, 0xa0, 8, 0);

# Of what a filter has, only this: bpf(2) is number 321, BPF_PROG_LOAD its command 5.
sub op { pack('SCCL', @_) }
my $filter = join '',
    op(0x20, 0, 0, 0),                # the number
    op(0x15, 0, 3, 321),
    op(0x20, 0, 0, 16),               # the first argument
    op(0x15, 0, 1, 5),
    op(0x06, 0, 0, 0x7fc00000),       # SECCOMP_RET_USER_NOTIF
    op(0x06, 0, 0, 0x7fff0000);       # SECCOMP_RET_ALLOW
my $program = pack('S x6 P', length($filter) / 8, $filter);
# PR_SET_NO_NEW_PRIVS; SECCOMP_SET_MODE_FILTER with SECCOMP_FILTER_FLAG_NEW_LISTENER.
syscall(157, 38, 1, 0, 0, 0) == 0 or die "no_new_privs: $!";
my $listener = syscall(317, 1, 8, $program);
die "seccomp: $!" if $listener < 0;

my $command = $$;
my $child = fork() // die "fork: $!";
if ($child) {
    # The listener is closed by exec; the child keeps it.
    exec { $ARGV[0] } @ARGV or die "$ARGV[0]: $!";
}
# It ends with the command: PR_SET_PDEATHSIG.
syscall(157, 1, 9, 0, 0, 0);
exit if getppid() != $command;
setpgrp;
open(my $notices, '+<&=', $listener) or die "the listener: $!";

# usage: bytes PID AT LENGTH
sub in_memory {
    my ($pid, $at, $length, $new) = @_;
    open(my $memory, '+<:raw', "/proc/$pid/mem") or return;
    sysseek($memory, $at, 0) or return;
    return syswrite($memory, $new) if defined $new;
    sysread($memory, my $bytes, $length) == $length or return;
    return $bytes;
}

while (1) {
    my $notice = "\0" x 80;
    # SECCOMP_IOCTL_NOTIF_RECV. It fails when the one who asked was killed meanwhile.
    ioctl($notices, 0xc0502100, $notice) or next;
    my ($id, $pid, $attr) = unpack('Q L x4 x16 x8 Q', $notice);
    # bpf_attr: prog_type, insn_cnt, insns; prog_name at 48.
    my $load = in_memory($pid, $attr, 64);
    if (defined $load) {
        my ($type, $insns, $name) = unpack('L x4 Q x32 Z16', $load);
        if ($wanted{$name} || $wanted{"$name:$type"}) {
            in_memory($pid, $insns, 8, $bad) or warn "refuse.pl: $name could not be made bad: $!\n";
        }
    }
    # SECCOMP_IOCTL_NOTIF_SEND with SECCOMP_USER_NOTIF_FLAG_CONTINUE.
    ioctl($notices, 0xc0182101, pack('Q q l L', $id, 0, 0, 1));
}
