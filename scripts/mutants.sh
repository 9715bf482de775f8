#!/usr/bin/env bash
# Leaves out every guard of every protocol, one at a time, and searches for a run that shows it, by
# seeds first and then among the scenarios written by hand; writes results/mutants after each.
# Arguments go to `consilium fuzz`: with `--protocol raft` the rows of the other protocols stay as
# they are. SECONDS_EACH is how long seeds are searched for one guard, 60 if it is not given.
# The build with guards that can be left out is kept apart from the usual one.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked --features mutants --target-dir target/mutants
target/mutants/release/consilium fuzz --mutants --seeds 5000 --time "${SECONDS_EACH:-60}s" --scenarios scenarios/known \
    --scenarios scenarios/byzantine --scenarios scenarios/weather --out results/mutants "$@"
cat results/mutants/mutants.md
