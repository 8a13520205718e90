#!/usr/bin/env bash
# Compares the engine with the reference models over seeded scenarios, for as long as you like: the rate limiter; whole
# months of limits, quotas, prices, budgets, tickets and invoices; the books of costs with their own exact sums; policies;
# and the queues of the scheduler, with the bounds of what is fair.
#
#   scripts/campaign.sh [--seeds N] [--seed S] [--minutes M]
#
#   --seeds N     scenarios of each kind of the rate limiter (default 10000); of months, which are longer, half as many,
#                 at least 20 (5000 are about 1.8 million steps); of the books a tenth (1000 are 2 million steps); of
#                 policies and queues as many, and 5000 steps of fair queueing for each
#   --seed S      the seed of the first one (default 1); `--seed S --seeds 1` repeats a failing one; of months without
#                 reservations, S is the printed seed without its first 1000000000. The books always begin with
#                 their first
#   --minutes M   go on with further seeds of the rate limiter for M minutes instead; the others are as many as ever
#
# A difference is printed with its seed, and of the rate limiter with the shortest scenario that shows it; the status is
# 0 only where there was none.
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

# at_least LEAST NUMBER: the larger one; leading zeros make no octal number.
at_least() { echo $((10#$2 > $1 ? 10#$2 : $1)); }
# Fewer months may have no late outcome or no invoice in them, which their test takes for a fault of its own.
WEIR_MONTHS_SEEDS=$(at_least 20 $((10#$WEIR_SEEDS / 2)))
WEIR_MONTHS_SEED=$(at_least 1 "${WEIR_SEED:-1}")
WEIR_MONTHS=$(at_least 1 $((10#$WEIR_SEEDS / 10)))
export WEIR_MONTHS_SEEDS WEIR_MONTHS_SEED WEIR_MONTHS
# Fewer policies or queues may have nothing in them that their tests want to have seen.
WEIR_POLICY_SEEDS=$(at_least 100 "$WEIR_SEEDS")
WEIR_QUEUE_SEEDS=$(at_least 100 "$WEIR_SEEDS")
WEIR_POLICY_SEED=$(at_least 1 "${WEIR_SEED:-1}")
WEIR_QUEUE_SEED=$WEIR_POLICY_SEED
WEIR_FAIR_STEPS=$(at_least 1000000 $((10#$WEIR_SEEDS * 5000)))
export WEIR_POLICY_SEEDS WEIR_POLICY_SEED WEIR_QUEUE_SEEDS WEIR_QUEUE_SEED WEIR_FAIR_STEPS

need_rust
status=0
# All kinds of scenarios at the same time, so that minutes are the same minutes for each.
in_root cargo test --release --quiet -p sim --test differential -- --test-threads=8 || status=1
in_root cargo test --release --quiet -p sim --test months || status=1
in_root cargo test --release --quiet -p sim --test policies --test queues --test fairness || status=1
in_root cargo test --release --quiet -p governance --lib cost::tests::books::random_months || status=1
exit $status
