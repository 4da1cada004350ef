# Sourced by scenarios: several recordings at the same time.
# shellcheck shell=bash

recorders=()
recordings=()

# usage: with NAME OPTION...: begins to record to /root/NAME.mcap; what it says goes to /out/NAME.err
with() {
    local name=$1
    shift
    ovscope record -o "/root/$name.mcap" --ask 0 --rpc-rate 0 "$@" 2>"/out/$name.err" &
    recorders+=($!)
    recordings+=("$name")
}

# Until all of them record.
wait_for_recorders() {
    local name
    for name in "${recordings[@]}"; do wait_for "grep -q '^recording' /out/$name.err" 200; done
}

# Ends them, and leaves their events in /out/NAME.jsonl.
end_recorders() {
    local name n
    for n in "${!recorders[@]}"; do
        kill -INT "${recorders[n]}" && continue
        cat "/out/${recordings[n]}.err" && dmesg | tail -n 20
        return 1
    done
    wait "${recorders[@]}"
    for name in "${recordings[@]}"; do ovscope export "/root/$name.mcap" >"/out/$name.jsonl"; done
}

# usage: refused NAME OPTION...: does not record; what it says goes to /out/NAME, with its status
refused() {
    local name=$1 status=0
    shift
    ovscope record -o "/root/$name.mcap" "$@" 2>"/out/$name" || status=$?
    echo "status $status" >>"/out/$name"
    [[ ! -e /root/$name.mcap ]] || echo "and a file" >>"/out/$name"
}
