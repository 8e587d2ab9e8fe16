# shellcheck shell=bash
# The tests' Python environment: moto, boto3, pysnc, pysnow, atlassian-python-api and Azure's SDKs, pinned. Sourced by tests/run.sh.

# prepare_python REQUIREMENTS CACHE_DIR: sets $venv to an environment that holds exactly these requirements.
prepare_python() {
    local requirements=$1 cache=$2 python hash log
    # Debian's own interpreter stands behind one that is on the PATH for other reasons and too old.
    for python in python3 /usr/bin/python3; do
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break
        python=
    done
    [[ -n $python ]] || fail "the tests need Python 3.11 or later (\`python3\` on the PATH)"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        install_packages "Python's venv module" python3-venv

    # A directory per content: two checkouts with different pins can be tested side by side.
    hash=$({ "$python" -c 'import sys; print(sys.executable, sys.version)'; cat "$requirements"; } | sha256sum)
    venv="$cache/venv-${hash:0:16}"
    mkdir -p "$cache"
    local lock
    exec {lock}>"$cache/lock"
    flock "$lock"
    if [[ ! -e $venv/complete ]]; then
        say "installing $requirements into $venv"
        rm -rf "$venv"
        log=$({ "$python" -m venv "$venv" &&
            "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
                --requirement "$requirements" &&
            "$venv/bin/python" -m pip check; } 2>&1 </dev/null) ||
            fail "could not install the tests' Python packages:"$'\n'"$log"
        touch "$venv/complete"
    fi
    exec {lock}>&-
}
