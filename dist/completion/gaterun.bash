# bash completion for gaterun: its own options, then a command with its own completion.
_gaterun()
{
    local cur=${COMP_WORDS[COMP_CWORD]} i=1

    COMPREPLY=()
    while ((i < COMP_CWORD)); do
        case ${COMP_WORDS[i]} in
        --socket) i=$((i + 2)) ;;
        --) i=$((i + 1)); break ;;
        -*) i=$((i + 1)) ;;
        *) break ;;
        esac
    done
    if ((COMP_CWORD == i - 1)); then
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    elif ((COMP_CWORD > i)) && declare -F _command_offset >/dev/null; then
        _command_offset "$i"
    elif ((COMP_CWORD > i)); then
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    elif [[ $cur == -* && ${COMP_WORDS[COMP_CWORD - 1]} != -- ]]; then
        mapfile -t COMPREPLY < <(compgen -W '--socket --require --help --version' -- "$cur")
    else
        mapfile -t COMPREPLY < <(compgen -c -- "$cur")
    fi
}
complete -F _gaterun gaterun
