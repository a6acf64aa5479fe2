# test: everything, counted. The parts run in two lanes, each with its sums in build/log/sums.LANE; a failed
# part doesn't keep the next one from running.

test_packages=(
    libcmocka-dev git openssh-server openssh-client python3 python3-venv ca-certificates procps
    nginx-light tinyproxy-bin openssl
)
web_packages=(chromium chromium-driver)
vm_packages=(qemu-system-x86 busybox-static cpio)
python_packages=(pytest requests selenium clearml)
# A lane's parts follow one another. The VMs and the browser mostly wait, so they go beside the rest.
lanes=("unit integration compat" "vm faults web sanitizers")
# What the sanitizers leave to --long: it waits, for a network or among many tasks, more than it runs code of its own.
spared=(net_names net_nginx net_proxy net_session net_tls many outlive host_down silent drain ending admission)
# So many failed tests of a suite, or a failed VM, are run again, alone, when both lanes are done: a machine of two
# processors that runs both may starve one for longer than it waits. What then passes is named; more is no accident.
again_at_most=5

# add PASSED FAILED SKIPPED NAME
add() {
    echo "$1 $2 $3" >>"$sums"
    say "$4: $1 passed, $2 failed, $3 skipped"
}

make_venv() {
    local venv=$top/build/venv
    [ -e "$venv/stamp" ] && [ ! "$top/contrib/quickstart.d/test.sh" -nt "$venv/stamp" ] && return 0
    rm -f "$venv/stamp"
    # The callers' || keeps set -e from ending this at the first failure.
    logged venv python3 -m venv "$venv" || return 1
    logged pip "$venv/bin/pip" install --disable-pip-version-check -q "${python_packages[@]}" || return 1
    touch "$venv/stamp"
}

# unit_tests NAME TREE: a program that says how many tests it has counts as those.
# shellcheck disable=SC2086
unit_tests() {
    local name=$1 tree=$top/build/$2 log good bad skips code=0
    find "$tree/tests/unit" -name '*.log' -delete 2>/dev/null || :
    (cd "$tree" && logged "$name" make -k -j"$(nproc)" check) || code=1
    # These are short: what failed gets its second chance at once, with one job.
    if [ $code -ne 0 ]; then
        grep -rh --include='*.log' '^FAIL ' "$tree/tests/unit" | sed 's/^/run again: /' || :
        (cd "$tree" && logged "$name-again" make -k recheck) && code=0
    fi
    log=$(find "$tree/tests/unit" -name '*.log' ! -name 'test-suite.log' 2>/dev/null)
    [ -n "$log" ] || { add 0 1 0 "$name (nothing ran)"; return 0; }
    good=$(cat $log | grep -c '^\[ *OK \]' || :)
    bad=$(cat $log | grep -c '^\[  FAILED  \] [a-z_]' || :)
    # cmocka names each failed test twice: as it fails, and in the list at the end.
    bad=$(((bad + 1) / 2))
    # ... and each skipped one.
    skips=$(cat $log | grep -c '^\[  SKIPPED \] [a-z_]' || :)
    skips=$(((skips + 1) / 2 + $(grep -l '^SKIP ' $log | wc -l)))
    [ $code -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
    grep -h '^FAIL ' $log || :
    grep -h '^\[  SKIPPED \] [a-z_]' $log | sort -u || :
    add "$good" "$bad" "$skips" "$name"
}

# The sums of a JUnit file, or one failure if there is none.
junit_sums() {
    python3 - "$1" <<'PYTHON' 2>/dev/null || echo "0 1 0"
import sys
import xml.etree.ElementTree as tree
suites = list(tree.parse(sys.argv[1]).getroot().iter("testsuite"))
total, bad, skips = (sum(int(s.get(k, 0)) for s in suites for k in keys)
                     for keys in (["tests"], ["failures", "errors"], ["skipped"]))
print(total - bad - skips, bad, skips)
PYTHON
}

# run_pytest NAME PREFIX CACHE ARGUMENT...: sets passed, failed, skipped and code.
run_pytest() {
    local name=$1 prefix=$2 cache=$3
    shift 3
    code=0
    rm -f "$top/build/log/$name.xml"
    REEVE_OUT=$prefix PYTHONDONTWRITEBYTECODE=1 logged "$name" "$top/build/venv/bin/python" -m pytest \
        -o cache_dir="$cache" "${long[@]}" -q -rsfE --durations=15 --junitxml="$top/build/log/$name.xml" "$@" || code=$?
    read -r passed failed skipped < <(junit_sums "$top/build/log/$name.xml")
    # It may also end early.
    [ $code -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
}

# python_tests NAME PREFIX ARGUMENT...
python_tests() {
    local name=$1 prefix=$2 cache=$top/build/log/$1.cache passed failed skipped code
    shift 2
    rm -rf "$cache"
    run_pytest "$name" "$prefix" "$cache" "$@"
    grep -h '^SKIPPED' "$top/build/log/$name.log" || :
    # 1: all ran, and some failed. Any other code means tests that were not even tried.
    if [ $code -eq 1 ] && [ "$failed" -le $again_at_most ] && [ -s "$cache/v/cache/lastfailed" ]; then
        again "$name" python_tests_again "$name" "$prefix" "$cache" "$@"
        grep -hE '^(FAILED|ERROR) ' "$top/build/log/$name.log" || :
        failed=0
    fi
    add "$passed" "$failed" "$skipped" "$name"
}

# python_tests_again NAME PREFIX CACHE ARGUMENT...
python_tests_again() {
    local name=$1 passed failed skipped code
    shift
    run_pytest "$name-again" "$1" "$2" --last-failed --last-failed-no-failures=none -rp "${@:3}"
    grep -hE '^PASSED ' "$top/build/log/$name-again.log" | sed 's/^PASSED/passed only when run alone:/' || :
    add "$passed" "$failed" "$skipped" "$name, run again"
}

# again NAME COMMAND ARGUMENT...: to be called when the lanes are done.
again() {
    say "$1 failed and will be run again, alone"
    printf '%s\0' "${@:2}" >"$top/build/log/$1.again"
}

run_again() {
    local file words
    for file in "$top"/build/log/*.again; do
        [ -e "$file" ] || continue
        mapfile -d '' words <"$file"
        rm -f "$file"
        "${words[@]}"
    done
}

test_unit() {
    unit_tests unit check
}

test_integration() {
    python_tests integration "$top/out" "$top/tests/integration"
}

# The unmodified SDK and agents: tests/compat/README.md. The table is in build/log/compat-table.md.
test_compat() {
    python_tests compat "$top/out" "$top/tests/compat" --sdk newest --sdk floor \
        --agent reeve --agent official \
        --table "$top/build/log/compat-table.md" --calls "$top/build/log/compat-calls.jsonl"
}

# Programs killed at their system calls, and what fails below them. What fails here is no accident of a loaded
# machine: nothing is run again.
test_faults() {
    local again_at_most=0
    python_tests faults "$top/out" "$top/tests/faults"
    grep -h '^faults: ' "$top/build/log/faults.log" || :
}

test_web() {
    python_tests web "$top/out" "$top/tests/web"
}

# The same programs with AddressSanitizer and UndefinedBehaviorSanitizer.
test_sanitizers() {
    build_tree san "$top/build/san-out" --enable-werror --enable-sanitizers ||
        { add 0 1 0 "sanitizers (build)"; return 0; }
    export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1
    unit_tests sanitizers-unit san
    local ignored=()
    [ ${#long[@]} -gt 0 ] || ignored=("${spared[@]/#/--ignore=$top/tests/integration/test_}")
    ignored=("${ignored[@]/%/.py}")
    python_tests sanitizers-integration "$top/build/san-out" "$top/tests/integration" "${ignored[@]}"
    unset ASAN_OPTIONS UBSAN_OPTIONS
}

# vm_result NAME CODE [COMMAND...]: one test; 77 is skipped, as automake has it.
vm_result() {
    local name=$1 code=$2
    shift 2
    case $code in
    0) add 1 0 0 "$name" ;;
    77) add 0 0 1 "$name" ;;
    *) if [ $# -gt 0 ]; then again "$name" vm_again "$name" "$@"; else add 0 1 0 "$name"; fi ;;
    esac
}

# vm_again NAME COMMAND...
vm_again() {
    local name=$1 code=0
    shift
    logged "$name-again" "$@" || code=$?
    [ $code -ne 0 ] || say "passed only when run alone: $name"
    vm_result "$name, run again" "$code"
}

# vm_tests NAME SCRIPT ARGUMENT...: in a VM, and with --systemd in another at the same time,
# since each keeps hardly more than one processor busy.
vm_tests() {
    local name=$1 script=$2 plain code=0 systemd=0
    shift 2
    logged "$name" "$script" "$@" &
    plain=$!
    logged "$name-systemd" "$script" --systemd "$@" || systemd=$?
    wait "$plain" || code=$?
    vm_result "$name" "$code" "$script" "$@"
    vm_result "$name-systemd" "$systemd" "$script" --systemd "$@"
}

# cgroup v2 natively, in virtual machines: tests/vm/README.md.
test_vm() {
    local code=0
    vm_tests vm-cgroup "$top/tests/vm/cgroup-v2.sh" "$top/build/check"
    vm_tests vm-product "$top/tests/vm/product-v2.sh" "$top/out" "$top/build/venv/bin/python"
    [ ${#long[@]} -gt 0 ] || return 0
    logged vm-reboot "$top/tests/vm/reboot.sh" "$top/out" "$top/build/venv/bin/python" || code=$?
    vm_result vm-reboot "$code" "$top/tests/vm/reboot.sh" "$top/out" "$top/build/venv/bin/python"
}

# run_lane SUMS PART...
run_lane() {
    local sums=$1 part
    shift
    for part in "$@"; do
        say "$part"
        "test_$part" || add 0 1 0 "$part"
    done
}

# run_lanes PART...: each part in its lane, the lanes side by side.
run_lanes() {
    local only=" $* " lane part chosen pids=() pid number=0
    for lane in "${lanes[@]}"; do
        chosen=()
        for part in $lane; do
            [[ $only != *" $part "* ]] || chosen+=("$part")
        done
        number=$((number + 1))
        run_lane "$top/build/log/sums.$number" "${chosen[@]}" &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do
        wait "$pid" || echo "0 1 0" >>"$sums"
    done
}

# Everything that the lanes share is made before they start.
prepare_tests() {
    local only=" $* "
    local packages=("${test_packages[@]}")
    [[ $only != *" web "* ]] || packages+=("${web_packages[@]}")
    [[ $only != *" vm "* ]] || packages+=("${vm_packages[@]}")
    install_packages "${packages[@]}"
    prepare_sources
    build_tree check "$top/out" --enable-werror || { add 0 1 0 build; return 1; }
    (cd "$top/build/check" && logged check-programs make -j"$(nproc)" check TESTS=) ||
        { add 0 1 0 "build of the tests"; return 1; }
    [ "$only" = " unit " ] || make_venv || { add 0 1 0 "Python packages"; return 1; }
}

quickstart_test() {
    local only=() long=() part arguments=("$@") start=$SECONDS sums=$top/build/log/sums.0
    # shellcheck disable=SC2206
    local parts=(${lanes[*]})
    while [ $# -gt 0 ]; do
        case $1 in
        --only) [ $# -gt 1 ] || usage_error "--only needs a value"; only+=("$2"); shift 2 ;;
        --only=*) only+=("${1#*=}"); shift ;;
        --long) long=(--long); shift ;;
        *) usage_error "unknown: $1" ;;
        esac
    done
    for part in "${only[@]}"; do
        case " ${parts[*]} " in
        *" $part "*) ;;
        *) usage_error "no part of the tests: $part" ;;
        esac
    done
    become_root test "${arguments[@]}"
    [ ${#only[@]} -gt 0 ] || only=("${parts[@]}")
    mkdir -p "$top/build/log"
    rm -f "$top/build/stamp" "$top"/build/log/sums.* "$top"/build/log/*.again
    if prepare_tests "${only[@]}"; then
        run_lanes "${only[@]}"
        run_again
    fi
    say "took $((SECONDS - start)) s"
    awk '{ passed += $1; failed += $2; skipped += $3 }
         END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped; exit failed > 0 || passed == 0 }' \
        "$top"/build/log/sums.*
}
