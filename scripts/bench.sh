#!/usr/bin/env bash
# Measures decisions, on this host beside other libraries and in the kernel under QEMU, and how the kernel boots and
# idles. Installs what is missing.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib/setup.sh"

usage() {
    cat <<'TEXT'
usage: scripts/bench.sh [--quick] [--json] [--host] [--guest] [--boot]

  --quick   few short samples: to see that it works, not to quote
  --json    one JSON object a line on the output, and nothing else
  --host    only the host: Weir's engine beside governor and throttlecrab, its policies beside cedar-policy, its
            queue beside a heap, its breakers and metrics beside recloser, failsafe, hdrhistogram and prometheus,
            and floors, in one run
  --guest   only the kernel under QEMU: `bench ratelimit`, `quota`, `cost`, `policy`, `priority` and `traffic`
  --boot    only the time from QEMU's start to the prompt, median of 5, and what the idle machine takes of a
            host core, over 3 s; on q35 and microvm, with the shipped files

Of these three, all that are named are measured; where none is named, all are.
Compare figures of one run with each other. Figures of different runs or machines differ for other reasons.
TEXT
}

peers=() format=() parts=()
for argument in "$@"; do
    case $argument in
        --help | -h)
            usage
            exit
            ;;
        --quick) peers+=(--quick) ;;
        --json) peers+=(--json) format=(--json) ;;
        --host | --guest | --boot) parts+=("${argument#--}") ;;
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
    local subject commands=()
    for subject in ratelimit quota cost policy priority traffic; do
        commands+=(--exec "bench $subject${format[*]:+ ${format[*]}}")
    done
    if [ ${#format[@]} -gt 0 ]; then
        # The console shows prompts and the boot as well; the objects are what begins with a brace.
        "$root/scripts/run.sh" "${commands[@]}" | tr -d '\r' | grep '^{'
    else
        "$root/scripts/run.sh" "${commands[@]}"
    fi
}

# --quick changes nothing here either.
bench_boot() {
    need_qemu
    build "the kernel" -p kernel-bare --target x86_64-unknown-none --release
    build "the boot benchmark" -p harness --bin weir-boot-bench
    heading "boot: QEMU's start to the prompt, and idling"
    local target
    target=$(target_directory)
    "$target/debug/weir-boot-bench" "$target/x86_64-unknown-none/release/weir" "${format[@]}"
}

[ ${#parts[@]} -gt 0 ] || parts=(host guest boot)
need_rust
status=0
for part in host guest boot; do
    if [[ " ${parts[*]} " == *" $part "* ]]; then
        # One part that fails leaves the others. Behind an `||` bash would go on within the part too.
        set +e
        (set -e; "bench_$part")
        part_status=$?
        set -e
        if [ "$part_status" -ne 0 ]; then
            say "the part $part failed with status $part_status"
            status=$part_status
        fi
    fi
done
exit "$status"
