#!/usr/bin/env bash
# Checks everything: format, lints, documentation, tests on the host, tests on the target and whole sessions in QEMU.
#
#   scripts/test.sh           all of it
#   scripts/test.sh STEP...   some steps: format lint-host lint-target docs host doctests target target-microvm sessions
#
# Installs what is missing. Every step runs even where an earlier one failed. The last line is
# `N passed, N failed, N skipped`: tests, and each step that has none of its own as one. The status is 0 only where
# nothing failed. A test skips by printing a line that begins with `skipped:`.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib/setup.sh"

all_steps=(format lint-host lint-target docs host doctests target target-microvm sessions)

run_step() {
    case $1 in
        format) cargo fmt --all --check ;;
        lint-host) cargo clippy --all-targets --features harness/qemu -- -D warnings ;;
        lint-target) cargo kclippy --all-targets -- -D warnings ;;
        docs) document ;;
        host) cargo test --no-fail-fast --tests -- --show-output ;;
        doctests) cargo test --no-fail-fast --doc -- --show-output ;;
        target) WEIR_MACHINE=q35 cargo ktest --no-fail-fast ;;
        target-microvm) WEIR_MACHINE=microvm cargo ktest --no-fail-fast ;;
        sessions) run_sessions ;;
    esac
}

# The tests that need the feature `qemu`, as their manifest names them; all others run in the step `host`.
run_sessions() {
    local tests=()
    mapfile -t tests < <(awk -F '"' '
        /^\[/ { name = "" }
        $0 == "[[test]]" { is_test = 1; next }
        /^\[/ { is_test = 0 }
        is_test && /^name *=/ { name = $2 }
        is_test && /^required-features *=.*"qemu"/ { print "--test=" name }
    ' qemu/harness/Cargo.toml)
    [ ${#tests[@]} -gt 0 ] || fail "qemu/harness/Cargo.toml names no test that needs the feature qemu"
    cargo test -p harness --features qemu --no-fail-fast "${tests[@]}" -- --show-output
}

document() {
    export RUSTDOCFLAGS="-D warnings"
    cargo doc --no-deps && cargo doc --no-deps -p kernel-bare --target x86_64-unknown-none
}

# Steps of which each test counts; the others count as one.
has_tests() {
    case $1 in host | doctests | target | target-microvm | sessions) true ;; *) false ;; esac
}

# sum LOG WORD: adds up the numbers before a word in the result lines of cargo's tests and of the kernel's own.
sum() {
    { grep -E '^(test result: .*|[0-9]+ passed, [0-9]+ failed.*)$' "$1" || true; } |
        { grep -oE "[0-9]+ $2" || true; } | awk '{ total += $1 } END { print total + 0 }'
}

# count STEP STATUS LOG: sets step_passed, step_failed and step_skipped.
count() {
    local step=$1 status=$2 log=$3
    step_passed=0 step_failed=0 step_skipped=0
    if has_tests "$step"; then
        step_skipped=$(($(sum "$log" ignored) + $(grep -cE '^[[:space:]]*skipped: ' "$log" || true)))
        # A test that skips itself ends as passed for cargo.
        step_passed=$(($(sum "$log" passed) - $(grep -cE '^[[:space:]]*skipped: ' "$log" || true)))
        step_failed=$(sum "$log" failed)
        if [ "$status" -eq 0 ] && [ "$((step_passed + step_skipped))" -eq 0 ]; then
            say "$step ran no test" && step_failed=1
        fi
    elif [ "$status" -eq 0 ]; then
        step_passed=1
    fi
    # Something failed that is no test's result: the build, a lint, a test program that was killed.
    if [ "$status" -ne 0 ] && [ "$step_failed" -eq 0 ]; then
        step_failed=1
    fi
}

steps=("$@")
[ $# -gt 0 ] || steps=("${all_steps[@]}")
for step in "${steps[@]}"; do
    if [[ " ${all_steps[*]} " != *" $step "* ]]; then
        say "no step \"$step\"; steps are: ${all_steps[*]}"
        exit 2
    fi
done

need_rust
need_qemu
cd "$root"
logs=$(target_directory)/test-logs
mkdir -p "$logs"

passed=0 failed=0 skipped=0 summary=""
for step in "${steps[@]}"; do
    log=$logs/$step.log started=$SECONDS status=0
    printf '== %s\n' "$step"
    (run_step "$step") </dev/null >"$log" 2>&1 || status=$?
    count "$step" "$status" "$log"
    if [ "$step_failed" -gt 0 ]; then
        grep -vE '^test .* ok$|^ +(Compiling|Checking|Documenting|Downloaded|Running|Finished) ' "$log" || true
    fi
    grep -E '^[[:space:]]*(skipped: |idle on )' "$log" || true
    line=$(printf '%-15s %5d passed %3d failed %3d skipped %5d s' \
        "$step" "$step_passed" "$step_failed" "$step_skipped" "$((SECONDS - started))")
    printf '%s\n' "$line"
    summary+="$line"$'\n'
    passed=$((passed + step_passed)) failed=$((failed + step_failed)) skipped=$((skipped + step_skipped))
done

printf '\n%s\n%d passed, %d failed, %d skipped\n' "$summary" "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ]
