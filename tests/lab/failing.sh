# Everything that may be missing, one after another: the program says what, and what to do.
set -uo pipefail
. /lab/guest/lib.sh

try() {
    local name=$1
    shift
    "$@" >"/out/$name" 2>&1 </dev/null
    echo "status $?" >>"/out/$name"
}

try no-module ovscope stat --count 1
try no-module-doctor ovscope doctor
modprobe openvswitch
try no-root setpriv --reuid 65534 --clear-groups ovscope stat --count 1
try no-root-doctor setpriv --reuid 65534 --clear-groups ovscope doctor
mount -t tmpfs none /sys/kernel/btf
try no-btf ovscope stat --count 1
try no-btf-doctor ovscope doctor
umount /sys/kernel/btf
try no-terminal ovscope
try no-daemon ovscope stat --count 1
try no-daemon-doctor ovscope doctor
start_ovs
two_hosts
try good-doctor ovscope doctor
try good-doctor-json ovscope doctor --json
kill_daemon
try dead-daemon-doctor ovscope doctor
touch /root/there
try file-there ovscope record -o /root/there
exit 0
