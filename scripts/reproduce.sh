#!/usr/bin/env bash
# Builds the program and regenerates results/NAME from scenarios/experiments/NAME.yaml: of every
# experiment, or of those named; `search` is the study of searches. The same commit gives the same
# bytes on every machine, but for the figure of measured times.
set -euo pipefail
cd "$(dirname "$0")/.."
CONSILIUM_COMMIT=$(git rev-parse --short=12 HEAD)
export CONSILIUM_COMMIT
cargo build --release --locked
if [ $# -eq 0 ]; then
    set -- $(cd scenarios/experiments && ls -- *.yaml) search
fi
for experiment in "$@"; do
    name=${experiment%.yaml}
    echo "== $name"
    if [ "$name" = search ]; then
        target/release/consilium study search --out results/search
        continue
    fi
    target/release/consilium sweep "scenarios/experiments/$name.yaml" --out "results/$name"
done
