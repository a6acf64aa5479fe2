#!/bin/bash
# reboot.sh - reeve as a unit of systemd's on pure v2, over a reboot and a crash: three VMs, one after the other
#
# usage: tests/vm/reboot.sh PREFIX PYTHON
#
# Builds nothing: PREFIX is an installed reeve. The first VM is shut down by `systemctl
# reboot`, the second one is reset as by its button, and all have the same disk, with
# reeve's state and the server's data. See reboot.py.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
[ $# -eq 2 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
prefix=$(cd "$1" && pwd)
# Not resolved: a virtual environment's python is a link.
python=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
disk=$(mktemp -u /tmp/reeve-reboot.XXXXXX)
trap 'rm -f "$disk"' EXIT
cd "$here/../.."
for boot in first second third; do
    "$here/run" --systemd --timeout 900 --disk "$disk" -- env REEVE_OUT="$prefix" \
        REEVE_TEST_SLOW="${REEVE_TEST_SLOW:-10}" PYTHONDONTWRITEBYTECODE=1 \
        PYTHONPATH=tests/integration "$python" tests/vm/reboot.py "$boot"
done
