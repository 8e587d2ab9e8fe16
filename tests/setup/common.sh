# shellcheck shell=bash
# What .ci/run and tests/run.sh share. Sourced, never run.

cache_home="${XDG_CACHE_HOME:-${HOME:?HOME must be set}/.cache}"

# One target directory for every build of every checkout: the SDK's generated code is compiled once.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache_home/dewpoint-target}"

say() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
}

fail() {
    say "error: $*"
    exit 1
}

# need_command NAME WHY
need_command() {
    command -v "$1" >/dev/null 2>&1 || fail "\`$1\` is not installed: $2"
}

# install_packages WHAT PACKAGE…: installs Debian packages, or fails and says what is missing.
install_packages() {
    local what=$1 output
    shift
    command -v apt-get >/dev/null 2>&1 ||
        fail "$what is not installed, and there is no apt-get to install it with (Debian: $*)"
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -y -q)
    if [[ $(id -u) != 0 ]]; then
        # -n: without a terminal a password prompt would wait for ever.
        sudo -n true 2>/dev/null ||
            fail "$what is not installed; run \`apt-get install $*\` as root, or allow sudo without a password"
        apt=(sudo -n "${apt[@]}")
    fi
    say "installing $* ($what)"
    output=$({ "${apt[@]}" update && "${apt[@]}" install --no-install-recommends "$@"; } 2>&1 </dev/null) ||
        fail "apt-get could not install $*:"$'\n'"$output"
}
