#!/usr/bin/env bash
# Everything that must hold before a change is merged: what CI runs, the documentation and, if
# cargo-deny is installed, licences and advisories of the dependencies.
set -euo pipefail
cd "$(dirname "$0")/.."

.ci/run

printf '\n== cargo doc\n'
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

if cargo deny --version >/dev/null 2>&1; then
    printf '\n== cargo deny\n'
    cargo deny --locked check
else
    echo "== no cargo-deny: dependencies are not checked"
fi

printf '\nEverything holds.\n'
