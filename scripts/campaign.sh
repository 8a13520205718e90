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
        --seeds | --seed | --minutes)
            [[ ${2-} =~ ^[0-9]+$ ]] || { echo "$1: expected a whole number" >&2; exit 2; }
            ;;&
        --seeds) export WEIR_SEEDS=$2 ;;
        --seed) export WEIR_SEED=$2 ;;
        --minutes) export WEIR_MINUTES=$2 ;;
        --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) echo "unknown argument $1; see scripts/campaign.sh --help" >&2; exit 2 ;;
    esac
    shift 2
done
cargo test --release -p sim --test differential
