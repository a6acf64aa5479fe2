# bash completion for reeve                                       -*- shell-script -*-
#
# Commands and options come from `reeve help`, task ids from the master: nothing here
# needs to follow the program.

_reeve_words()
{
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2")
}

_reeve_commands()
{
    reeve help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p'
}

_reeve_options()
{
    reeve "$1" --help 2>/dev/null |
        sed -nE "s/^ *(-[a-zA-Z], *)?(--[a-z][a-z-]*).*/\2/p"
}

# What the line says of where to look, for the commands that are asked below.
_reeve_place()
{
    local i
    place=()
    for ((i = 2; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --data | --run-dir | --config) place+=("${COMP_WORDS[i]}" "${COMP_WORDS[i + 1]}") ;;
        esac
    done
}

_reeve_tasks()
{
    local all=() place
    [[ $1 == all ]] && all=(--all)
    _reeve_place
    timeout 2 reeve ps "${all[@]}" "${place[@]}" --json 2>/dev/null |
        grep -oE '"id": *"[^"]*"' | cut -d'"' -f4
}

_reeve_queues()
{
    local place
    _reeve_place
    timeout 2 reeve queue list "${place[@]}" --json 2>/dev/null |
        grep -oE '"name": *"[^"]*"' | cut -d'"' -f4
}

# The words of the quotas that `set` knows.
_reeve_quotas()
{
    local names
    names=$(_reeve_options set | sed 's/^--//' |
        grep -vxE 'unset|json|data|config|run-dir|help')
    printf '%s' "${names//-/_}"
}

_reeve()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]}
    local IFS=$' \t\n'
    COMPREPLY=()

    if ((COMP_CWORD == 1)); then
        _reeve_words "$(_reeve_commands)" "$cur"
        return
    fi
    case $prev in
    --data | --state-dir | --run-dir)
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        return
        ;;
    --config | --diff | --binary | --call-log | --log-file | --check)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --on-exit)
        _reeve_words "keep stop" "$cur"
        return
        ;;
    --log-level)
        _reeve_words "error warn info debug" "$cur"
        return
        ;;
    --sort)
        _reeve_words "cpu memory age" "$cur"
        return
        ;;
    --restart)
        _reeve_words "no on-failure always unless-stopped" "$cur"
        return
        ;;
    --queue | -q)
        _reeve_words "$(_reeve_queues)" "$cur"
        return
        ;;
    --unset)
        _reeve_words "$(_reeve_quotas)" "$cur"
        return
        ;;
    --id)
        _reeve_words "$(_reeve_tasks all)" "$cur"
        return
        ;;
    --type)
        _reeve_words "service controller monitor optimizer application data_processing training \
            testing inference report qc custom" "$cur"
        return
        ;;
    --signal | --stop-signal)
        _reeve_words "TERM INT HUP QUIT USR1 USR2 KILL" "$cur"
        return
        ;;
    --status)
        if [[ $command == wait ]]; then
            _reeve_words "created queued in_progress completed stopped failed closed publishing \
                published" "$cur"
            return
        fi
        ;;
    esac
    if [[ $cur == -* ]]; then
        _reeve_words "$(_reeve_options "$command")" "$cur"
        return
    fi
    case $command in
    stop | restart | set)
        _reeve_words "$(_reeve_tasks running)" "$cur"
        ;;
    logs | inspect | wait | enqueue | dequeue | clone)
        _reeve_words "$(_reeve_tasks all)" "$cur"
        ;;
    queue)
        if ((COMP_CWORD == 2)); then
            _reeve_words "list create rename clear delete move" "$cur"
        elif [[ ${COMP_WORDS[2]} == move ]]; then
            _reeve_words "$(_reeve_tasks all)" "$cur"
        elif [[ ${COMP_WORDS[2]} =~ ^(rename|clear|delete)$ ]]; then
            _reeve_words "$(_reeve_queues)" "$cur"
        fi
        ;;
    help)
        _reeve_words "$(_reeve_commands)" "$cur"
        ;;
    submit)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        ;;
    esac
}

complete -o filenames -F _reeve reeve
