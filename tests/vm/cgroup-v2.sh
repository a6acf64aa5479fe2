#!/bin/bash
# cgroup-v2.sh - runs the unit tests of src/cgroup on pure v2, in the VM
#
# usage: tests/vm/cgroup-v2.sh [--systemd] BUILD-DIR
#
# Builds nothing: BUILD-DIR has them from `make check`, or `make check TESTS=`. With
# --systemd they run in a service with a delegated cgroup. A program that skips itself is a
# failure here, since in this VM every one of them can make groups.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
if [ "${1:-}" = --in-vm ]; then
    failed=0
    for test in "$2"/tests/unit/cgroup/test_*; do
        case $test in *.*) continue ;; esac
        echo "== ${test##*/}"
        rc=0
        timeout 200 "$test" 2>&1 || rc=$?
        [ $rc -eq 0 ] || { echo "FAILED ${test##*/}: $rc"; failed=1; }
    done
    left=$(find /sys/fs/cgroup -type d -name 'reeve-test-*')
    [ -z "$left" ] || { echo "left behind: $left"; failed=1; }
    exit $failed
fi

options=()
if [ "${1:-}" = --systemd ]; then
    options+=(--systemd)
    shift
fi
[ $# -eq 1 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
build=$(cd "$1" && pwd)
[ -x "$build/tests/unit/cgroup/test_kill" ] || { echo "$build has no built tests" >&2; exit 2; }
exec "$here/run" "${options[@]}" --timeout 900 -- "$here/cgroup-v2.sh" --in-vm "$build"
