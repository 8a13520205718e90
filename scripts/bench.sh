#!/usr/bin/env bash
# Measures decisions: on this host beside other libraries, and in the kernel under QEMU. Installs what is missing.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib/setup.sh"

usage() {
    cat <<'TEXT'
usage: scripts/bench.sh [--quick] [--json] [--host | --guest]

  --quick   few short samples: to see that it works, not to quote
  --json    one JSON object a line on the output, and nothing else
  --host    only the host: Weir's engine, governor, throttlecrab and floors, side by side in one run
  --guest   only the kernel under QEMU: `bench ratelimit`

Compare figures of one run with each other. Figures of different runs or machines differ for other reasons.
TEXT
}

peers=() format=() host=yes guest=yes
for argument in "$@"; do
    case $argument in
        --help | -h)
            usage
            exit
            ;;
        --quick) peers+=(--quick) ;;
        --json) peers+=(--json) format=(--json) ;;
        --host) guest=no ;;
        --guest) host=no ;;
        *)
            usage >&2
            exit 2
            ;;
    esac
done

# Prints a heading for people, and keeps out of the way of programs.
heading() {
    [ ${#format[@]} -gt 0 ] || printf '\n== %s\n' "$*"
}

bench_host() {
    local manifest=benches/peers/Cargo.toml target
    need_rust
    build "the benchmark" --manifest-path "$manifest" --release --locked
    target=$(in_root cargo metadata --no-deps --format-version 1 --manifest-path "$manifest" |
        sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
    heading "host: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
    "$target/release/peers" "${peers[@]}"
}

# The kernel says itself how long it measures; --quick changes nothing here.
bench_guest() {
    heading "guest: the kernel under QEMU"
    if [ ${#format[@]} -gt 0 ]; then
        # The console shows prompts and the boot as well; the objects are what begins with a brace.
        "$root/scripts/run.sh" --exec 'bench ratelimit --json' | tr -d '\r' | grep '^{'
    else
        "$root/scripts/run.sh" --exec 'bench ratelimit'
    fi
}

status=0
if [ "$host" = yes ]; then
    bench_host
fi
if [ "$guest" = yes ]; then
    bench_guest || {
        status=$?
        say "the kernel's benchmark failed with status $status"
    }
fi
exit "$status"
