#!/bin/sh
# Disk watcher: says how full the disk below the present folder is, and warns above a limit.
limit=${DISK_LIMIT_PERCENT:-95}
while :; do
    df -P . | awk -v limit="$limit" 'NR == 2 {
        used = $5 + 0
        printf "%s: %d%% of %d MiB used, %d MiB free\n", $6, used, $2 / 1024, $4 / 1024
        if (used >= limit) printf "WARNING: above %d%%\n", limit
    }'
    sleep "${DISK_EVERY:-5}"
done
