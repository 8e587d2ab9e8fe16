#!/usr/bin/env bash
# Installs what the tests need and runs all of them.
#
#   tests/run.sh [ARGUMENT…]                    cargo test over the workspace, with these arguments added
#   tests/run.sh --services-only -- COMMAND…    any command, with the same services and environment
#
# Needs Rust, a C compiler, Python 3.11 and Node 18. Installs moto, boto3, PySNC, pysnow, atlassian-python-api and Azure's SDKs (a Python
# environment in the cache directory), jira-insights-api (from npm, beside it) and, as Debian packages, what is missing of Python's venv
# module and PostgreSQL (Debian's package also sets up its usual server, which the tests leave alone). The services listen on loopback only
# and end with this script.
#
# Read, with the default:
#   DATABASE_URL         none: a throw-away PostgreSQL server is started. Given: that server is used, as an administrator
#   DEWPOINT_TEST_CACHE  ~/.cache/dewpoint-tests: keeps the Python environment and the npm packages
#   CARGO_TARGET_DIR     ~/.cache/dewpoint-target
# Exported to the tests, beside these:
#   DEWPOINT_TEST_MOTO         URL of a running moto server
#   DEWPOINT_TEST_MOTO_SERVER  the moto_server program, for a test that wants a server of its own
#   DEWPOINT_TEST_PYTHON       a Python that has boto3, pysnc, pysnow, atlassian-python-api and Azure's SDKs
#   DEWPOINT_TEST_NODE_MODULES a folder node_modules that has jira-insights-api
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
setup="$root/tests/setup"
# shellcheck source=tests/setup/common.sh
. "$setup/common.sh"
# shellcheck source=tests/setup/python.sh
. "$setup/python.sh"
# shellcheck source=tests/setup/node.sh
. "$setup/node.sh"
# shellcheck source=tests/setup/postgres.sh
. "$setup/postgres.sh"
# shellcheck source=tests/setup/moto.sh
. "$setup/moto.sh"

venv=
node_modules=
command_pid=
services=() # "PID:SIGNAL" each

# Prints PID and all processes below it, children first.
# shellcheck disable=SC2317 # called by the trap
process_tree() {
    local child
    while read -r child; do
        process_tree "$child"
    done < <(cat "/proc/$1/task/"*/children 2>/dev/null | tr ' ' '\n')
    printf '%s\n' "$1"
}

# shellcheck disable=SC2317 # called by the trap
stop() {
    local status=$? service
    trap - EXIT
    trap '' INT TERM HUP
    if [[ -n $command_pid ]]; then
        # cargo ends without its tests: tell them too.
        process_tree "$command_pid" | xargs kill -TERM 2>/dev/null || true
        wait "$command_pid" 2>/dev/null || true
    fi
    for service in "${services[@]}"; do
        kill -"${service#*:}" "${service%:*}" 2>/dev/null || true
    done
    for service in "${services[@]}"; do
        wait "${service%:*}" 2>/dev/null || true
    done
    rm -rf "$work"
    exit "$status"
}

work=$(mktemp -d "${TMPDIR:-/tmp}/dewpoint-tests.XXXXXX")
trap stop EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

if [[ ${1-} == --services-only ]]; then
    shift
    [[ ${1-} == -- ]] && shift
    (($# > 0)) || fail "--services-only needs a command: tests/run.sh --services-only -- COMMAND…"
    argv=("$@")
else
    need_command cargo "install Rust 1.95 or later"
    need_command cc "install gcc; SQLite and the TLS library are compiled from C"
    cd "$root"
    argv=(cargo test --locked --no-fail-fast)
    case " $* " in
    *' -p'* | *' --package'*) ;;
    *) argv+=(--workspace) ;;
    esac
    argv+=("$@")
fi

prepare_python "$setup/requirements.txt" "${DEWPOINT_TEST_CACHE:-$cache_home/dewpoint-tests}"
prepare_node "$setup/node" "${DEWPOINT_TEST_CACHE:-$cache_home/dewpoint-tests}"
if [[ -z ${DATABASE_URL-} ]]; then
    start_postgres
fi
start_moto
export DEWPOINT_TEST_PYTHON="$venv/bin/python"
export DEWPOINT_TEST_NODE_MODULES="$node_modules"
export DEWPOINT_TEST_MOTO_SERVER="$venv/bin/moto_server"

# Nothing of this machine's own AWS set-up may reach a test, and no test may reach AWS.
while IFS= read -r name; do
    unset "$name"
done < <(compgen -e AWS_)
export AWS_ACCESS_KEY_ID=testing AWS_SECRET_ACCESS_KEY=testing AWS_EC2_METADATA_DISABLED=true
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null
NO_PROXY="${NO_PROXY-${no_proxy-}}"
NO_PROXY="127.0.0.1,localhost${NO_PROXY:+,$NO_PROXY}"
export NO_PROXY no_proxy="$NO_PROXY"

# In the background, so that a signal to this script is served at once; bash would have it ignore Ctrl-C and read nothing.
env --default-signal=INT,QUIT "${argv[@]}" <&0 &
command_pid=$!
status=0
wait "$command_pid" || status=$?
command_pid=
exit "$status"
