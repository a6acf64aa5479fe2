#!/bin/sh
# Makes ./configure from a git checkout. Needs autoconf and automake.
set -eu
cd "$(dirname "$0")"
for tool in autoconf automake pkg-config; do
    command -v "$tool" >/dev/null || {
        echo "autogen.sh: $tool is missing; install it with: apt-get install autoconf automake pkg-config" >&2
        exit 1
    }
done
mkdir -p m4 build-aux
exec autoreconf --install --force --warnings=all,no-obsolete
