#!/usr/bin/env bash
# Names the functions and lines behind the addresses of a kernel backtrace.
#
#   scripts/run.sh | tee session.log
#   scripts/symbolize.sh < session.log
#   scripts/symbolize.sh path/to/weir < session.log
#
# All lines pass; each line `  #0 0xffffffff80212345` is followed by what stands at the address. The ELF file has to be
# the one that ran; without an argument it is the last release build.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib/setup.sh"

if [ $# -gt 1 ] || [ "${1-}" = --help ] || [ "${1-}" = -h ]; then
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
    [ $# -le 1 ]
    exit
fi

elf=${1-}
if [ -z "$elf" ]; then
    elf=$(target_directory)/x86_64-unknown-none/release/weir
fi
[ -r "$elf" ] || fail "$elf: no such kernel; build it with: cargo kbuild"
addr2line=$(command -v llvm-addr2line || command -v addr2line || true)
if [ -z "$addr2line" ]; then
    need_program addr2line binutils
    addr2line=addr2line
fi

frame='^[[:space:]]*#([0-9]+)[[:space:]]+0x([0-9a-fA-F]+)'
while IFS= read -r line || [ -n "$line" ]; do
    printf '%s\n' "$line"
    if [[ $line =~ $frame ]]; then
        # Frame 0 is where it happened; the others are where a call returns to, one byte past the call.
        address=$((16#${BASH_REMATCH[2]} - (BASH_REMATCH[1] > 0)))
        "$addr2line" -e "$elf" -f -C -i -p "0x$(printf '%x' "$address")" | sed "s|$root/||; s/::h[0-9a-f]\{16\}//; s/^/       /"
    fi
done
