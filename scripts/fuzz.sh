#!/usr/bin/env bash
# Feeds anything to whatever reads what others have written: scenario files, `--set`, and calls of the
# contract. Needs cargo-fuzz and a nightly toolchain. MINUTES=60 takes so long for each; findings are
# left in target/fuzz.
set -euo pipefail
cd "$(dirname "$0")/.."
minutes="${MINUTES:-5}"
# There is no unsafe code here, so nothing is gained by a sanitizer, and without one it is twice as fast.
for target in ${TARGETS:-scenario overrides call}; do
    corpus="target/fuzz/$target"
    mkdir -p "$corpus"
    if [[ "$target" == scenario ]]; then
        find scenarios -name '*.yaml' -size -8k | while read -r file; do
            cp "$file" "$corpus/${file//\//-}"
        done
    fi
    echo "== $target"
    cargo +nightly fuzz run --sanitizer none --fuzz-dir scripts/fuzz --target-dir target/fuzz/build "$target" "$corpus" -- \
        -artifact_prefix="target/fuzz/" -max_total_time="$((minutes * 60))" -timeout=10 -rss_limit_mb=4096 \
        -print_final_stats=1 2>&1 | grep -E '^(stat|SUMMARY|==|thread|Base64)|panicked|DONE' || exit 1
done
