# bash completion for gatectl: gatectl itself knows its words, and asks the daemon for names.
_gatectl()
{
    local cur=${COMP_WORDS[COMP_CWORD]} i=1 socket=()

    COMPREPLY=()
    # gatectl's own options stand before the command.
    while ((i < COMP_CWORD)); do
        case ${COMP_WORDS[i]} in
        -s) socket=(-s "${COMP_WORDS[i + 1]}"); i=$((i + 2)) ;;
        --json) i=$((i + 1)) ;;
        *) break ;;
        esac
    done
    if ((COMP_CWORD == i - 1)); then
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
    fi
    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W '-s --json --help --version' -- "$cur")
        return
    fi
    mapfile -t COMPREPLY < <("${COMP_WORDS[0]}" "${socket[@]}" --complete \
        "${COMP_WORDS[@]:i:COMP_CWORD-i+1}" 2>/dev/null)
    if ((${#COMPREPLY[@]} == 0)); then
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    fi
}
complete -F _gatectl gatectl
