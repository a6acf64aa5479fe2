# test: everything, counted. Each part adds to the three sums and goes on after a failure.

test_packages=(
    libcmocka-dev git openssh-server openssh-client python3 python3-venv ca-certificates procps
)
web_packages=(chromium chromium-driver)
vm_packages=(qemu-system-x86 busybox-static cpio)
python_packages=(pytest requests selenium clearml)
parts=(unit integration web vm sanitizers)
passed=0
failed=0
skipped=0

add() {
    passed=$((passed + $1))
    failed=$((failed + $2))
    skipped=$((skipped + $3))
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
    log=$(find "$tree/tests/unit" -name '*.log' ! -name 'test-suite.log' 2>/dev/null)
    [ -n "$log" ] || { add 0 1 0 "$name (nothing ran)"; return 0; }
    good=$(cat $log | grep -c '^\[ *OK \]' || :)
    bad=$(cat $log | grep -c '^\[  FAILED  \] [a-z_]' || :)
    # cmocka names each failed test twice: as it fails, and in the list at the end.
    bad=$(((bad + 1) / 2))
    skips=$(grep -l '^SKIP ' $log | wc -l)
    [ $code -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
    grep -h '^FAIL ' $log || :
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

# python_tests NAME PREFIX PATH...
python_tests() {
    local name=$1 prefix=$2 result=$top/build/log/$1.xml path paths=()
    shift 2
    for path in "$@"; do
        [ -z "$(find "$top/$path" -name 'test_*.py' 2>/dev/null)" ] || paths+=("$top/$path")
    done
    [ ${#paths[@]} -gt 0 ] || { add 0 0 0 "$name (no tests)"; return 0; }
    rm -f "$result"
    REEVE_OUT=$prefix PYTHONDONTWRITEBYTECODE=1 logged "$name" "$top/build/venv/bin/python" \
        -m pytest -p no:cacheprovider -q -rs --junitxml="$result" "${paths[@]}" || :
    grep -h '^SKIPPED' "$top/build/log/$name.log" || :
    # shellcheck disable=SC2046
    add $(junit_sums "$result") "$name"
}

test_unit() {
    unit_tests unit check
}

test_integration() {
    make_venv || { add 0 1 0 "integration (Python packages)"; return 0; }
    python_tests integration "$top/out" tests/integration tests/compat
}

test_web() {
    install_packages "${web_packages[@]}"
    make_venv || { add 0 1 0 "web (Python packages)"; return 0; }
    python_tests web "$top/out" tests/web
}

# The same programs with AddressSanitizer and UndefinedBehaviorSanitizer.
test_sanitizers() {
    make_venv || { add 0 1 0 "sanitizers (Python packages)"; return 0; }
    build_tree san "$top/build/san-out" --enable-werror --enable-sanitizers ||
        { add 0 1 0 "sanitizers (build)"; return 0; }
    export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1
    unit_tests sanitizers-unit san
    python_tests sanitizers-integration "$top/build/san-out" tests/integration
    unset ASAN_OPTIONS UBSAN_OPTIONS
}

# vm_result NAME PID: one test; 77 is skipped, as automake has it.
vm_result() {
    local name=$1 code=0
    wait "$2" || code=$?
    case $code in
    0) add 1 0 0 "$name" ;;
    77) add 0 0 1 "$name" ;;
    *) add 0 1 0 "$name" ;;
    esac
}

# vm_tests NAME SCRIPT ARGUMENT...: in a VM, and with --systemd in another at the same time,
# since each keeps hardly more than one processor busy.
vm_tests() {
    local name=$1 script=$2 plain systemd
    shift 2
    logged "$name" "$script" "$@" &
    plain=$!
    logged "$name-systemd" "$script" --systemd "$@" &
    systemd=$!
    vm_result "$name" "$plain"
    vm_result "$name-systemd" "$systemd"
}

# cgroup v2 natively, in virtual machines: tests/vm/README.md.
test_vm() {
    [ -x "$top/tests/vm/cgroup-v2.sh" ] || { add 0 0 0 "vm (no tests)"; return 0; }
    install_packages "${vm_packages[@]}"
    # What is run there is built here.
    (cd "$top/build/check" && logged vm-build make -j"$(nproc)" check TESTS=) ||
        { add 0 1 0 "vm (build)"; return 0; }
    make_venv || { add 0 1 0 "vm (Python packages)"; return 0; }
    vm_tests vm-cgroup "$top/tests/vm/cgroup-v2.sh" "$top/build/check"
    vm_tests vm-product "$top/tests/vm/product-v2.sh" "$top/out" "$top/build/venv/bin/python"
}

quickstart_test() {
    local only=() part arguments=("$@") start=$SECONDS
    while [ $# -gt 0 ]; do
        case $1 in
        --only) [ $# -gt 1 ] || usage_error "--only needs a value"; only+=("$2"); shift 2 ;;
        --only=*) only+=("${1#*=}"); shift ;;
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
    install_packages "${build_packages[@]}" "${test_packages[@]}"
    rm -f "$top/build/stamp"
    if build_tree check "$top/out" --enable-werror; then
        for part in "${only[@]}"; do
            say "$part"
            "test_$part" || add 0 1 0 "$part"
        done
    else
        add 0 1 0 build
    fi
    say "took $((SECONDS - start)) s"
    echo "$passed passed, $failed failed, $skipped skipped"
    [ $failed -eq 0 ]
}
