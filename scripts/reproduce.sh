#!/usr/bin/env bash
# Builds the program and regenerates results/NAME from scenarios/experiments/NAME.yaml of every
# experiment, results/reproduce-TARGET of every published target, and results/STUDY of every study;
# or of those named, like `scale`, `reproduce-huang2021` or `search`. The same commit gives
# the same bytes on every machine, but for the figure of measured times in the study.
set -euo pipefail
cd "$(dirname "$0")/.."
CONSILIUM_COMMIT=$(git rev-parse --short=12 HEAD)
export CONSILIUM_COMMIT
cargo build --release --locked
consilium=target/release/consilium
if [ $# -eq 0 ]; then
    targets=$("$consilium" list targets | awk '{ print "reproduce-" $1 }')
    set -- $(cd scenarios/experiments && ls -- *.yaml) $targets search tolerance rb-raft
fi
for name in "$@"; do
    name=${name%.yaml}
    echo "== $name"
    case $name in
        # Values that are farther from the published ones than they should be are results, too.
        reproduce-*) "$consilium" reproduce "${name#reproduce-}" --out "results/$name" || [ $? -eq 1 ] ;;
        search | tolerance | draw | rb-raft) "$consilium" study "$name" --out "results/$name" ;;
        *) "$consilium" sweep "scenarios/experiments/$name.yaml" --out "results/$name" ;;
    esac
done
