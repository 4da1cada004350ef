# One guest: its input disk, its QEMU command line, and what it tells the host.
# shellcheck shell=bash

# Defaults of the options that every command which starts a guest understands.
vm_defaults() {
    VM_KERNEL=6.12
    VM_OVS=stock
    VM_SMP=2
    VM_MB=3072
    VM_ICOUNT=
    VM_BINS=()
}

# usage: vm_option ARG...: eats one option if it is one of the guest's; VM_EATEN is how many words
vm_option() {
    VM_EATEN=2
    case $1 in
    --kernel) need_kernel "${2:-}" && VM_KERNEL=$2 ;;
    --ovs) need_daemon "${2:-}" && VM_OVS=$2 ;;
    --smp) VM_SMP=${2:?--smp needs a number} ;;
    --mem) VM_MB=${2:?--mem needs megabytes} ;;
    --bin)
        [[ -f ${2:-} ]] || die "--bin: no such file: ${2:-}"
        VM_BINS+=("$2")
        ;;
    --icount)
        VM_ICOUNT=1
        VM_EATEN=1
        ;;
    *) return 1 ;;
    esac
}

# usage: vm_build: what this guest needs, quietly when it is there
vm_build() { "$LAB_SRC/build" --kernel "$VM_KERNEL" --ovs "$VM_OVS"; }

# usage: scenario_path NAME: a name of the set, or any path
scenario_path() {
    if [[ $1 != */* && -f $LAB_SRC/scenarios/$1 ]]; then
        printf '%s\n' "$LAB_SRC/scenarios/$1"
    elif [[ -f $1 ]]; then
        printf '%s\n' "$1"
    else
        die "no scenario '$1': lab/run --list names them, or give a path"
    fi
}

# usage: vm_input DIR MODE SCENARIO ARG...: DIR/in.tar, what the guest finds in /lab
vm_input() {
    local dir=$1 mode=$2 scenario=$3 tree=$1/in
    shift 3
    mkdir -p "$tree/bin"
    cp -r "$LAB_SRC/guest" "$tree/guest"
    cp "$scenario" "$tree/scenario"
    cp "$LAB_DIR/img/flood" "$tree/bin/flood"
    [[ $VM_OVS != usdt ]] || install -D "$LAB_DIR/img/ovs-vswitchd-usdt" "$tree/usdt/ovs-vswitchd"
    ((${#VM_BINS[@]} == 0)) || cp -L "${VM_BINS[@]}" "$tree/bin/"
    [[ ! -f $dir/key.pub ]] || cp "$dir/key.pub" "$tree/authorized_keys"
    printf 'LAB_MODE=%s\nLAB_OVS=%s\n' "$mode" "$VM_OVS" >"$tree/env"
    : >"$tree/args"
    (($# == 0)) || printf '%s\0' "$@" >"$tree/args"
    chmod -R go-w,a+rX "$tree"
    chmod 755 "$tree/guest/init"
    tar -cf "$dir/in.tar" --owner=0 --group=0 -C "$tree" .
    rm -rf "$tree"
    # Sparse: it costs what the guest writes to it.
    truncate -s 1G "$dir/out.tar"
}

# usage: vm_command DIR NETWORK: fills VM_COMMAND. The guest's output goes to DIR/output, what it
# says about itself to DIR/status, the kernel's words to DIR/boot.log.
vm_command() {
    local dir=$1 network=$2 img=$LAB_DIR/img accel=(-accel tcg,thread=multi -smp "$VM_SMP")
    if [[ -n $VM_ICOUNT ]]; then
        # The guest's clock then counts instructions, whatever else this machine does.
        accel=(-accel tcg,thread=single -smp 1 -icount shift=0,sleep=off)
    fi
    VM_COMMAND=(
        qemu-system-x86_64 "${accel[@]}" -cpu max -m "$VM_MB"
        -nodefaults -no-user-config -display none -no-reboot -nic "$network"
        -kernel "$img/vmlinuz-$VM_KERNEL" -initrd "$img/initrd-$VM_KERNEL"
        -append "console=ttyS0 panic=-1 oops=panic mitigations=off quiet random.trust_cpu=on net.ifnames=0 no_timer_check"
        -drive "file=$img/root.img,format=raw,if=virtio,snapshot=on"
        -drive "file=$img/modules-$VM_KERNEL.img,format=raw,if=virtio,readonly=on"
        -drive "file=$dir/in.tar,format=raw,if=virtio,readonly=on"
        -drive "file=$dir/out.tar,format=raw,if=virtio,cache=unsafe"
        -serial "file:$dir/boot.log"
        -device virtio-serial-pci
        -chardev "file,id=output,path=$dir/output" -device virtserialport,chardev=output,name=output
        -chardev "file,id=status,path=$dir/status" -device virtserialport,chardev=status,name=status
    )
}

# usage: vm_told DIR WORD: what the guest said after WORD, if it did
vm_told() {
    [[ ! -f $1/status ]] || sed -n "s/^$2 //p" "$1/status" | tail -n 1
}

# usage: vm_start DIR: boots a guest that stays up, with ssh on a free port of the loopback; its
# setup scenario runs meanwhile. VM_PID and DIR/pid, DIR/port are set.
vm_start() {
    local dir=$1
    vm_command "$dir" "user,model=virtio-net-pci,restrict=on,hostfwd=tcp:127.0.0.1:0-:22"
    "${VM_GUARD[@]}" "${VM_COMMAND[@]}" </dev/null >"$dir/qemu.log" 2>&1 9>&- &
    VM_PID=$!
    echo "$VM_PID" >"$dir/pid"
}

# Given to vm_start's QEMU as a prefix: it lives in a session of its own, or dies with its starter.
VM_GUARD=(setsid)

# usage: vm_wait DIR SECONDS: until the setup has ended; VM_READY is its status. 1: it never did.
vm_wait() {
    local dir=$1 deadline=$((SECONDS + $2))
    while VM_READY=$(vm_told "$dir" ready) && [[ -z $VM_READY ]]; do
        kill -0 "$VM_PID" 2>/dev/null || return 1
        ((SECONDS < deadline)) || return 1
        sleep 0.1
    done
    vm_port "$dir" >"$dir/port"
    printf '[127.0.0.1]:%s %s\n' "$(<"$dir/port")" "$(vm_told "$dir" hostkey)" >"$dir/known_hosts"
}

# The port that QEMU was given by the kernel: two guests can never want the same one.
vm_port() {
    ss -Hltnp | sed -n "s/^.* 127\.0\.0\.1:\([0-9]*\) .*pid=$(<"$1/pid"),.*/\1/p" | head -n 1
}

# Is the guest of this directory running? The pid alone could belong to somebody else by now.
vm_alive() {
    local pid
    { pid=$(<"$1/pid"); } 2>/dev/null || return 1
    tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "file=$1/in.tar,"
}

# usage: vm_stop DIR: the guest's disks are throw-away, so it is simply ended
vm_stop() {
    local dir=$1 pid
    if vm_alive "$dir"; then
        pid=$(<"$dir/pid")
        kill "$pid" 2>/dev/null || true
        while vm_alive "$dir"; do sleep 0.05; done
    fi
    rm -rf "$dir"
}

# usage: vm_key DIR: a key for this one guest
vm_key() { ssh-keygen -q -t ed25519 -N '' -C ovscope-lab -f "$1/key"; }

# usage: vm_ssh DIR TTY COMMAND...: fills VM_SSH. The words arrive in the guest as they are given.
vm_ssh() {
    local dir=$1 tty=$2 utf8=C.UTF-8 words=()
    shift 2
    [[ $(locale charmap 2>/dev/null) == UTF-8 ]] || utf8=C
    words=(/lab/guest/enter "LANG=$utf8")
    [[ -z ${COLORTERM:-} ]] || words+=("COLORTERM=$COLORTERM")
    [[ -z ${NO_COLOR:-} ]] || words+=("NO_COLOR=$NO_COLOR")
    words+=(-- "$@")
    VM_SSH=(ssh -F /dev/null -i "$dir/key" -p "$(<"$dir/port")" -o IdentitiesOnly=yes -o BatchMode=yes
        -o "UserKnownHostsFile=$dir/known_hosts" -o GlobalKnownHostsFile=/dev/null
        -o StrictHostKeyChecking=yes -o LogLevel=ERROR -o ServerAliveInterval=15)
    [[ -z $tty ]] || VM_SSH+=(-tt)
    VM_SSH+=(root@127.0.0.1 "$(printf '%q ' "${words[@]}")")
}

# usage: vm_name NAME: the directory of a named guest
vm_name() {
    [[ ${1:-} =~ ^[A-Za-z0-9][A-Za-z0-9_-]*$ ]] || die "--name needs a plain name, not '${1:-}'"
    printf '%s\n' "$LAB_DIR/vm/up-$1"
}

# The kernel's last words, for a guest that went without a status.
vm_last_words() {
    local first
    first=$(grep -n -m 1 -E 'Kernel panic|BUG:|Oops:|general protection' "$1" | cut -d: -f1) || true
    say "the last lines of its console (all of it: $1):"
    if [[ -n $first ]]; then
        # From the first sign of trouble: the last lines alone are only a stack.
        tail -n "+$first" "$1" | head -n 40
    else
        tail -n 25 "$1"
    fi | tr -d '\r' | sed 's/^/  | /' >&2
}
