#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# contrib/completion/reeve.bash against a reeve whose answers are known.
set -u
top=${REEVE_TOP_SRCDIR:-$(cd "$(dirname "$0")/../../.." && pwd)}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/reeve" <<'STUB'
#!/bin/sh
case "$*" in
help) printf 'usage: reeve COMMAND\n\n  up         starts it\n  queue      queues\n  logs       log\n' ;;
'logs --help') printf 'usage: reeve logs [-f]\n\n  -f, --follow  go on\n      --since TIME  from --then on\n' ;;
'ps --all --json') printf '[{"id": "aa11", "name": "x"}, {"id":"ab22"}]\n' ;;
'ps --data D --json') printf '[{"id": "ab33"}]\n' ;;
'queue list --json') printf '[{"id": "00", "name": "services"}]\n' ;;
'ps --json') printf '[{"id": "aa11", "exit": null}]\n' ;;
*) exit 2 ;;
esac
STUB
chmod +x "$dir/reeve"
PATH=$dir:$PATH
. "$top/contrib/completion/reeve.bash"

failed=0
# expect "words typed" "what is offered"; the last word is the one being completed.
expect()
{
    local IFS=' '
    read -ra COMP_WORDS <<<"$1"
    [[ $1 == *' ' ]] && COMP_WORDS+=('')
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _reeve
    local got
    got=$(printf '%s\n' "${COMPREPLY[@]}" | sort | tr '\n' ' ')
    if [[ "${got% }" != "$2" ]]; then
        echo "completing '$1': '${got% }' instead of '$2'"
        failed=1
    fi
}

expect 'reeve ' 'logs queue up'
expect 'reeve u' 'up'
expect 'reeve help l' 'logs'
expect 'reeve logs --f' '--follow'
expect 'reeve logs --s' '--since'
expect 'reeve logs a' 'aa11 ab22'
expect 'reeve stop a' 'aa11'
expect 'reeve queue c' 'clear create'
expect 'reeve daemon --on-exit k' 'keep'
expect 'reeve wait --status c' 'closed completed created'
expect 'reeve enqueue aa11 --queue s' 'services'
expect 'reeve queue rename s' 'services'
expect 'reeve stop --data D a' 'ab33'
expect "reeve up --data $dir/" ''
mkdir "$dir/state"
expect "reeve up --data $dir/" "$dir/state"
expect 'reeve nothing x' ''
exit $failed
