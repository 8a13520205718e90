#!/usr/bin/env bash
# Boots a kernel in QEMU: the runner behind `cargo krun` and `cargo ktest`.
#
#   qemu/run.sh ELF [FILTER]
#
# The `weir` binary goes to scripts/run.sh, which knows about files and configuration. Anything else is a
# test kernel: it passes if QEMU ends with status 33 (the exit device was given 0x10) and the last line says
# `N passed, 0 failed`. A triple fault and a power-off both end with status 0, so 0 is a failure.
# FILTER runs only the cases whose name contains it.
#
#   WEIR_MACHINE   q35 (default) or microvm
#   WEIR_MEMORY    megabytes, 64 by default
#   WEIR_TIMEOUT   seconds until a test is given up, 60 by default
#   QEMU           the emulator, qemu-system-x86_64 by default
#   QEMU_ACCEL     tcg (default) or kvm
set -euo pipefail

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
kernel=${1:?usage: qemu/run.sh ELF [FILTER]}
shift
if [[ $(basename "$kernel") == weir ]]; then
    exec "$root/scripts/run.sh" --kernel "$kernel" "$@"
fi

case ${WEIR_MACHINE:-q35} in
q35) machine=(-machine q35 -nodefaults) ;;
microvm) machine=(-machine microvm -nodefaults) ;;
*) echo "qemu/run.sh: WEIR_MACHINE is '$WEIR_MACHINE', expected q35 or microvm" >&2; exit 2 ;;
esac

filter=()
[[ $# == 0 ]] || filter=(-fw_cfg "name=opt/weir/filter,string=$1")

work=$(mktemp -d)
feeder=
trap '[[ -z $feeder ]] || kill "$feeder" 2>/dev/null || true; rm -rf "$work"' EXIT
mkfifo "$work/input"
: >"$work/output"

mkdir "$work/files"
printf 'alpha\n' >"$work/alpha.txt"
printf 'beta' >"$work/files/beta.txt"
tar --format=ustar -C "$work" -cf "$work/ramdisk" alpha.txt files

# A test that wants input asks for it when it listens: `@type TEXT` (with the escapes of printf), or
# `@feed BYTES` for that many bytes at once, the letters a to z over and over.
feed() {
    exec 3>"$work/input"
    tail -n +1 -f --pid=$$ "$work/output" 2>/dev/null | while IFS= read -r line; do
        line=${line%$'\r'}
        if [[ $line =~ ^@feed\ ([0-9]+)$ ]]; then
            yes abcdefghijklmnopqrstuvwxyz | tr -d '\n' | head -c "${BASH_REMATCH[1]}" >&3 || true
        elif [[ $line == @type\ * ]]; then
            printf '%b' "${line#@type }" >&3
        fi
    done
}
feed &
feeder=$!

status=0
timeout "${WEIR_TIMEOUT:-60}" "${QEMU:-qemu-system-x86_64}" "${machine[@]}" \
    -accel "${QEMU_ACCEL:-tcg}" -cpu max -m "${WEIR_MEMORY:-64}" \
    -display none -monitor none -no-reboot -serial stdio \
    -device isa-debug-exit,iobase=0xf4,iosize=0x04 \
    -fw_cfg name=opt/weir/greeting,string=hello \
    "${filter[@]}" \
    -kernel "$kernel" -initrd "$work/ramdisk" \
    <"$work/input" | tee "$work/output" || status=${PIPESTATUS[0]}

# A test of a fatal end announces it, before, in lines `@expect STATUS TEXT`: it passes if each TEXT stands
# in a later line and the status is that one.
if grep -q '^@expect ' "$work/output"; then
    tr -d '\r' <"$work/output" | sed '/^@expect /d' >"$work/words"
    while read -r _ wanted text; do
        if [[ $status != "$wanted" ]] || ! grep -qF -- "$text" "$work/words"; then
            echo "qemu/run.sh: $(basename "$kernel"): status $status, expected $wanted and '$text'" >&2
            exit 1
        fi
    done < <(tr -d '\r' <"$work/output" | grep '^@expect ')
    echo "1 passed, 0 failed"
    exit 0
fi

last=$(tr -d '\r' <"$work/output" | grep -v '^$' | tail -n 1)
if [[ $status == 33 && $last =~ ^[1-9][0-9]*\ passed,\ 0\ failed$ ]]; then
    exit 0
fi
case $status in
0) why="the machine ended without a status (triple fault, reset or power-off)" ;;
33) why="the last line is not 'N passed, 0 failed'" ;;
35) why="panic or exception" ;;
37) why="a command failed" ;;
124) why="no end within ${WEIR_TIMEOUT:-60} s" ;;
*) why="QEMU could not run it" ;;
esac
echo "qemu/run.sh: $(basename "$kernel"): status $status: $why" >&2
exit 1
