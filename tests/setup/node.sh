# shellcheck shell=bash
# What the tests take from npm, pinned by its lock file. Sourced by tests/run.sh.

# prepare_node FOLDER CACHE_DIR: sets $node_modules to a directory that holds exactly what FOLDER's lock file names.
prepare_node() {
    local folder=$1 cache=$2 hash home log
    need_command node "install Node 18 or later"
    need_command npm "install Node 18 or later, with npm"

    # A directory per content, as for Python.
    hash=$({ node --version; cat "$folder/package.json" "$folder/package-lock.json"; } | sha256sum)
    home="$cache/node-${hash:0:16}"
    node_modules="$home/node_modules"
    mkdir -p "$cache"
    local lock
    exec {lock}>"$cache/lock"
    flock "$lock"
    if [[ ! -e $home/complete ]]; then
        say "installing $folder into $home"
        rm -rf "$home"
        mkdir "$home"
        cp "$folder/package.json" "$folder/package-lock.json" "$home"
        # No package runs anything while it is installed.
        log=$(cd "$home" && npm ci --ignore-scripts --no-audit --no-fund --silent 2>&1 </dev/null) ||
            fail "could not install the tests' npm packages:"$'\n'"$log"
        touch "$home/complete"
    fi
    exec {lock}>&-
}
