#!/usr/bin/env bash
# The same scenario and seed are the same run, whatever runs it: compares the fingerprints of runs in
# other surroundings (language, time zone, folder, home, addresses, load, threads), with the reference
# kernel, of other builds (debug, least optimised, whole-program, for this very processor, another C
# library) and of another processor, ARM, if qemu-aarch64 is there (QEMU names it if it is not on the
# path). About half an hour, nearly all of it building. BUILDS="debug arm" builds only these; none if
# it is empty.
set -euo pipefail
cd "$(dirname "$0")/.."
builds="${BUILDS-debug least whole native musl arm}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cargo build --release --locked --quiet
consilium="$PWD/target/release/consilium"
calm=("$PWD"/scenarios/calm/*.yaml)
weather=("$PWD"/scenarios/weather/*.yaml)
failed=0

# The fingerprint of each scenario, run by the command before `--`: what nothing disturbs for two
# seconds, the rest to the end. Short runs miss what they expect of long ones, so the exit code of
# the command says nothing.
fingerprints() {
    local run=()
    while [[ "$1" != -- ]]; do run+=("$1"); shift; done
    shift
    {
        "${run[@]}" run "${calm[@]}" --quiet --set duration=2s --set warmup=500ms "$@" || true
        "${run[@]}" run "${weather[@]}" --quiet "$@" || true
    } | grep -E '^ *fingerprint|^[^ ]+: '
}

# Compares with the first.
same() {
    local what="$1"
    shift
    if fingerprints "$@" | cmp -s - "$work/first"; then
        echo "equal      $what"
    else
        echo "DIFFERENT  $what"
        failed=1
    fi
}

fingerprints "$consilium" -- > "$work/first"
echo "$(grep -c fingerprint "$work/first") runs, compared with themselves:"
same "again" "$consilium" --
same "with two threads" "$consilium" -- --jobs 2
same "with the reference kernel" "$consilium" -- --reference
same "in Turkish, in another time zone" env LC_ALL=tr_TR.UTF-8 TZ=Asia/Kathmandu "$consilium" --
same "without an environment" env -i "$consilium" --
(cd / && same "in another folder" "$consilium" -- && exit "$failed") || failed=1
if setarch -R true 2>/dev/null; then
    same "with addresses that are always the same" setarch -R "$consilium" --
fi
yes > /dev/null &
load=$!
same "under load" nice "$consilium" --
kill "$load" 2>/dev/null || true

# Builds into a folder of its own, and compares; `$1` is its name, the rest settings for cargo.
build() {
    local name="$1" target="$2" folder="target/determinism/$1"
    shift 2
    env "$@" CARGO_TARGET_DIR="$folder" cargo build --locked --quiet \
        ${target:+--target "$target"} --profile "${PROFILE:-release}"
    local kind="${PROFILE:-release}"
    [[ "$kind" == dev ]] && kind=debug
    built="$folder/${target:+$target/}$kind/consilium"
}

for name in $builds; do
    case "$name" in
        debug) PROFILE=dev build debug "" ;;
        least) build least "" CARGO_PROFILE_RELEASE_OPT_LEVEL=1 ;;
        whole) build whole "" CARGO_PROFILE_RELEASE_LTO=fat ;;
        native) build native "" RUSTFLAGS="-C target-cpu=native" ;;
        musl) build musl x86_64-unknown-linux-musl ;;
        arm) build arm aarch64-unknown-linux-musl \
            RUSTFLAGS="-C linker=rust-lld -C target-feature=+crt-static" ;;
        *) echo "there is no build $name" >&2; exit 2 ;;
    esac
    if [[ "$name" == arm ]]; then
        qemu="${QEMU:-$(command -v qemu-aarch64 || command -v qemu-aarch64-static || true)}"
        if [[ -z "$qemu" ]]; then
            echo "not run    on ARM: there is no qemu-aarch64"
            continue
        fi
        same "on ARM" "$qemu" "$PWD/$built" --
    else
        same "built otherwise: $name" "$PWD/$built" --
    fi
done
exit "$failed"
