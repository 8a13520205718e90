#!/usr/bin/env bash
# Boots Weir in QEMU: installs what is missing, builds, and hands over to `weir-run` (qemu/harness), which packs the
# files and connects the console. `scripts/run.sh --help` says how to use it.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib/setup.sh"

kernel_given=no
for argument in "$@"; do
    case $argument in
        --help | -h)
            cat "$root/qemu/harness/src/bin/weir-run/usage.txt"
            exit
            ;;
        --kernel | --kernel=*) kernel_given=yes ;;
    esac
done

need_rust
build "the runner" -p harness --bin weir-run
target=$(target_directory)
weir_run=$target/debug/weir-run

# Wrong arguments are answered before anything large is installed or built for them.
"$weir_run" --check "$@"

need_qemu
if [ "$kernel_given" = no ]; then
    build "the kernel" -p kernel-bare --target x86_64-unknown-none --release
    set -- --kernel "$target/x86_64-unknown-none/release/weir" "$@"
fi

# Ctrl-C at a pipe ends QEMU; the runner stays to clean up. On a terminal it is a key like any other.
trap '' INT
exec "$weir_run" "$@"
