#!/usr/bin/env bash
# Results appear whole or not at all: kills sweeps at random instants and resumes them, lets files
# outgrow what they may have, and has two processes write into one folder. About a minute after
# the build. KILLS=200 kills as often.
set -euo pipefail
cd "$(dirname "$0")/.."
kills="${KILLS:-20}"
cargo build --release --locked --quiet
consilium="$PWD/target/release/consilium"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
RANDOM=7

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

cat > "$work/calm.yaml" <<'YAML'
about: Small runs, so that there are many instants to be killed at.
seed: 1
duration: 1500ms
nodes: 4
protocol: raft
workload: { rate: 300/s, patients: 100 }
YAML
cat > "$work/experiment.yaml" <<'YAML'
about: Small runs, so that there are many instants to be killed at.
scenario: calm.yaml
sweep:
  protocol: [raft, pbft, iraft]
  nodes: [4, 7, 13, 31]
seeds: 5
figures: [throughput-by-nodes, timeline]
YAML

sweep() {
    "$consilium" --quiet sweep "$work/experiment.yaml" --jobs 2 "$@" >/dev/null
}

# What must be the same again: everything but the speed of this machine and the report that tells it.
compare() {
    diff -rq --exclude=speed.csv --exclude=report.html "$work/whole" "$1"
}

# Every file under a final name is complete, that is, as in the sweep that nobody interrupted.
whole_or_absent() {
    local file name
    for file in "$1"/*; do
        name="$(basename "$file")"
        case "$name" in unfinished | '*' | speed.csv | report.html) continue ;; esac
        cmp -s "$file" "$work/whole/$name" || fail "$name is there and not whole ($2)"
    done
}

echo "== a sweep that nobody interrupts"
sweep --out "$work/whole"

echo "== killed $kills times, then resumed"
for ((kill = 0; kill < kills; kill++)); do
    "$consilium" --quiet sweep "$work/experiment.yaml" --jobs 2 --resume --out "$work/killed" >/dev/null 2>&1 &
    victim=$!
    sleep "0.$(printf '%03d' $((RANDOM % 400)))"
    kill -9 "$victim" 2>/dev/null || true
    wait "$victim" 2>/dev/null || true
    whole_or_absent "$work/killed" "kill $kill"
done
sweep --resume --out "$work/killed"
compare "$work/killed" || fail "a resumed sweep gives other bytes"

echo "== a kept run that was damaged is run again"
(sweep --out "$work/damaged") &
victim=$!
sleep 0.6
kill -INT "$victim" 2>/dev/null || true
pkill -INT -P "$victim" 2>/dev/null || true
wait "$victim" 2>/dev/null || true
for file in "$work"/damaged/unfinished/*.run; do
    [ -e "$file" ] || continue
    printf 'x' | dd of="$file" bs=1 seek=40 conv=notrunc status=none
done
sweep --resume --out "$work/damaged"
compare "$work/damaged" || fail "damaged runs were used"

echo "== files that may not grow"
code=0
(
    trap '' XFSZ
    ulimit -f 4
    sweep --out "$work/full"
) 2>"$work/full.txt" || code=$?
[ "$code" = 5 ] || fail "a full disk ends with $code, not 5"
grep -q 'cannot write' "$work/full.txt" || fail "it does not say what it could not write"
whole_or_absent "$work/full" "full disk"

echo "== two processes in one folder"
"$consilium" --quiet sweep "$work/experiment.yaml" --jobs 1 --out "$work/both" >/dev/null 2>&1 &
first=$!
sleep 0.3
code=0
sweep --out "$work/both" 2>"$work/both.txt" || code=$?
[ "$code" = 5 ] || fail "the second process ends with $code, not 5"
grep -q 'another process' "$work/both.txt" || fail "it does not say why"
wait "$first"
compare "$work/both" || fail "the first process was disturbed"

echo "Results are whole or absent."
