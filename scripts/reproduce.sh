#!/usr/bin/env bash
# Builds the program and regenerates results/NAME from scenarios/experiments/NAME.yaml: of every
# experiment, or of those named. The same commit gives the same bytes on every machine.
set -euo pipefail
cd "$(dirname "$0")/.."
CONSILIUM_COMMIT=$(git rev-parse --short=12 HEAD)
export CONSILIUM_COMMIT
cargo build --release --locked
if [ $# -eq 0 ]; then
    set -- $(cd scenarios/experiments && ls -- *.yaml)
fi
for experiment in "$@"; do
    name=${experiment%.yaml}
    echo "== $name"
    target/release/consilium sweep "scenarios/experiments/$name.yaml" --out "results/$name"
done
