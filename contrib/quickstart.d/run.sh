# run: `reeve up`, the samples, a live table, a verdict.

run_packages=(python3 git ca-certificates)
idle_count=20
up_pid=
data=
own_data=
declare -A task

reeve() {
    local command=$1
    shift
    "$top/out/bin/reeve" "$command" --data "$data" "$@"
}

# The programs read what they are told here and nothing of another reeve or ClearML.
forget_servers() {
    local name
    for name in $(compgen -e); do
        case $name in
        CLEARML_* | TRAINS_* | REEVE_*) unset "$name" ;;
        esac
    done
}

prepare_data() {
    if [ -n "$data" ]; then
        mkdir -p "$data"
        data=$(cd "$data" && pwd)
    else
        data=$(mktemp -d "${TMPDIR:-/tmp}/reeve-quickstart.XXXXXX")
        own_data=yes
    fi
}

start_up() {
    local tries
    # In a session of its own: Ctrl-C comes to this script alone, which then stops it once.
    setsid "$top/out/bin/reeve" up --data "$data" --api-port 0 --web-port 0 --files-port 0 \
        --quiet >"$data/up.log" 2>&1 </dev/null &
    up_pid=$!
    for ((tries = 0; tries < 600; tries++)); do
        [ ! -e "$data/endpoint.json" ] || return 0
        kill -0 "$up_pid" 2>/dev/null || break
        sleep 0.1
    done
    tail -n 20 "$data/up.log" >&2
    die "reeve up did not start"
}

# The groups of the runs, so that their end can be seen.
remember_groups() {
    groups=$(reeve ps --all --json 2>/dev/null | python3 -c '
import json, sys
for run in json.load(sys.stdin):
    for path in run.get("cgroup") or []:
        print(path, path.split("/run/")[0], sep="\n")' | sort -u || :)
}

# Stops everything that was started; 1 if something is left of it.
stop_up() {
    local pid=$up_pid tries group left=0
    [ -n "$pid" ] || return 0
    up_pid=
    remember_groups
    kill -TERM "$pid" 2>/dev/null || :
    for ((tries = 0; tries < 900; tries++)); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    if kill -KILL "$pid" 2>/dev/null; then
        echo "quickstart: reeve up did not end by itself" >&2
        left=1
    fi
    wait "$pid" 2>/dev/null || :
    for group in $groups; do
        [ ! -d "$group" ] || { echo "quickstart: left behind: $group" >&2; left=1; }
    done
    # --data DIR is in our own command line, and in that of sudo.
    pgrep -af -- "$data" | grep -qv 'quickstart run ' &&
        { echo "quickstart: processes left behind" >&2; left=1; }
    return $left
}

finish() {
    local code=$?
    trap - EXIT
    trap '' INT TERM
    stop_up || code=1
    [ -z "$own_data" ] || rm -rf "$data"
    exit "$code"
}

# A repository with one commit, and a change of it that is not committed.
make_repository() {
    local repo=$data/sample/greeter
    rm -rf "$data/sample"
    mkdir -p "$repo"
    cp "$top/contrib/samples/greeter.py" "$repo/"
    local git=(git -C "$repo" -c user.name=quickstart -c user.email=quickstart@localhost)
    "${git[@]}" init -q
    "${git[@]}" add greeter.py
    "${git[@]}" commit -q -m "greet"
    sed -i 's/GREETING = "committed"/GREETING = "uncommitted"/' "$repo/greeter.py"
    "${git[@]}" diff >"$data/sample/greeter.diff"
    commit=$("${git[@]}" rev-parse HEAD)
}

submit() {
    local name=$1
    shift
    task[$name]=$(reeve submit --project quickstart --name "$name" "$@")
    say "enqueued $name ${task[$name]}"
}

submit_samples() {
    local samples=$top/contrib/samples number
    make_repository
    submit api-monitor "$samples/api_monitor.py"
    submit disk-watcher "$samples/disk_watcher.sh"
    submit greeter --repo "file://$data/sample/greeter" --commit "$commit" \
        --diff "$data/sample/greeter.diff" greeter.py
    submit flaky --restart on-failure:5 "$samples/flaky.sh"
    submit memory-eater --memory 64m "$samples/memory_eater.py"
    for ((number = 1; number <= idle_count; number++)); do
        task[idle-$number]=$(reeve submit --project quickstart --name "idle-$number" \
            -- sleep infinity)
    done
    say "enqueued idle-1 to idle-$idle_count"
}

endpoint() {
    python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' \
        "$data/endpoint.json" "$1"
}

addresses() {
    cat <<TEXT
web page    $(endpoint web)
API         $(endpoint api)
files       $(endpoint files)
keys        $data/endpoint.json (access_key, secret_key)
ClearML SDK export CLEARML_CONFIG_FILE=$data/clearml.conf
commands    $top/out/bin/reeve ps --data $data
TEXT
}

# The table until the deadline (0: until Ctrl-C), in place on a terminal.
show() {
    local deadline=$1 text shown
    text=$(addresses)
    while :; do
        kill -0 "$up_pid" 2>/dev/null || die "reeve up ended: see $data/up.log"
        shown=$(reeve ps --all 2>&1 || :)
        if [ -t 1 ]; then
            printf '\033[H\033[2J%s\n\n%s\n\n' "$text" "$shown"
            [ "$deadline" -gt 0 ] && echo "ends in $((deadline - SECONDS)) s; Ctrl-C ends it now" ||
                echo "Ctrl-C stops everything"
            pause 2 "$deadline"
        else
            printf '%s\n\n' "$shown"
            pause 15 "$deadline"
        fi
        [ "$deadline" -eq 0 ] || [ $SECONDS -lt "$deadline" ] || break
    done
}

# Sleeps, but not past the deadline. In the background, so that a signal ends it at once.
pause() {
    local seconds=$1 deadline=$2
    [ "$deadline" -eq 0 ] || [ $((SECONDS + seconds)) -le "$deadline" ] ||
        seconds=$((deadline - SECONDS))
    [ "$seconds" -gt 0 ] || return 0
    sleep "$seconds" &
    wait $! || :
}

good=0
bad=0

# verdict NAME WHAT: from the exit code of the last command.
verdict() {
    if [ "$1" -eq 0 ]; then
        good=$((good + 1))
        printf 'ok   %-14s %s\n' "$2" "$3"
    else
        bad=$((bad + 1))
        printf 'BAD  %-14s should be: %s; is: %s\n' "$2" "$3" "$(state_of "$2")"
    fi
}

# The status, phase, attempt and reason of a sample, in this order.
state_of() {
    reeve ps --all --json 2>/dev/null | python3 -c '
import json, sys
for run in json.load(sys.stdin):
    if run["id"] == sys.argv[1]:
        print(*(run.get(k) or "-" for k in ("status", "phase", "attempt", "reason")))
        break
else:
    print("unknown")' "${task[$1]:-none}" || echo unknown
}

# state_is NAME STATUS ATTEMPT REASON: "*" for any.
# shellcheck disable=SC2053
state_is() {
    local status phase attempt reason
    read -r status phase attempt reason <<<"$(state_of "$1")"
    [ "$status" = "$2" ] && [[ $attempt == $3 ]] && [[ $reason == $4 ]]
}

runs() {
    local status phase rest
    read -r status phase rest <<<"$(state_of "$1")"
    [ "$status" = in_progress ] && [ "$phase" = running ]
}

log_has() {
    reeve logs "${task[$1]}" 2>/dev/null | grep -q -- "$2"
}

check() {
    local code=0 number running=0
    { runs api-monitor && log_has api-monitor 'requests, 0 failed'; } || code=1
    verdict $code api-monitor "running, and the server answers"
    code=0
    { runs disk-watcher && log_has disk-watcher 'MiB free'; } || code=1
    verdict $code disk-watcher "running, and watches"
    code=0
    { state_is greeter completed '*' '*' && log_has greeter 'greeting: uncommitted'; } || code=1
    verdict $code greeter "completed, with the uncommitted change"
    code=0
    { state_is flaky completed 3 '*' && log_has flaky 'attempt 3: done'; } || code=1
    verdict $code flaky "completed in the third attempt"
    code=0
    state_is memory-eater failed '*' oom || code=1
    verdict $code memory-eater "failed, out of memory at 64 MiB"
    for ((number = 1; number <= idle_count; number++)); do
        ! runs "idle-$number" || running=$((running + 1))
    done
    code=0
    [ $running -eq $idle_count ] || code=1
    verdict $code "idle-1" "$idle_count idle services running ($running are)"
}

quickstart_run() {
    local seconds=0 arguments=("$@")
    while [ $# -gt 0 ]; do
        case $1 in
        --for) [ $# -gt 1 ] || usage_error "--for needs a value"; seconds=$(seconds_of "$2"); shift 2 ;;
        --for=*) seconds=$(seconds_of "${1#*=}"); shift ;;
        --data) [ $# -gt 1 ] || usage_error "--data needs a value"; data=$2; shift 2 ;;
        --data=*) data=${1#*=}; shift ;;
        *) usage_error "unknown: $1" ;;
        esac
    done
    become_root run "${arguments[@]}"
    quickstart_build
    install_packages "${run_packages[@]}"
    forget_servers
    prepare_data
    trap finish EXIT
    # Who asked for a verdict and stops before it has none.
    trap "exit $((seconds > 0 ? 130 : 0))" INT TERM HUP
    say "starting reeve up, data in $data"
    start_up
    addresses
    submit_samples
    [ "$seconds" -eq 0 ] || seconds=$((SECONDS + seconds))
    show "$seconds"
    check
    stop_up || bad=$((bad + 1))
    say "$good of $((good + bad)) as they should be"
    [ $bad -eq 0 ]
}
