#!/usr/bin/env bash
# Leaves out every guard of every protocol, one at a time, and searches for a run that shows it;
# writes results/mutants after each. Arguments go to `consilium fuzz`: with `--protocol raft` the
# rows of the other protocols stay as they are, `--time` is how long one guard is searched for.
# The build with guards that can be left out is kept apart from the usual one.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked --features mutants --target-dir target/mutants
target/mutants/release/consilium fuzz --mutants --seeds 5000 --time 60s --out results/mutants "$@"
cat results/mutants/mutants.md
