#!/usr/bin/env bash
# Compares the rate limiter with the reference models over seeded scenarios, for as long as you like.
#
#   scripts/campaign.sh [--seeds N] [--seed S] [--minutes M]
#
#   --seeds N     scenarios of each kind (default 10000)
#   --seed S      the seed of the first one (default 1); `--seed S --seeds 1` repeats a failing one
#   --minutes M   go on with further seeds for M minutes instead
#
# A difference is printed with its seed and with the shortest scenario that shows it; the status is 0 only where
# there was none.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib/setup.sh"

export WEIR_SEEDS=10000
while [ $# -gt 0 ]; do
    case $1 in
        --seeds) name=WEIR_SEEDS ;;
        --seed) name=WEIR_SEED ;;
        --minutes) name=WEIR_MINUTES ;;
        --help | -h)
            sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
            exit
            ;;
        *) fail "unknown argument $1; --help lists what there is" ;;
    esac
    [[ ${2-} =~ ^[0-9]+$ ]] || fail "$1: expected a whole number"
    export "$name=$2"
    shift 2
done

need_rust
# All kinds of scenarios at the same time, so that minutes are the same minutes for each.
in_root cargo test --release --quiet -p sim --test differential -- --test-threads=8
