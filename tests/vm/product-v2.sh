#!/bin/bash
# product-v2.sh - runs the integration tests that are marked `vm` on pure v2, in the VM
#
# usage: tests/vm/product-v2.sh [--systemd] PREFIX PYTHON [PYTEST-OPTION...]
#
# Builds nothing: PREFIX is an installed reeve, PYTHON one that has pytest. With --systemd
# they run in a service with a delegated cgroup, and reeved's own unit is tried, too.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# What the processor's emulation costs, with a busy host.
slow=${REEVE_TEST_SLOW:-10}

options=()
if [ "${1:-}" = --systemd ]; then
    options+=(--systemd)
    shift
fi
[ $# -ge 2 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
prefix=$(cd "$1" && pwd)
# Not resolved: a virtual environment's python is a link.
python=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
shift 2
[ -x "$prefix/bin/reeve" ] || { echo "$prefix has no installed reeve" >&2; exit 2; }
[ -x "$python" ] || { echo "$python is no program" >&2; exit 2; }
cd "$here/../.."
# Importing those without such a test takes long there.
mapfile -t others < <(grep -L 'pytest\.mark\.vm' tests/integration/test_*.py)
exec "$here/run" "${options[@]}" --timeout 1200 -- env REEVE_OUT="$prefix" \
    REEVE_TEST_SLOW="$slow" PYTHONDONTWRITEBYTECODE=1 "$python" -m pytest -m vm \
    -p no:cacheprovider -q -rs --durations=0 --durations-min=1 "$@" \
    "${others[@]/#/--ignore=}" tests/integration
