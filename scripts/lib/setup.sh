# Set-up that the scripts share: what they need is installed once, and only what is missing.
# A script sources this after `set -euo pipefail`. Messages go to the error output.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
script=$(basename "$0")

# say TEXT...: one line for the user.
say() {
    printf '%s: %s\n' "$script" "$*" >&2
}

# fail TEXT...: one line for the user, then the end. 4 is "anything else" among the statuses of run.sh.
fail() {
    say "$@"
    exit 4
}

# in_root COMMAND...: runs a command at the top of the checkout, where cargo finds its settings and its toolchain.
in_root() {
    (cd "$root" && "$@")
}

# need_program PROGRAM PACKAGE...: makes sure that a program is there, from Debian packages if need be.
need_program() {
    local program=$1
    shift
    command -v "$program" >/dev/null && return
    local install=(apt-get install -y --no-install-recommends "$@")
    if ! command -v apt-get >/dev/null; then
        fail "needs $program (Debian packages: $*)"
    elif [ "$(id -u)" -ne 0 ]; then
        fail "needs $program; install it with:  sudo ${install[*]}"
    fi
    say "installing $*"
    local log
    log=$(mktemp)
    if ! { apt-get update && DEBIAN_FRONTEND=noninteractive "${install[@]}"; } >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        fail "could not install $*"
    fi
    rm -f "$log"
}

# need_rust: the toolchain of rust-toolchain.toml with its target and components, and a linker for host programs.
need_rust() {
    if ! command -v cargo >/dev/null && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
        PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH" # a shell that was open when rustup was installed
    fi
    command -v cargo >/dev/null || fail "needs Rust; install rustup as https://rustup.rs says"
    need_program cc gcc libc6-dev
    if command -v rustup >/dev/null && ! in_root rust_is_complete; then
        say "installing the Rust toolchain that rust-toolchain.toml names"
        in_root install_rust >&2 || fail "rustup could not install the toolchain"
    fi
}

rust_is_complete() {
    local libraries
    libraries=$(RUSTUP_AUTO_INSTALL=0 rustc --print target-libdir --target x86_64-unknown-none 2>/dev/null) &&
        [ -d "$libraries" ] && cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1
}

install_rust() {
    local channel
    channel=$(sed -n 's/^channel *= *"\(.*\)"/\1/p' rust-toolchain.toml)
    rustup toolchain install "$channel" --profile minimal --no-self-update \
        --target x86_64-unknown-none --component rustfmt --component clippy
}

# need_qemu: the emulator; one that the user names is the user's to install.
need_qemu() {
    if [ -n "${QEMU-}" ]; then
        command -v "$QEMU" >/dev/null || fail "QEMU=$QEMU: no such program"
    else
        need_program qemu-system-x86_64 qemu-system-x86
    fi
}

# target_directory: where cargo puts what it builds.
target_directory() {
    in_root cargo metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p'
}

# build WHAT CARGO-ARGUMENT...: `cargo build`, silent unless it takes long or fails.
build() {
    local what=$1 notice status=0
    shift
    # The sleep must not hold the caller's output open once it is of no use any more.
    (sleep 3 >/dev/null 2>&1 && say "building $what ...") &
    notice=$!
    in_root cargo build --quiet "$@" </dev/null >&2 || status=$?
    kill "$notice" 2>/dev/null || true
    wait "$notice" 2>/dev/null || true
    [ "$status" -eq 0 ] || fail "could not build $what"
}
