#!/bin/bash
# reboot.sh - reeve as a unit of systemd's on pure v2, over a reboot: two VMs, one after the other
#
# usage: tests/vm/reboot.sh PREFIX PYTHON
#
# Builds nothing: PREFIX is an installed reeve. The first VM is shut down by `systemctl
# reboot`; what its disk would have kept (/var/lib/reeve and the server's data) comes to the
# second one as it was once everything had stopped. See reboot.py.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
[ $# -eq 2 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
prefix=$(cd "$1" && pwd)
# Not resolved: a virtual environment's python is a link.
python=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
results=$(mktemp -d /tmp/reeve-reboot.XXXXXX)
trap 'rm -rf "$results"' EXIT
cd "$here/../.."
for boot in first second; do
    "$here/run" --systemd --timeout 900 --results "$results" -- env REEVE_OUT="$prefix" \
        REEVE_TEST_SLOW="${REEVE_TEST_SLOW:-10}" PYTHONDONTWRITEBYTECODE=1 \
        PYTHONPATH=tests/integration "$python" tests/vm/reboot.py "$boot"
done
