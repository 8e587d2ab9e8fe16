# shellcheck shell=bash
# A moto server: the AWS wire protocol on loopback. Sourced by tests/run.sh, which owns $work and stops $services.
# shellcheck disable=SC2154

# start_moto: exports DEWPOINT_TEST_MOTO, its URL.
start_moto() {
    local log="$work/moto.log" port tries
    : >"$log"
    # Port 0: the server itself picks a free one and names it in its log.
    setsid setpriv --pdeathsig TERM "$venv/bin/moto_server" -H 127.0.0.1 -p 0 </dev/null >"$log" 2>&1 &
    services+=("$!:TERM")
    for ((tries = 0; tries < 600; tries++)); do
        kill -0 "$!" 2>/dev/null || break
        port=$(sed -n '\|.*Running on http://127\.0\.0\.1:\([0-9]*\).*|{s||\1|p;q}' "$log")
        if [[ -n $port ]] && "$venv/bin/python" -c "
import urllib.request
urllib.request.build_opener(urllib.request.ProxyHandler({})).open('http://127.0.0.1:$port/moto-api/data.json', timeout=30)
" 2>/dev/null; then
            export DEWPOINT_TEST_MOTO="http://127.0.0.1:$port"
            return
        fi
        sleep 0.1
    done
    fail "moto_server did not start:"$'\n'"$(cat "$log")"
}
