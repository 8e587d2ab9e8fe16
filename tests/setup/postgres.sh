# shellcheck shell=bash
# A throw-away PostgreSQL server. Sourced by tests/run.sh, which owns $work and stops $services.
# shellcheck disable=SC2154

# Prints the directory of the newest server installed, or fails.
find_postgres() {
    local dir
    local -a candidates=()
    if command -v pg_config >/dev/null 2>&1; then
        candidates+=("$(pg_config --bindir)")
    fi
    while IFS= read -r dir; do
        candidates+=("$dir")
    done < <(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV)
    if command -v initdb >/dev/null 2>&1; then
        candidates+=("$(dirname "$(readlink -f "$(command -v initdb)")")")
    fi
    # pg_config comes with the client's headers: it alone does not mean that there is a server.
    for dir in "${candidates[@]}"; do
        if [[ -x $dir/postgres && -x $dir/initdb && -x $dir/pg_isready && -x $dir/createdb ]]; then
            printf '%s\n' "$dir"
            return
        fi
    done
    return 1
}

# start_postgres: exports DATABASE_URL.
start_postgres() {
    local bin port password data log attempt
    if ! bin=$(find_postgres); then
        install_packages "a PostgreSQL server" postgresql
        bin=$(find_postgres) || fail "found no PostgreSQL server after installing Debian's"
    fi

    local -a as_owner=()
    data="$work/postgres"
    mkdir -m 700 "$data"
    if [[ $(id -u) == 0 ]]; then
        # The server refuses to run as root.
        local owner=nobody
        id -u postgres >/dev/null 2>&1 && owner=postgres
        as_owner=(setpriv --reuid "$owner" --regid "$(id -g "$owner")" --clear-groups)
        chown "$owner" "$data"
        # The directory above holds nothing secret, and its owner is root.
        chmod 711 "$work"
        "${as_owner[@]}" test -w "$data" ||
            fail "user $owner, who is to run PostgreSQL, cannot reach $work: set TMPDIR to a directory that all users can enter"
    fi

    password=$("$venv/bin/python" -c 'import secrets; print(secrets.token_hex(16))')
    printf '%s\n' "$password" | "${as_owner[@]}" sh -c "umask 077; cat >'$data/password'"
    local -a collation=(--locale=C.UTF-8)
    if [[ $("$bin/postgres" --version) =~ \ ([0-9]+) ]] && ((BASH_REMATCH[1] >= 15)); then
        # Sorts text like a server set up for people, not by bytes: SQL that relies on byte order shows here.
        collation+=(--locale-provider=icu --icu-locale=en-US)
    fi
    log=$(cd "$data" && "${as_owner[@]}" "$bin/initdb" --pgdata="$data/data" --username=dewpoint --encoding=UTF8 \
        --auth=scram-sha-256 --pwfile="$data/password" --no-sync "${collation[@]}" 2>&1) ||
        fail "initdb failed:"$'\n'"$log"

    # Another process may take the port between the look and the start: hence several attempts.
    for attempt in 1 2 3 4 5; do
        port=$("$venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
        # A session of its own keeps Ctrl-C from it until the tests have ended; SIGQUIT, an immediate stop, reaches it
        # even when this script is killed.
        (
            cd "$data" || exit
            exec setsid "${as_owner[@]:-setpriv}" --pdeathsig QUIT "$bin/postgres" -D "$data/data" -p "$port" \
                -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=200 \
                -c fsync=off -c full_page_writes=off </dev/null >"$work/postgres.log" 2>&1
        ) &
        services+=("$!:QUIT")
        if wait_for_postgres "$bin" "$port" "$!"; then
            PGPASSWORD=$password "$bin/createdb" -h 127.0.0.1 -p "$port" -U dewpoint dewpoint ||
                fail "could not create the test database"
            export DATABASE_URL="postgres://dewpoint:$password@127.0.0.1:$port/dewpoint"
            return
        fi
        grep -q 'Address already in use' "$work/postgres.log" || break
    done
    fail "PostgreSQL did not start (attempt $attempt):"$'\n'"$(cat "$work/postgres.log")"
}

# wait_for_postgres BIN PORT PID: false when the server ended or did not answer within 60 s.
wait_for_postgres() {
    local tries
    for ((tries = 0; tries < 600; tries++)); do
        kill -0 "$3" 2>/dev/null || return 1
        "$1/pg_isready" -q -h 127.0.0.1 -p "$2" -t 1 && return
        sleep 0.1
    done
    return 1
}
