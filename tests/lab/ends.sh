# Every way that a recording ends: by each signal, by a kill, by a full disk, by a reader that goes, by its limits.
set -euo pipefail
. /lab/guest/lib.sh

start_ovs
two_hosts
static_arp 1 2
in_host 1 ping -c 1 -w 10 "$(ip_of 2)" >/dev/null
in_host 1 ping -q -i 0.01 "$(ip_of 2)" >/dev/null &
ping=$!
# usage: record NAME OPTIONS…: in the background, until the probes are attached
record() {
    local name=$1
    shift
    ovscope record "$@" 2>"/out/$name.err" &
    recorder=$!
    wait_for "grep -q '^recording' /out/$name.err" 120
}

for signal in TERM HUP; do
    record "$signal" -o "/out/$signal.mcap" --ring 8M
    sleep 1.5
    kill "-$signal" "$recorder"
    wait "$recorder"
done

# A row of files, and a kill in its middle.
record KILL -o /out/row.mcap --max-age 1s
sleep 5.3
kill -KILL "$recorder"
wait "$recorder" || true

# As it comes: what is read from the pipe while the other end still writes.
mkfifo /tmp/pipe
ovscope export - </tmp/pipe >/out/pipe.jsonl 2>/out/export.err &
exporter=$!
record pipe -o - >/tmp/pipe
wait_for 'test -s /out/pipe.jsonl' 30
kill -0 "$recorder"
kill -INT "$recorder"
wait "$recorder"
wait "$exporter"

# Who reads goes.
status=0
ovscope record -o - 2>/out/gone.err | head -c 30000 >/dev/null || status=$?
echo "status $status" >>/out/gone.err

# A disk that gets full.
mkdir /tmp/small
mount -t tmpfs -o size=96k none /tmp/small
status=0
timeout 120 ovscope record -o /tmp/small/full.mcap 2>/out/full.err || status=$?
echo "status $status" >>/out/full.err
cp /tmp/small/full.mcap /out/full.mcap
kill "$ping"
