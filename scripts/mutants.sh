#!/usr/bin/env bash
# Leaves out every guard of every protocol, one at a time, and searches for a run that shows it;
# writes results/mutants. Arguments go to `consilium fuzz`, like `--protocol raft --seeds 5000`.
# The build with guards that can be left out is kept apart from the usual one.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked --features mutants --target-dir target/mutants
target/mutants/release/consilium fuzz --mutants --seeds 2000 --out results/mutants "$@"
cat results/mutants/mutants.md
